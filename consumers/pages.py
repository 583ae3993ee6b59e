"""One page of a table: scanned, and copied to the last item, at the pace that both sides bear."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from consumers.copy import Copied, Copier
from consumers.effort import Effort
from consumers.members import Consumers
from consumers.pace import Pace
from consumers.statements import STATEMENTS_MAX
from dualwrite.core import metric_names
from dualwrite.core.capacity import READ_UNIT_BYTES
from dualwrite.core.errors import THROTTLED, Refused
from dualwrite.core.items import Item
from dualwrite.core.phases import Kind
from dualwrite.core.ports import Clock, Dynamo, Metrics
from dualwrite.core.records import BackfillOrder, Segment
from dualwrite.core.spec import MigratedTable
from dualwrite.rate import Meter, read_units, write_units

BATCHES_AT_ONCE = 2
"""Batches of one segment in flight together."""

Units = Literal["read", "write"]
Ask = Callable[[], BackfillOrder]
"""The order as it stands now, for it may be changed at any time. Raises NotNow."""


class Page(NamedTuple):
    """Items of one scan, and where the next one begins; None after the last."""

    items: list[Item]
    following: Mapping[str, Any] | None


class Pages:
    """All segments of this process go by the same meters."""

    def __init__(
        self,
        dynamo: Dynamo,
        copier: Copier,
        consumers: Consumers,
        clock: Clock,
        metrics: Metrics,
        effort: Effort,
        pace: Pace,
    ) -> None:
        self._dynamo = dynamo
        self._copier = copier
        self._consumers = consumers
        self._metrics = metrics
        self._effort = effort
        self._pace = pace
        self._meters: dict[tuple[str, Units], Meter] = defaultdict(lambda: Meter(clock))

    async def scan(
        self, table: MigratedTable, number: int, segment: Segment, order: BackfillOrder
    ) -> Page:
        """The next page of a segment. Raises EngineError."""
        meter = self._meters[table.name, "read"]
        mine = self._share(order.read_units_per_second_max)
        await meter.ready(mine)
        request: dict[str, Any] = {
            "TableName": table.old.name,
            "ConsistentRead": True,
            "Segment": number,
            "TotalSegments": order.segments,
            "Limit": self._limit(segment, meter.bound(mine)),
        }
        if segment.checkpoint is not None:
            request["ExclusiveStartKey"] = segment.checkpoint
        try:
            answer = await self._dynamo.call("Scan", request)
        except Refused as error:
            if error.code in THROTTLED:
                self._slow_down(table, "read")
            raise
        items: list[Item] = answer.get("Items", [])
        meter.spend(read_units(items))
        return Page(items, answer.get("LastEvaluatedKey") or None)

    def _limit(self, segment: Segment, units_per_second: float) -> int:
        """Items of a page: of a second's worth where the pace is bounded, so that it stays even."""
        most = self._pace.scan_page_items
        if not units_per_second or not segment.scanned or not segment.bytes:
            return most
        item_bytes = segment.bytes / segment.scanned
        return max(1, min(most, int(units_per_second * READ_UNIT_BYTES / item_bytes)))

    async def copy(
        self, table: MigratedTable, items: Sequence[Item], ask: Ask, *, looks: bool
    ) -> Counter[Copied]:
        """Copy a page. ``looks``: see first what is there, since most of it may be. What the engine
        has no capacity for is done again, for as long as the order stands.

        Raises NotNow, LeaseExpired, EngineError; then all of it is to be done again.
        """
        counts: Counter[Copied] = Counter()
        waiting = list(items)
        throttled = 0
        while waiting:
            order = ask()
            together, in_one = self._together(table, order)
            step = max(self._pace.writes_in_flight_max, BATCHES_AT_ONCE * together)
            part, waiting = waiting[:step], waiting[step:]
            if looks:
                absent = await self._absent(table, part, order)
                counts[Copied.PRESENT] += len(part) - len(absent)
                part = absent
            done = await self._written(table, part, order, together, in_one=in_one)
            again = [item for item, copied in done if copied is Copied.THROTTLED]
            counts.update(copied for _, copied in done if copied is not Copied.THROTTLED)
            waiting = again + waiting
            throttled = throttled + 1 if again else 0
            if again:
                self._slow_down(table, "write")
                await self._effort.back_off(throttled)
        return counts

    async def _written(
        self,
        table: MigratedTable,
        items: Sequence[Item],
        order: BackfillOrder,
        together: int,
        *,
        in_one: bool,
    ) -> list[tuple[Item, Copied]]:
        if not items:
            return []
        meter = self._meters[table.name, "write"]
        await meter.ready(self._share(order.write_units_per_second_max))
        meter.spend(write_units(items, in_transactions=in_one))
        groups = [items[at : at + together] for at in range(0, len(items), together)]
        copy = partial(self._copier.copy_all, table, in_one=in_one)
        found = await self._effort.together(copy, groups)
        return list(zip(items, (one for group in found for one in group), strict=True))

    async def _absent(
        self, table: MigratedTable, items: Sequence[Item], order: BackfillOrder
    ) -> list[Item]:
        """Those that must be written, as far as one read tells."""
        if table.kind is Kind.IN_PLACE:
            return list(items)  # they tell themselves
        meter = self._meters[table.name, "read"]
        await meter.ready(self._share(order.read_units_per_second_max))
        meter.spend(float(len(items)))
        try:
            settled = await self._copier.settled(table, items)
        except Refused as error:
            if error.code not in THROTTLED:
                raise
            self._slow_down(table, "read")
            return list(items)
        return [item for item, done in zip(items, settled, strict=True) if not done]

    def _together(self, table: MigratedTable, order: BackfillOrder) -> tuple[int, bool]:
        """Items of one call, and whether that is a transaction."""
        if order.items_together > 1:
            return order.items_together, True
        statements = self._copier.in_statements and table.kind is Kind.REKEY
        return (STATEMENTS_MAX if statements else 1), False

    def _share(self, per_second: float) -> float:
        """Everybody takes his part of what the order allows."""
        return per_second / len(self._consumers.live)

    def _slow_down(self, table: MigratedTable, units: Units) -> None:
        if self._meters[table.name, units].throttled():
            self._metrics.add(metric_names.BACKFILL_THROTTLED, table.name, units)
