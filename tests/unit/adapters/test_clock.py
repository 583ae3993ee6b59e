"""The machine's clocks."""

import asyncio

from dualwrite.adapters.clock import SystemClock


def test_the_clocks_go_forward() -> None:
    """Wall time is milliseconds since 1970; the lease clock never runs backwards."""
    clock = SystemClock()
    assert clock.wall_ms() > 1_600_000_000_000
    before = clock.monotonic_seconds()
    asyncio.run(clock.sleep(0.001))
    assert clock.monotonic_seconds() > before
