"""The streams are nearly at their tip."""

from verifier.evidence import Evidence
from verifier.gates.verdicts import Finding, closed, for_table, freshness, opened, progresses


def lag_bounded(seen: Evidence) -> Finding:
    """A key whose mirror write failed stays old for as long as the streams are behind: that bounds
    how stale a read from the follower can be."""
    stale = freshness(seen)
    if stale is not None:
        return stale
    lag = max(progress.lag_seconds for progress in progresses(seen))
    allowed = seen.policy.lag_seconds_max
    if lag >= allowed:
        return closed(
            f"a stream is {lag:.1f} s behind, under {allowed:.1f} s are allowed",
            see=for_table("status", seen),
            waits=True,
        )
    return opened(f"the streams are at most {lag:.1f} s behind")
