"""How a gate says what it found, and what all gates share in reading evidence."""

from collections.abc import Callable
from typing import NamedTuple

from dualwrite.core.records import CLOSED, OPEN, UNKNOWN, GateVerdict, StreamProgress
from verifier.evidence import ABSENT, Evidence


class Finding(NamedTuple):
    """What a gate found; the fields are those of ``GateVerdict``."""

    verdict: str
    reason: str
    see: str = ""
    waits: bool = False


Gate = Callable[[Evidence], Finding]
"""One precondition of a move: a pure function, its name is the gate's."""


def judged(gate: Gate, seen: Evidence) -> GateVerdict:
    """What the gate found, under its name."""
    return GateVerdict(gate.__name__, *gate(seen))


def opened(reason: str) -> Finding:
    return Finding(OPEN, reason)


def closed(reason: str, *, see: str, waits: bool = False) -> Finding:
    return Finding(CLOSED, reason, see, waits)


def unknown(what: str) -> Finding:
    """Nothing is proven; reading it again may help, so waiting does."""
    return Finding(UNKNOWN, f"{what} could not be read", "dualwrite status", waits=True)


def for_table(command: str, seen: Evidence) -> str:
    """The command that mends, for this one table."""
    return f"dualwrite {command} --table {seen.table.name}"


def age_seconds(seen: Evidence, at_ms: int) -> float:
    """How long ago that was; never below 0, as wall clocks may differ a little."""
    return max(0.0, (seen.now_ms - at_ms) / 1000)


def freshness(seen: Evidence) -> Finding | None:
    """The finding for streams whose evidence is unknown, absent or old; None where it is fresh."""
    for side in seen.sides:
        progress = seen.stream(side)
        if progress is None:
            return unknown(f"the progress of the {side.value} stream")
        if progress is ABSENT or not progress.updated_ms:
            return closed(
                f"nobody has read the {side.value} stream yet",
                see="dualwrite consume",
                waits=True,
            )
        age, allowed = seen.ages_seconds.get(side), seen.policy.evidence_age_seconds_max
        if age is None or age > allowed:
            found = (
                "has not been reported since it was first looked at"
                if age is None
                else f"was last reported {age:.0f} s ago, {allowed:.0f} s are allowed"
            )
            return closed(
                f"the {side.value} stream {found}; does a consumer run, and is the stream on?",
                see="dualwrite check",
                waits=True,
            )
    return None


def progresses(seen: Evidence) -> list[StreamProgress]:
    """The streams' progress where all of it is known (ask ``freshness`` first)."""
    found = [seen.stream(side) for side in seen.sides]
    return [progress for progress in found if isinstance(progress, StreamProgress)]
