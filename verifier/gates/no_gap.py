"""No stream record was lost unread."""

from dualwrite.core.coverage import unbroken
from dualwrite.core.records import SweepResult
from verifier.evidence import Evidence
from verifier.gates.verdicts import (
    Finding,
    closed,
    for_table,
    freshness,
    opened,
    progresses,
    unknown,
)


def no_gap(seen: Evidence) -> Finding:
    """What was trimmed from a stream before it was read may have been the only sign of a change;
    only a clean sweep that began afterwards shows that nothing was missed."""
    stale = freshness(seen)
    if stale is not None:
        return stale
    broken = [progress for progress in progresses(seen) if progress.gaps]
    if not broken:
        return opened("no stream has a gap")
    if seen.sweep is None:
        return unknown("the newest sweep")
    sweep = seen.sweep
    if isinstance(sweep, SweepResult) and sweep.clean and unbroken(sweep.gaps, seen.gaps):
        return opened("a clean sweep has begun after the newest gap")
    gaps = sum(progress.gaps for progress in broken)
    return closed(
        f"{gaps} gaps in the streams, and no clean sweep has begun since the newest",
        see=for_table("verify", seen),
    )
