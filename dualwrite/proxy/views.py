"""What a client sees: its own dialect, nothing hidden, its own table's name and capacity."""

from collections.abc import Iterable, Mapping
from typing import Any

from dualwrite.core.capacity import of_write
from dualwrite.core.derivation import Problem
from dualwrite.core.expressions import updated
from dualwrite.core.items import Item, visible
from dualwrite.core.phases import Side
from dualwrite.core.plan import parsed_update
from dualwrite.core.requests import Body, Wish
from dualwrite.core.spec import MigratedTable
from dualwrite.core.transform import translate_key
from dualwrite.proxy.rows import stored_row
from dualwrite.proxy.services import Services

TOTAL_PARTS = ("TableName", "CapacityUnits")
"""What a single call tells of its capacity without its indexes."""


async def client_item(
    services: Services, table: MigratedTable, item: Item, side: Side, dialect: Side
) -> Item:
    """A whole stored item as a client of ``dialect`` sees it."""
    if side is dialect or not table.swapped:
        return visible(item)
    return (await stored_row(services, table, item, side)).seen(dialect)


def besides(wish: Wish, side: Side, reply: Mapping[str, Any], images: Iterable[Item] = ()) -> Body:
    """What comes along with a single write's reply: capacity and collection metrics, as one
    table's client would have seen them. ``side``: where the reply is from; ``images``: what is
    known to have stood there before and after."""
    shown = consumed(wish.body, wish.table.side(wish.dialect).name, reply)
    if "ConsumedCapacity" in shown:
        told = of_write(shown["ConsumedCapacity"], wish.table, side, wish.dialect, images)
        shown["ConsumedCapacity"] = told
    if metrics := reply.get("ItemCollectionMetrics"):
        shown["ItemCollectionMetrics"] = collection(wish.table, metrics, side, wish.dialect)
    return shown


def consumed(body: Body, name: str, reply: Mapping[str, Any]) -> Body:
    """The capacity part of a reply, as one table's client would have seen it."""
    asked = body.get("ReturnConsumedCapacity") or "NONE"
    capacity = reply.get("ConsumedCapacity")
    if asked == "NONE" or not isinstance(capacity, dict):
        return {}
    shown = capacity_as(capacity, name)
    if asked == "TOTAL":
        shown = {part: value for part, value in shown.items() if part in TOTAL_PARTS}
    return {"ConsumedCapacity": shown}


def capacity_as(capacity: Mapping[str, Any], name: str, share: float = 1.0) -> Body:
    """One table's capacity under the client's name for it; ``share`` scales all units."""
    return {**{part: _scaled(value, share) for part, value in capacity.items()}, "TableName": name}


def merged(capacities: Iterable[Body]) -> list[Body]:
    """One entry for each table name, its units added up."""
    by_name: dict[str, Body] = {}
    for capacity in capacities:
        name = capacity["TableName"]
        by_name[name] = _added(by_name[name], capacity) if name in by_name else capacity
    return list(by_name.values())


def _added(one: Body, other: Body) -> Body:
    total = dict(one)
    for part, value in other.items():
        if isinstance(value, dict):
            total[part] = _added(total.get(part, {}), value)
        elif isinstance(value, int | float):
            total[part] = total.get(part, 0) + value
    return total


def collection(table: MigratedTable, metrics: Body, side: Side, dialect: Side) -> Body:
    """One ItemCollectionMetrics entry under the client's own hash key."""
    key = metrics.get("ItemCollectionKey")
    if key is None:
        return metrics
    if side is not dialect and not table.alike:
        return {}
    theirs = translate_key(table, key, side, dialect)
    return {} if isinstance(theirs, Problem) else {**metrics, "ItemCollectionKey": theirs}


def _scaled(value: Any, share: float) -> Any:
    if isinstance(value, dict):
        return {name: _scaled(inner, share) for name, inner in value.items()}
    return value * share if isinstance(value, int | float) else value


def returned(wish: Wish, before: Item | None, after: Item | None) -> Body:
    """The Attributes that ReturnValues asks for, from the images in the client's dialect."""
    match wish.return_values:
        case "ALL_OLD":
            attributes = before
        case "ALL_NEW":
            attributes = after
        case "UPDATED_OLD" | "UPDATED_NEW" as which:
            attributes = updated(parsed_update(wish), before, after or {}, which)
        case _:
            attributes = None
    return {"Attributes": attributes} if attributes else {}
