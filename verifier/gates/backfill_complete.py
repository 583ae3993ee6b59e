"""The past has been carried over."""

from dualwrite.core.records import RUN
from verifier.evidence import ABSENT, Evidence
from verifier.gates.verdicts import Finding, closed, for_table, opened, unknown


def backfill_complete(seen: Evidence) -> Finding:
    """Mirroring brings only what is written from now on; what nobody writes any more comes with the
    backfill, so before its end new lacks rows."""
    backfill = seen.backfill
    if backfill is None:
        return unknown("the progress of the backfill")
    if backfill is ABSENT:
        return closed("no backfill has been started", see=for_table("backfill start", seen))
    if backfill.done:
        return opened(f"all {backfill.segments} segments of the backfill are done")
    running = backfill.wanted == RUN
    return closed(
        f"{backfill.segments_done} of {backfill.segments} segments of the backfill are done"
        + ("" if running else " and it is paused"),
        see=for_table("status" if running else "backfill resume", seen),
        waits=running,
    )
