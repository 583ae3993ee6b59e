"""How long a rehearsal waits: for as long as something comes nearer, never for a fixed time.

A loaded machine may take ten times as long as an idle one, and is not wrong for it. What counts as
nearer only ever moves one way and has an end, so a wait ends too.
"""

from typing import Any

from dualwrite.core.records import StreamProgress
from verifier.rehearsal.monitor import Seen


class Patience:
    """Ends when the same value was shown for ``seconds_max``."""

    def __init__(self, seconds_max: float, now: float) -> None:
        self._seconds_max = seconds_max
        self._shown: Any = None
        self._moved_at = now

    def lasts(self, shown: Any, now: float) -> bool:
        """Whether to wait on, as things stand now (monotonic seconds)."""
        if shown != self._shown:
            self._shown, self._moved_at = shown, now
        return now - self._moved_at <= self._seconds_max


class Settling:
    """How near a migration is to rest: streams read up to a moment, repairs waiting, lag."""

    def __init__(self, since_ms: int) -> None:
        """``since_ms``: the wall clock up to which streams are to be read."""
        self._since_ms = since_ms
        self._tips: dict[str, int] = {}
        self._repairs_min: int | None = None
        self._lag_seconds_min: int | None = None

    def shown(self, seen: Seen) -> tuple[object, ...]:
        """A value that changes only when the rest is nearer than ever before."""
        for name, stream in seen.streams.items():
            self._tips[name] = max(self._tips.get(name, 0), self._reached(stream))
        self._repairs_min = least(self._repairs_min, seen.waiting)
        self._lag_seconds_min = least(self._lag_seconds_min, int(seen.lag_seconds))
        return tuple(self._tips.items()), self._repairs_min, self._lag_seconds_min

    def _reached(self, stream: StreamProgress) -> int:
        return min(stream.tip_ms, self._since_ms)


def least(before: int | None, now: int) -> int:
    """The lower of what was seen before and what is seen now."""
    return now if before is None else min(before, now)


def states_shown(seen: Seen) -> tuple[object, ...]:
    """The epochs of all tables, which only rise."""
    return tuple(sorted((name, state.epoch) for name, state in seen.states.items()))


def backfill_shown(seen: Seen) -> tuple[object, ...]:
    """How many items are scanned and segments done, by table."""
    return tuple(
        (table, sum(part.scanned for part in parts), sum(part.done for part in parts))
        for table, parts in sorted(seen.segments.items())
    )


def sweep_shown(seen: Seen) -> tuple[object, ...]:
    """What the newest sweeps have compared."""
    return tuple(
        (table, swept.run, swept.done, swept.compared, swept.rechecked)
        for table, swept in sorted(seen.swept.items())
    )
