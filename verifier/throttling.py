"""What a sweep does where an engine has no capacity for it: it waits, and takes what others leave.

Nothing is given up for throttling, since a sweep that left out a segment would prove nothing; who
asked says how long it is wanted. AWS: a page may cost 256 read units, five seconds of a table of
50. So once a table has throttled, a request asks for no more than a second's worth of what it bore.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from dualwrite.core.errors import THROTTLED, Refused
from dualwrite.core.items import Item
from dualwrite.core.ports import Clock
from dualwrite.rate import Meter, read_units

PAUSE_SECONDS = 0.1
"""After the first refusal; then twice as long each time."""
PAUSE_SECONDS_MAX = 5.0
DOUBLINGS_MAX = 10
ITEMS_UNKNOWN = 25
"""Asked for of a table that throttled before it told what its items cost."""

T = TypeVar("T")

Wanted = Callable[[], None]
"""Raises what ends the wait once nobody wants the answer any more."""


def pause_seconds(refusals: int) -> float:
    """How long to wait after so many refusals in a row."""
    return min(PAUSE_SECONDS_MAX, PAUSE_SECONDS * 2.0 ** min(refusals - 1, DOUBLINGS_MAX))


async def patiently(
    clock: Clock,
    wanted: Wanted,
    ask: Callable[[], Awaitable[T]],
    throttled: Callable[[], None] = lambda: None,
) -> T:
    """The answer, once there is capacity for it; ``throttled`` is called for each refusal. Raises
    what ``wanted`` and ``ask`` do."""
    refusals = 0
    while True:
        try:
            return await ask()
        except Refused as error:
            if error.code not in THROTTLED:
                raise
        throttled()
        refusals += 1
        await clock.sleep(pause_seconds(refusals))
        wanted()


class ReadPace:
    """The pace of one process's reads of one table, and what its items cost."""

    def __init__(self, clock: Clock) -> None:
        self._meter = Meter(clock)
        self._costs: dict[str, float] = {}
        """By operation: read units an item of the newest answer that had any."""

    async def ready(self) -> None:
        """Wait for the pace; no time passes for a table that did not throttle lately."""
        await self._meter.ready(0.0)

    def items(self, operation: str, most: int) -> int:
        """How many items to ask for at once."""
        units = self._meter.bound(0.0)
        if not units:
            return most
        cost = self._costs.get(operation)
        return min(most, ITEMS_UNKNOWN if cost is None else max(1, int(units / cost)))

    @contextmanager
    def sending(self, operation: str, items: int) -> Iterator[None]:
        """While a request is under way it counts for what it may cost, so that those beside it do
        not all find the pace unspent; then its answer counts."""
        units = items * self._costs.get(operation, 0.0)
        self._meter.spend(units)
        try:
            yield
        finally:
            self._meter.spend(-units)

    def spend(self, operation: str, items: int, units: float) -> None:
        """Account for an answer about so many items."""
        self._meter.spend(units)
        if items:
            self._costs[operation] = max(units / items, 1e-6)

    def throttled(self) -> bool:
        """Go slower. False where that was said a moment ago."""
        return self._meter.throttled()


def units_of(answer: Mapping[str, Any], items: Sequence[Item]) -> float:
    """What an answer says that it cost, or what its items would."""
    told = answer.get("ConsumedCapacity")
    tables = told if isinstance(told, list) else [told or {}]
    units = sum(float(table.get("CapacityUnits", 0.0)) for table in tables)
    return units or read_units(items)
