"""A lease: the right to work until a moment on this process's own clock.

It is a MEMBER record which the holder keeps changing. The holder counts from *before* the renewal
was sent, a watcher from when it *saw* the counter move; so the holder stops before anybody takes
it for dead, however slow the network is and whatever the wall clocks say.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from dualwrite.control.tasks import within
from dualwrite.core.errors import StateConflict
from dualwrite.core.ports import Clock, Record, Records
from dualwrite.core.records import MEMBER, Member, dump, load

T = TypeVar("T")

CONFLICTS_MAX = 3


class Lease:
    """One MEMBER record of ours. ``until`` is what the hot path compares with the clock."""

    def __init__(
        self,
        records: Records,
        clock: Clock,
        name: str,
        *,
        seconds: float,
        describe: Callable[[int], Member],
        on_lapse: Callable[[], Awaitable[None]],
    ) -> None:
        """``describe(counter)`` makes the record; ``on_lapse`` is awaited between a renewal after
        the lease had run out and the return of the right to work."""
        self._records = records
        self._clock = clock
        self._name = name
        self._seconds = seconds
        self._describe = describe
        self._on_lapse = on_lapse
        self._counter = 0
        self._version: int | None = 0
        self._lock = asyncio.Lock()
        self._released = False
        self.until = -math.inf
        """Monotonic seconds; at and after it nothing may be begun."""
        self.sent = -math.inf
        """When the newest successful renewal was sent."""
        self.told: Member | None = None
        """What the others know of us, for sure."""

    async def take(self, expected: int) -> None:
        """Write the first record over the version ``expected`` (0: over none).

        Raises StateConflict where somebody else holds it, EngineError.
        """
        async with self._lock:
            self._version = expected
            await self._write()

    async def renew(self) -> None:
        """Renew, whatever became of the renewal before. Raises EngineError (try again), or
        StateConflict: the record is somebody else's now."""
        async with self._lock:
            for _ in range(CONFLICTS_MAX):
                if self._released:
                    return
                if self._version is None:
                    await self._find()
                try:
                    await self._write()
                except StateConflict:
                    # A renewal given up for lost did arrive, or a watcher removed the record.
                    self._version = None
                    continue
                return
            raise StateConflict(f"the member record {self._name} is written by somebody else")

    async def release(self) -> None:
        """End the lease at once and remove the record. Raises EngineError, or StateConflict: the
        record is somebody else's."""
        self._released = True
        self.until = -math.inf
        async with self._lock:
            for _ in range(CONFLICTS_MAX):
                await self._find()
                if not self._version:
                    return
                try:
                    await self._bounded(
                        self._records.delete(MEMBER, self._name, expected=self._version)
                    )
                except StateConflict:
                    continue  # a renewal given up for lost did arrive
                return
            raise StateConflict(f"the member record {self._name} is written by somebody else")

    def suspend(self) -> None:
        """Begin nothing more; the record stays until it is released or found dead."""
        self._released = True
        self.until = -math.inf

    async def _write(self) -> None:
        value = self._describe(self._counter + 1)
        sent = self._clock.monotonic_seconds()
        version, self._version = self._version, None
        record: Record = await self._bounded(
            self._records.write(MEMBER, self._name, dump(value), expected=version)
        )
        self._version = record.version
        self._counter += 1
        if self._clock.monotonic_seconds() >= self.until:
            # The others may have gone on without us: look where they are before working again.
            await self._on_lapse()
        if not self._released:
            self.sent, self.told, self.until = sent, value, sent + self._seconds

    async def _find(self) -> None:
        held = await self._bounded(self._records.read(MEMBER, self._name))
        if held is None:
            self._version = 0
            return
        member = load(Member, held.value)
        if member.process != self._describe(0).process:
            raise StateConflict(
                f"the member record {self._name} belongs to another process (pid {member.pid})"
            )
        self._version = held.version
        self._counter = max(self._counter, member.counter)

    async def _bounded(self, work: Coroutine[Any, Any, T]) -> T:
        return await within(self._clock, self._seconds / 2, work)
