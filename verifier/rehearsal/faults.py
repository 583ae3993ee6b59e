"""The fault plan: what befalls which process, in which step, how long after its beginning. Pure.

A moment is a step and a delay, not a time of day, so that a seed means the same on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

STRIKES_DEFAULT = 2
"""One proxy and one consumer are killed."""
STRIKES_MAX = 1000
DOWN_SECONDS = 1.5
"""From a process's end to the start of the one that takes its place."""
FROZEN_SECONDS = (0.5, 6.0)
"""Shorter and longer than a lease of the control table, which is 3 s."""


class Blow(StrEnum):
    """What befell a process."""

    KILLED = "killed"
    """SIGKILL, as a machine that is gone."""
    FROZEN = "frozen"
    """SIGSTOP and later SIGCONT, as a machine that swaps or is moved."""
    ENDED = "ended by others"
    """Nobody here asked for it, and a signal says that somebody did."""
    DIED = "died by itself"


@dataclass(frozen=True, slots=True)
class Fault:
    """One blow of the plan to one process of the fleet."""

    victim: str
    step: str
    delay_seconds: float
    blow: Blow = Blow.KILLED
    seconds: float = DOWN_SECONDS
    """How long it is down, or stands still."""


@dataclass(frozen=True, slots=True)
class Struck:
    """A blow that has happened; monotonic seconds."""

    victim: str
    step: str
    blow: Blow
    began: float
    back: float


def plan(
    random: Random,
    steps: Sequence[str],
    roles: Sequence[Sequence[str]],
    dwell_seconds: float,
    strikes: int = STRIKES_DEFAULT,
) -> tuple[Fault, ...]:
    """So many blows, each at a random moment of the walk.

    ``roles`` name the proxies, the consumers, and others: the first blow kills a proxy, the second
    a consumer, and each more kills or freezes any process.
    """

    def moment() -> tuple[str, float]:
        return random.choice(steps), random.uniform(0.0, dwell_seconds + 1)

    faults = [Fault(random.choice(role), *moment()) for role in roles[:STRIKES_DEFAULT]]
    for _ in range(strikes - len(faults)):
        victim = random.choice([name for role in roles for name in role])
        blow = random.choice((Blow.KILLED, Blow.FROZEN))
        seconds = DOWN_SECONDS if blow is Blow.KILLED else random.uniform(*FROZEN_SECONDS)
        faults.append(Fault(victim, *moment(), blow, seconds))
    return tuple(faults[:strikes])
