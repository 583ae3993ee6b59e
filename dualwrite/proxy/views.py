"""What a client sees: its own dialect, nothing hidden, its own table's name and capacity."""

from collections.abc import Mapping
from typing import Any

from dualwrite.core.expressions import updated
from dualwrite.core.items import HIDDEN, Item
from dualwrite.core.phases import Side
from dualwrite.core.plan import parsed_update
from dualwrite.core.requests import Body, Wish
from dualwrite.core.spec import MigratedTable
from dualwrite.proxy.services import Services, stored_row


def visible(item: Mapping[str, Any]) -> Item:
    """An item without the service's own attributes."""
    return {name: value for name, value in item.items() if name not in HIDDEN}


async def client_item(
    services: Services, table: MigratedTable, item: Item, side: Side, dialect: Side
) -> Item:
    """A whole stored item as a client of ``dialect`` sees it."""
    if side is dialect or not table.swapped:
        return visible(item)
    return (await stored_row(services, table, item, side)).seen(dialect)


def consumed(body: Body, name: str, reply: Mapping[str, Any], share: float = 1.0) -> Body:
    """The capacity part of a reply, as one table's client would have seen it."""
    asked = body.get("ReturnConsumedCapacity") or "NONE"
    capacity = reply.get("ConsumedCapacity")
    if asked == "NONE" or not isinstance(capacity, dict):
        return {}
    return {"ConsumedCapacity": capacity_as(capacity, name, share)}


def capacity_as(capacity: Mapping[str, Any], name: str, share: float = 1.0) -> Body:
    """One table's capacity under the client's name for it; ``share`` scales all units."""
    shown = {
        part: _scaled(value, share) if part != "TableName" else name
        for part, value in capacity.items()
    }
    shown["TableName"] = name
    return shown


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
