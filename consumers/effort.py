"""Bounded concurrency and back-off, shared by all that writes in this process."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from random import Random
from typing import Any, TypeVar

from consumers.pace import Pace
from dualwrite.core.ports import Clock
from dualwrite.gathering import gathered

S = TypeVar("S")
T = TypeVar("T")


class Effort:
    """At most ``writes_in_flight_max`` keys are worked on at once, whoever asks."""

    def __init__(self, clock: Clock, random: Random, pace: Pace) -> None:
        self._clock = clock
        self._random = random
        self._pace = pace
        self._free = asyncio.Semaphore(pace.writes_in_flight_max)

    async def back_off(self, attempt: int) -> None:
        """Wait before try number ``attempt`` (1 is the first repetition), with full jitter."""
        await self._clock.sleep(
            self.jittered(attempt, self._pace.back_off_seconds, self._pace.back_off_seconds_max)
        )

    async def rest(self, seconds: float) -> None:
        """Do nothing for so long."""
        await self._clock.sleep(seconds)

    def jittered(self, attempt: int, first_seconds: float, seconds_max: float) -> float:
        """A random wait between half and all of an exponential bound."""
        bound = min(seconds_max, first_seconds * 2.0 ** min(attempt, 30))
        return bound * (0.5 + self._random.random() / 2)

    async def together(
        self, work: Callable[[S], Coroutine[Any, Any, T]], items: Iterable[S]
    ) -> list[T]:
        """Work on all items to the end, bounded; then raise the first error there was."""

        async def one(item: S) -> T:
            async with self._free:
                return await work(item)

        return await gathered(one(item) for item in items)
