"""The fault plan: which process dies, in which step, how long after its beginning. Pure.

A moment is a step and a delay, not a time of day, so that a seed means the same on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

DOWN_SECONDS = 1.5
"""From SIGKILL to the start of the process that takes its place."""


@dataclass(frozen=True, slots=True)
class Fault:
    """SIGKILL to one process of the fleet."""

    victim: str
    step: str
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that has happened; monotonic seconds."""

    victim: str
    step: str
    killed: float
    back: float


def plan(
    random: Random,
    steps: Sequence[str],
    proxies: Sequence[str],
    consumers: Sequence[str],
    dwell_seconds: float,
) -> tuple[Fault, ...]:
    """One proxy and one consumer, each at a random moment of the walk. Never both proxies: an
    application that has no proxy left has no database."""
    return tuple(
        Fault(random.choice(victims), random.choice(steps), random.uniform(0.0, dwell_seconds + 1))
        for victims in (proxies, consumers)
    )
