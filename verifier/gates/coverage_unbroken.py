"""Going back would lose nothing."""

from dualwrite.core.coverage import unbroken
from dualwrite.core.records import AuditEntry, SweepResult
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


def coverage_unbroken(seen: Evidence) -> Finding:
    """After the flip the old table lives from reverse replication: if its streams were not read all
    the time since before the flip, it may lack writes, until a clean two-way sweep has begun
    under unbroken coverage."""
    stale = freshness(seen)
    if stale is not None:
        return stale
    if not all(progress.unbroken_since_ms for progress in progresses(seen)):
        return closed(
            "the streams are not covered yet",
            see=for_table("status", seen),
            waits=True,
        )
    lead, sweep = seen.lead, seen.sweep
    if isinstance(lead, AuditEntry) and unbroken(lead.gaps, seen.gaps):
        return opened("both streams have been read since before new took the lead")
    if sweep is None:
        return unknown("the newest sweep")
    if isinstance(sweep, SweepResult) and sweep.clean and unbroken(sweep.gaps, seen.gaps):
        return opened("a clean two-way sweep has begun since the streams are covered")
    if not isinstance(lead, AuditEntry):
        return unknown("how new took the lead")
    return closed(
        "a stream was broken since new took the lead, and no clean sweep has begun since",
        see=for_table("verify", seen),
    )
