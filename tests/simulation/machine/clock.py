"""The clocks of one process: a wall clock that may be minutes off, a monotonic one that is not."""

import asyncio

from tests.simulation.machine.loop import Lane, SimLoop

EPOCH_SECONDS = 1_700_000_000.0


class SimClock:
    """``skew_seconds`` moves the wall clock, also while the process runs."""

    def __init__(
        self, loop: SimLoop, lane: Lane, skew_seconds: float = 0.0, offset: float = 0.0
    ) -> None:
        self.skew_seconds = skew_seconds
        self._loop = loop
        self._lane = lane
        self._offset = offset

    def wall_ms(self) -> int:
        return int((EPOCH_SECONDS + self._loop.time() + self.skew_seconds) * 1000)

    def monotonic_seconds(self) -> float:
        return self._offset + self._loop.time()

    async def sleep(self, seconds: float) -> None:
        self._lane.check()
        await asyncio.sleep(seconds)
        self._lane.check()
