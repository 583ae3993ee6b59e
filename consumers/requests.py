"""The requests of consumers: reads in bulk, and what writes ask for under which guard."""

from collections.abc import Sequence
from typing import Any

from dualwrite.core.guards import Guard, sources
from dualwrite.core.items import Item, Key, KeySchema, key_of, key_projection, key_token
from dualwrite.core.phases import Side
from dualwrite.core.ports import Dynamo
from dualwrite.core.spec import MigratedTable, TableSide


def put_if_absent(place: TableSide, item: Item) -> dict[str, Any]:
    """The write of a copy that overwrites nothing."""
    guard = Guard().absent(place.keys.hash.name)
    return {"TableName": place.name, "Item": item, **guard.request()}


async def get_item(dynamo: Dynamo, table: str, key: Key) -> Item | None:
    """A consistent read. Raises EngineError."""
    answer = await dynamo.call("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True})
    return answer.get("Item")


async def get_items(
    dynamo: Dynamo, table: str, schema: KeySchema, keys: Sequence[Key], *, keys_only: bool = False
) -> dict[str, Item | None]:
    """Consistent reads of up to 100 distinct keys, by their tokens.

    What the engine left unprocessed is not in the answer. Raises EngineError.
    """
    if not keys:
        return {}
    wanted: dict[str, Any] = {"Keys": list(keys), "ConsistentRead": True}
    if keys_only:
        wanted |= key_projection(schema)
    answer = await dynamo.call("BatchGetItem", {"RequestItems": {table: wanted}})
    found: dict[str, Item | None] = {key_token(key, schema): None for key in keys}
    for key in answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", ()):
        del found[key_token(key, schema)]
    for item in answer.get("Responses", {}).get(table, ()):
        found[key_token(item, schema)] = item
    return found


def cure_in_place_request(table: MigratedTable, item: Item, wanted: Item) -> dict[str, Any]:
    """Set the derived attributes that an item lacks or has wrong, if nothing of what they were made
    from has changed."""
    missing = {name: value for name, value in wanted.items() if item.get(name) != value}
    place = table.old
    guard = Guard().exists(place.keys.hash.name)
    for name in sources(table, Side.OLD):
        guard.as_was(name, item)
    assignments = [f"{guard.name(name)} = {guard.value(v)}" for name, v in missing.items()]
    return {
        "TableName": place.name,
        "Key": key_of(item, place.keys),
        "UpdateExpression": "SET " + ", ".join(assignments),
        **guard.request(),
    }
