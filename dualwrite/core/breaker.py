"""The circuit breaker before a follower: a table of states; time and chance are the caller's.

While it is open nobody waits for a follower that does not answer: its keys go straight to the
repair queue. After a pause one write tries it beside the clients' requests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Whether the follower is written."""

    CLOSED = "closed"
    """As always."""
    OPEN = "open"
    """Not at all."""
    HALF_OPEN = "half-open"
    """By one write, whose outcome decides."""


class Event(StrEnum):
    """What moves a breaker."""

    WELL = "well"
    """An answer, a refusal too."""
    BADLY = "badly"
    """No answer, or "not now", and not for the first time."""
    DUE = "due"
    """The pause is over."""
    MOOT = "moot"
    """The follower is not written any more."""


NEXT: Mapping[State, Mapping[Event, State]] = {
    State.CLOSED: {Event.BADLY: State.OPEN},
    State.OPEN: {Event.DUE: State.HALF_OPEN, Event.MOOT: State.CLOSED},
    State.HALF_OPEN: {
        Event.WELL: State.CLOSED,
        Event.BADLY: State.OPEN,
        Event.MOOT: State.CLOSED,
    },
}
"""An event that is not listed changes nothing: it is the late answer to an earlier write."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The bounds of a breaker."""

    failures_max: int = 5
    """Writes that go badly one after the other, until it opens."""
    pause_seconds: float = 1.0
    """Until the first probe; doubled after each that fails."""
    pause_seconds_max: float = 30.0


DEFAULT = Policy()


class Breaker:
    """One follower's. ``uniform`` is the injected random: pauses are jittered by half, so that not
    all processes try at once."""

    def __init__(self, uniform: Callable[[float, float], float], policy: Policy = DEFAULT) -> None:
        self._uniform = uniform
        self._policy = policy
        self._failures = 0
        self._bound_seconds = policy.pause_seconds
        self.state = State.CLOSED
        self.pause_seconds = 0.0
        """From the latest opening to the probe."""

    def hear(self, *, well: bool) -> bool:
        """Take what became of a write; gives whether the state changed."""
        if well:
            self._failures = 0
            return self.state is not State.CLOSED and self.move(Event.WELL)
        self._failures += 1
        if self.state is State.CLOSED and self._failures < self._policy.failures_max:
            return False
        return self.move(Event.BADLY)

    def move(self, event: Event) -> bool:
        """Take one event; gives whether the state changed."""
        goal = NEXT[self.state].get(event)
        if goal is None:
            return False
        self.state = goal
        if goal is State.CLOSED:
            self._failures, self._bound_seconds = 0, self._policy.pause_seconds
        elif goal is State.OPEN:
            self.pause_seconds = self._uniform(self._bound_seconds / 2, self._bound_seconds)
            self._bound_seconds = min(self._bound_seconds * 2, self._policy.pause_seconds_max)
        return True
