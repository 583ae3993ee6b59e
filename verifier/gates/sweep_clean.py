"""A whole comparison has found both sides equal."""

from dualwrite.core.records import SweepResult
from verifier.evidence import ABSENT, Evidence
from verifier.gates.verdicts import Finding, closed, for_table, opened, unknown


def sweep_clean(seen: Evidence) -> Finding:
    """That nothing is missing, extra or different is known only by looking at every key after the
    backfill was over; a sweep that began before it, or had errors, proves nothing."""
    see = for_table("verify", seen)
    sweep, backfill = seen.sweep, seen.backfill
    if sweep is None or backfill is None:
        return unknown("the newest sweep" if sweep is None else "the backfill")
    if sweep is ABSENT:
        return closed("no sweep has been run", see=see)
    if not sweep.done:
        return closed(f"a sweep is running, {sweep.compared} keys compared", see=see, waits=True)
    if not sweep.clean:
        return closed(_found(sweep), see=see)
    if backfill is ABSENT or not backfill.done or sweep.backfill_run != backfill.run:
        return closed("the newest sweep began before the backfill was complete", see=see)
    return opened(f"the newest sweep compared {sweep.compared} keys and found no drift")


def _found(sweep: SweepResult) -> str:
    if sweep.errors:
        return f"the newest sweep had {sweep.errors} errors, so it proved nothing"
    return (
        f"the newest sweep found {sweep.missing} missing, {sweep.extra} extra"
        f" and {sweep.different} different"
    )
