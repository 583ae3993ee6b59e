"""Going back would lose nothing."""

from dualwrite.core.records import GateVerdict, SweepResult
from verifier.evidence import ABSENT, Evidence
from verifier.gates.verdicts import closed, for_table, freshness, opened, progresses, unknown

GATE = "coverage_unbroken"


def coverage_unbroken(seen: Evidence) -> GateVerdict:
    """After the flip the old table lives from reverse replication: if its streams were not read all
    the time since before the flip, it may lack writes, until a clean two-way sweep has begun
    under unbroken coverage."""
    stale = freshness(GATE, seen)
    if stale is not None:
        return stale
    since_ms = max(progress.unbroken_since_ms for progress in progresses(seen))
    if not all(progress.unbroken_since_ms for progress in progresses(seen)):
        return closed(
            GATE,
            "the streams are not covered yet",
            see=for_table("status", seen),
            waits=True,
        )
    if isinstance(seen.lead_since_ms, int) and since_ms <= seen.lead_since_ms:
        return opened(GATE, "both streams have been read since before new took the lead")
    if seen.sweep is None:
        return unknown(GATE, "the newest sweep")
    begun_ms = since_ms + seen.policy.clock_skew_ms
    sweep = seen.sweep
    if isinstance(sweep, SweepResult) and sweep.clean and sweep.started_ms > begun_ms:
        return opened(GATE, "a clean two-way sweep has begun since the streams are covered")
    if seen.lead_since_ms is None or seen.lead_since_ms is ABSENT:
        return unknown(GATE, "when new took the lead")
    late = (since_ms - seen.lead_since_ms) / 1000
    return closed(
        GATE,
        f"the streams are covered only since {late:.0f} s after new took the lead,"
        " and no clean sweep has begun since",
        see=for_table("verify", seen),
    )
