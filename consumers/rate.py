"""A bound on capacity units a second."""

from collections.abc import Iterable, Mapping
from math import ceil

from dualwrite.core.items import AttributeValue, size_bytes
from dualwrite.core.ports import Clock

READ_UNIT_BYTES = 4096
"""AWS: one read unit is a consistent read of up to 4 KB."""
WRITE_UNIT_BYTES = 1024
"""AWS: one write unit is a write of up to 1 KB."""
BURST_SECONDS = 1.0


class Bucket:
    """A token bucket that may go into debt: what costs more than it holds is let through once it is
    not empty, and whoever comes next waits for that."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens = 0.0
        self._at = clock.monotonic_seconds()

    async def take(self, units: float, per_second: float) -> None:
        """Wait until ``units`` may be spent; ``per_second`` 0 means without limit."""
        if per_second <= 0:
            return
        while True:
            now = self._clock.monotonic_seconds()
            bound = per_second * BURST_SECONDS
            self._tokens = min(bound, self._tokens + (now - self._at) * per_second)
            self._at = now
            if self._tokens > 0:
                self._tokens -= units
                return
            await self._clock.sleep(min(1.0, (1.0 - self._tokens) / per_second))


def copy_units(
    items: Iterable[Mapping[str, AttributeValue]], *, in_transactions: bool = False
) -> float:
    """What copying items costs: one read, and a write on either side, which a transaction
    charges twice."""
    writes = 4 if in_transactions else 2
    sizes = [size_bytes(item) for item in items]
    reads = sum(sizes) / READ_UNIT_BYTES
    return reads + sum(writes * ceil(size / WRITE_UNIT_BYTES) for size in sizes)
