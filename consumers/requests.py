"""The requests that consumers send: reads in bulk, and writes under a guard."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from dualwrite.core.errors import EngineError, LeaseExpired, Refused
from dualwrite.core.guards import Guard, sources, take_back_request
from dualwrite.core.items import Item, Key, KeySchema, key_token
from dualwrite.core.phases import Side, TableState
from dualwrite.core.ports import Dynamo, Epochs
from dualwrite.core.spec import MigratedTable, TableSide
from dualwrite.core.vouching import vouch

log = structlog.get_logger()

TAKE_BACK_TRIES = 5
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


def put_if_absent(place: TableSide, item: Item) -> dict[str, Any]:
    """The write of a copy that overwrites nothing."""
    guard = Guard().absent(place.keys.hash.name)
    return {"TableName": place.name, "Item": item, **guard.request()}


async def put_absent(
    dynamo: Dynamo, epochs: Epochs, state: TableState, place: TableSide, item: Item
) -> bool:
    """Put a copy where none is, as ``accepted`` sends: whether none was."""
    fresh = await accepted(dynamo, epochs, state, "PutItem", put_if_absent(place, item))
    if fresh:
        await take_back_late(dynamo, epochs, state, place, [item])
    return fresh


async def take_back_late(
    dynamo: Dynamo, epochs: Epochs, state: TableState, place: TableSide, items: Sequence[Item]
) -> None:
    """Remove copies again that were just put where none was, if they might not have been sent any
    more: this process may have been stopped in the middle of the send, while the lead moved and a
    client deleted what they are copies of. No guard tells "deleted" from "never there".

    Raises LeaseExpired after it has removed them.
    """
    try:
        vouch(epochs, state)
    except LeaseExpired:
        for item in items:
            await _take_back(dynamo, place, item)
        raise


async def _take_back(dynamo: Dynamo, place: TableSide, item: Item) -> None:
    request = take_back_request(place, item)
    log.warning("a late copy is taken back", table=place.name)
    for _ in range(TAKE_BACK_TRIES):
        try:
            await dynamo.call("DeleteItem", request)
            return
        except Refused as error:
            if error.code == _CONDITION_FAILED:
                return
        except EngineError:
            continue
    log.error("a late copy stands", table=place.name)


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
