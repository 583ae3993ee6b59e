"""A clock that moves only when the test says so."""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

STEPS_MAX = 100_000
START_MS = 1_700_000_000_000


class VirtualClock:
    """A ``Clock`` whose sleepers wake in the order of their deadlines, first come first woken.

    Between two deadlines everything that can run has run, so a test is the same each time.
    """

    def __init__(self, start_ms: int = START_MS) -> None:
        self._start_ms = start_ms
        self._now = 0.0
        self._count = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def wall_ms(self) -> int:
        return self._start_ms + round(self._now * 1000)

    def monotonic_seconds(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + max(seconds, 0.0), self._count, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let that much time pass and wake everybody whose time has come."""
        goal = self._now + seconds
        await settle()
        while self._next_deadline() is not None and self._sleepers[0][0] <= goal:
            await self._wake_next()
        self._now = goal
        await settle()

    async def until(self, condition: Callable[[], bool], seconds_max: float = 600.0) -> None:
        """Let time pass until the condition holds."""
        deadline = self._now + seconds_max
        await settle()
        while not condition():
            following = self._next_deadline()
            assert following is not None, "the condition cannot come true: nobody sleeps"
            assert following <= deadline, f"the condition did not hold within {seconds_max} s"
            await self._wake_next()

    async def drive(self, work: Coroutine[Any, Any, T], seconds_max: float = 600.0) -> T:
        """Run ``work`` to its end and let time pass whenever all wait for it."""
        task = asyncio.create_task(work)
        try:
            await self.until(task.done, seconds_max)
        finally:
            if not task.done():
                task.cancel()
        return await task

    def freeze(self, seconds: float) -> None:
        """Time passes and nobody notices, as for a process under SIGSTOP."""
        self._now += seconds

    def _next_deadline(self) -> float | None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    async def _wake_next(self) -> None:
        deadline, _, future = heapq.heappop(self._sleepers)
        self._now = max(self._now, deadline)
        future.set_result(None)
        await settle()


async def settle() -> None:
    """Return once nothing but the caller could run."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # asyncio's own loop
    for _ in range(STEPS_MAX):
        await asyncio.sleep(0)
        if not ready:
            return
    raise AssertionError("the tasks never come to rest")
