"""The streams are nearly at their tip."""

from dualwrite.core.records import GateVerdict
from verifier.evidence import Evidence
from verifier.gates.verdicts import closed, for_table, freshness, opened, progresses

GATE = "lag_bounded"


def lag_bounded(seen: Evidence) -> GateVerdict:
    """A key whose mirror write failed stays old for as long as the streams are behind: that bounds
    how stale a read from the follower can be."""
    stale = freshness(GATE, seen)
    if stale is not None:
        return stale
    lag = max(progress.lag_seconds for progress in progresses(seen))
    allowed = seen.policy.lag_seconds_max
    if lag >= allowed:
        return closed(
            GATE,
            f"a stream is {lag:.1f} s behind, under {allowed:.1f} s are allowed",
            see=for_table("status", seen),
            waits=True,
        )
    return opened(GATE, f"the streams are at most {lag:.1f} s behind")
