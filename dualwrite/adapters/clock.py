"""The machine's clocks."""

import asyncio
import time

_LEASE_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""It must go on while the machine sleeps, or a lease would outlive its time: Linux's
``CLOCK_MONOTONIC`` stands still then (clock_getres(2)); that of macOS does not."""


class SystemClock:
    """The real ``Clock``."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_seconds(self) -> float:
        return time.clock_gettime(_LEASE_CLOCK)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
