"""The requests that consumers send: reads in bulk, and writes under a guard."""

from collections.abc import Mapping, Sequence
from typing import Any

from dualwrite.core.errors import Refused
from dualwrite.core.guards import Guard, sources
from dualwrite.core.items import Item, Key, KeySchema, key_token
from dualwrite.core.phases import Side, TableState
from dualwrite.core.ports import Dynamo, Epochs
from dualwrite.core.spec import MigratedTable
from dualwrite.core.vouching import vouch

_CONDITION_FAILED = "ConditionalCheckFailedException"


async def accepted(
    dynamo: Dynamo, epochs: Epochs, state: TableState, operation: str, request: Mapping[str, Any]
) -> bool:
    """Send a guarded write of work begun under ``state``, if it still may be sent: whether its
    guard held. Raises LeaseExpired, EngineError."""
    vouch(epochs, state)
    try:
        await dynamo.call(operation, request)
    except Refused as error:
        if error.code == _CONDITION_FAILED:
            return False
        raise
    return True


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
        names = {f"#k{at}": name for at, name in enumerate(schema.names)}
        wanted |= {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
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
        "Key": {name: item[name] for name in place.keys.names},
        "UpdateExpression": "SET " + ", ".join(assignments),
        **guard.request(),
    }
