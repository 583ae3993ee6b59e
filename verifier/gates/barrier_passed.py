"""All that was on the streams when everybody had acknowledged is applied."""

from verifier.evidence import ABSENT, Evidence
from verifier.gates.verdicts import (
    Finding,
    closed,
    for_table,
    freshness,
    opened,
    progresses,
    unknown,
)


def barrier_passed(seen: Evidence) -> Finding:
    """In atomic mode equal tables stay equal; they are equal once every record from before, on both
    streams, is applied. A bound on lag cannot say that, a barrier can."""
    stale = freshness(seen)
    if stale is not None:
        return stale
    barrier = seen.barrier
    if barrier is None:
        return unknown("the barrier")
    if barrier is ABSENT:
        return closed(
            "no barrier has been asked for; the controller does once all have acknowledged",
            see="dualwrite control",
            waits=True,
        )
    behind = [
        side.value
        for side, progress in zip(seen.sides, progresses(seen), strict=True)
        if progress.barrier != barrier.id
    ]
    if behind:
        return closed(
            f"the {' and '.join(behind)} stream has not passed the barrier",
            see=for_table("status", seen),
            waits=True,
        )
    return opened(f"{len(seen.sides)} of {len(seen.sides)} streams have passed the barrier")
