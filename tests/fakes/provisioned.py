"""Two tables of equal rows with provisioned capacity: what costs more than is left is refused."""

from collections.abc import Mapping
from typing import Any

from dualwrite.core.errors import Refused
from dualwrite.core.items import Item, key_token
from dualwrite.core.phases import Side
from dualwrite.core.ports import Clock
from dualwrite.core.spec import MigratedTable, TableSide
from tests.fakes.verifying import row, text

UNITS_AN_ITEM = 1.0
PAGE_ITEMS_MAX = 256
"""AWS: a page holds at most 1 MB; these items have 4 KB."""


class Bucket:
    """Tokens of one table. As AWS does, it lets through what costs more than it holds, and then
    refuses until that is made up for."""

    def __init__(self, clock: Clock, units_per_second: float) -> None:
        self._clock = clock
        self.units_per_second = units_per_second
        self._tokens = units_per_second
        self._at = clock.monotonic_seconds()

    def left(self) -> float:
        now = self._clock.monotonic_seconds()
        self._tokens += (now - self._at) * self.units_per_second
        self._tokens = min(self._tokens, self.units_per_second)
        self._at = now
        return self._tokens

    def take(self, units: float) -> None:
        """Raises Refused."""
        if self.left() <= 0:
            code = "ProvisionedThroughputExceededException"
            raise Refused(
                code, "The level of configured provisioned throughput was exceeded", 400, {}
            )
        self._tokens -= units


class ProvisionedTables:
    """A ``Dynamo`` that knows Scan and BatchGetItem; ``away`` makes it refuse everything."""

    def __init__(
        self, clock: Clock, table: MigratedTable, rows: int, units_per_second: float
    ) -> None:
        self._clock = clock
        self._sides: dict[str, TableSide] = {}
        self._rows: dict[str, dict[str, Item]] = {}
        self.buckets: dict[str, Bucket] = {}
        for side in Side:
            place = table.side(side)
            items = [
                row(table, text(endpoint_id="acme-prod", board_id=f"b{n:05d}")).stored(side)
                for n in range(rows)
            ]
            self._sides[place.name] = place
            self._rows[place.name] = {key_token(item, place.keys): item for item in items}
            self.buckets[place.name] = Bucket(clock, units_per_second)
        self.away = False
        self.calls = 0
        self.refusals = 0
        self.limits: list[int] = []
        """What the scans asked for."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.calls += 1
        await self._clock.sleep(0.005)
        try:
            if self.away:
                raise Refused("ThrottlingException", "Rate exceeded", 400, {})
            return self._scan(request) if operation == "Scan" else self._batch(request)
        except Refused:
            self.refusals += 1
            raise

    def _scan(self, request: Mapping[str, Any]) -> dict[str, Any]:
        name = request["TableName"]
        self.limits.append(request["Limit"])
        mine = list(self._rows[name].values())[request["Segment"] :: request["TotalSegments"]]
        start = int(request.get("ExclusiveStartKey", {}).get("at", {}).get("N", 0))
        size = min(request["Limit"], PAGE_ITEMS_MAX)
        items = mine[start : start + size]
        units = max(1.0, len(items) * UNITS_AN_ITEM)
        self.buckets[name].take(units)
        answer: dict[str, Any] = {"Items": items, "ConsumedCapacity": {"CapacityUnits": units}}
        if start + size < len(mine):
            answer["LastEvaluatedKey"] = {"at": {"N": str(start + size)}}
        return answer

    def _batch(self, request: Mapping[str, Any]) -> dict[str, Any]:
        [(name, asked)] = request["RequestItems"].items()
        bucket, keys = self.buckets[name], asked["Keys"]
        # AWS: it answers what there is capacity for, and refuses only where there is for none.
        many = max(1, min(len(keys), int(bucket.left() / UNITS_AN_ITEM)))
        bucket.take(many * UNITS_AN_ITEM)
        schema = self._sides[name].keys
        found = [self._rows[name].get(key_token(key, schema)) for key in keys[:many]]
        answer: dict[str, Any] = {
            "Responses": {name: [item for item in found if item is not None]},
            "ConsumedCapacity": [{"TableName": name, "CapacityUnits": many * UNITS_AN_ITEM}],
        }
        if keys[many:]:
            answer["UnprocessedKeys"] = {name: {"Keys": keys[many:]}}
        return answer
