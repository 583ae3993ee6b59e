"""The last thing that is done to a migrated table: the hidden attributes are taken off its items.

Only for a table whose migration is done and that no proxy serves any more: clients of the old
dialect are answered out of what is taken off here.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dualwrite.core.errors import RETRYABLE, THROTTLED, OutcomeUnknown, Refused
from dualwrite.core.items import OTHER, STAMP, Item, key_projection
from dualwrite.core.ports import Clock, Dynamo
from dualwrite.core.settle import condition_failed
from dualwrite.core.spec import TableSide
from dualwrite.gathering import gathered
from dualwrite.rate import Meter

AT_ONCE = 16
"""Items that are cleaned side by side."""
TRIES_MAX = 20
PAUSE_SECONDS = 0.2
"""Before a call that was throttled or not answered is made again."""
_IS_THERE = f"attribute_exists({STAMP}) OR attribute_exists({OTHER})"


class Cleaned(NamedTuple):
    """Counts of items so far."""

    scanned: int = 0
    cleaned: int = 0


class Cleaner:
    """Cleans one table; what was begun and broken off may be begun again."""

    def __init__(
        self, dynamo: Dynamo, clock: Clock, side: TableSide, *, write_units_per_second: float = 0.0
    ) -> None:
        """``write_units_per_second``: 0 means without limit; throttling slows it in any case."""
        self._dynamo = dynamo
        self._clock = clock
        self._side = side
        self._per_second = write_units_per_second
        self._meter = Meter(clock)

    async def run(self, told: Callable[[Cleaned], None] = lambda cleaned: None) -> Cleaned:
        """Clean all items; ``told`` hears how far it is after each page. Raises EngineError."""
        so_far, following = Cleaned(), None
        while True:
            page = await self._page(following)
            done = []
            for start in range(0, len(page["Items"]), AT_ONCE):
                part = page["Items"][start : start + AT_ONCE]
                done += await gathered(self._clean(key) for key in part)
            so_far = Cleaned(so_far.scanned + page["ScannedCount"], so_far.cleaned + sum(done))
            told(so_far)
            following = page.get("LastEvaluatedKey")
            if following is None:
                return so_far

    async def _page(self, following: Item | None) -> dict[str, Any]:
        request: dict[str, Any] = {
            "TableName": self._side.name,
            "ConsistentRead": True,
            "FilterExpression": _IS_THERE,
            **key_projection(self._side.keys),
        }
        if following is not None:
            request["ExclusiveStartKey"] = following
        return await self._asked("Scan", request)

    async def _clean(self, key: Item) -> bool:
        """Whether there was something to take off. The condition keeps an item that was deleted
        meanwhile from being made anew."""
        await self._meter.ready(self._per_second)
        request = {
            "TableName": self._side.name,
            "Key": key,
            "UpdateExpression": f"REMOVE {STAMP}, {OTHER}",
            "ConditionExpression": _IS_THERE,
            "ReturnConsumedCapacity": "TOTAL",
        }
        try:
            answer = await self._asked("UpdateItem", request)
        except Refused as error:
            if condition_failed(error):
                return False
            raise
        self._meter.spend(answer.get("ConsumedCapacity", {}).get("CapacityUnits", 1.0))
        return True

    async def _asked(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask until there is an answer, within bounds: both calls may be made twice."""
        for tries_left in reversed(range(TRIES_MAX)):
            try:
                return await self._dynamo.call(operation, request)
            except Refused as error:
                if error.code not in RETRYABLE or not tries_left:
                    raise
                if error.code in THROTTLED:
                    self._meter.throttled()
            except OutcomeUnknown:
                if not tries_left:
                    raise
            await self._clock.sleep(PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")
