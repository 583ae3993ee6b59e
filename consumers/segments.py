"""Segments of a backfill as messages of the shared queue.

The control table stays the truth: a message only says who should begin. So a message may be lost,
repeated or late; whatever is not done and nobody's is offered again once the queue has it no
longer.
"""

from collections.abc import Collection, Iterable, Sequence

from consumers.pace import Pace
from dualwrite.core.ports import Clock, Job, Lane, Parcel, Ticket, WorkQueue


class SegmentDesk:
    """What this process has offered, and what it was given. Names are those of the records."""

    def __init__(self, queue: WorkQueue, clock: Clock, pace: Pace) -> None:
        self._queue = queue
        self._clock = clock
        self._pace = pace
        self._offered: dict[str, tuple[Ticket, float]] = {}
        self._jobs: dict[str, list[Job]] = {}
        self._failing_since: float | None = None
        self._away = False

    async def failing(self) -> None:
        """The backfill cannot go on here; after a while others may. Raises EngineError."""
        now = self._clock.monotonic_seconds()
        if self._failing_since is None:
            self._failing_since = now
        if not self._away and now - self._failing_since > self._pace.step_back_seconds:
            # Also with none in hand: some may be on their way to this process alone.
            self._jobs = {}
            self._away = True
            await self._queue.step_back(Lane.SEGMENTS)

    async def step(self, running: Collection[str], slots: int) -> None:
        """Acknowledge what is over, and take more while slots are free. Raises
        EngineError."""
        self._failing_since = None
        self._away = False
        for name in [name for name in self._jobs if name not in running]:
            # It is over, or could not be begun: done already, paused, or another's still.
            await self._queue.ack(self._jobs[name])
            del self._jobs[name]
        for job in await self._queue.take(Lane.SEGMENTS, max(0, slots - len(running))):
            self._jobs.setdefault(job.parcel.key, []).append(job)
        tickets = {ticket: name for name, (ticket, _) in self._offered.items()}
        if tickets:
            for ticket in await self._queue.settled(Lane.SEGMENTS, tickets.keys()):
                del self._offered[tickets[ticket]]

    async def offer(self, names: Iterable[str]) -> None:
        """Put segments on the queue that are free and not on it. Raises EngineError."""
        now = self._clock.monotonic_seconds()
        wanted = list(names)
        still = [name for name in wanted if name in self._offered and self._is_old(name, now)]
        due = [name for name in wanted if name not in self._offered] + await self._lost(still, now)
        tickets = await self._queue.put(Lane.SEGMENTS, [Parcel(name, {}) for name in due])
        self._offered |= {name: (ticket, now) for name, ticket in zip(due, tickets, strict=True)}

    def holds(self, name: str) -> bool:
        """Whether this process was given a segment."""
        return name in self._jobs

    def _is_old(self, name: str, now: float) -> bool:
        return now - self._offered[name][1] > self._pace.unsettled_seconds_max

    async def _lost(self, names: Sequence[str], now: float) -> list[str]:
        """Those that the queue has no longer; the others only wait in a line that is long. Raises
        EngineError."""
        if not names:
            return []
        waiting = {self._offered[name][0]: name for name in names}
        standing = await self._queue.standing(Lane.SEGMENTS, waiting)
        self._offered |= {waiting[ticket]: (ticket, now) for ticket in standing}
        return [name for ticket, name in waiting.items() if ticket not in standing]
