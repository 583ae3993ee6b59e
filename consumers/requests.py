"""The requests that consumers send: reads in bulk, and writes under a guard."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from dualwrite.core.errors import EngineError, LeaseExpired, Refused
from dualwrite.core.guards import Guard, sources, take_back_request
from dualwrite.core.items import Item, Key, KeySchema, key_token
from dualwrite.core.phases import Side, TableState
from dualwrite.core.ports import Dynamo, Epochs
from dualwrite.core.settle import CONDITION_FALSE, condition_failed, reasons_of
from dualwrite.core.spec import MigratedTable, TableSide
from dualwrite.core.vouching import vouch

log = structlog.get_logger()

TAKE_BACK_TRIES = 5


async def accepted(
    dynamo: Dynamo, epochs: Epochs, state: TableState, operation: str, request: Mapping[str, Any]
) -> bool:
    """Send a guarded write of work begun under ``state``, if it still may be sent: whether its
    guard held. Raises LeaseExpired, EngineError."""
    vouch(epochs, state)
    try:
        await dynamo.call(operation, request)
    except Refused as error:
        if condition_failed(error):
            return False
        raise
    return True


def put_if_absent(place: TableSide, item: Item) -> dict[str, Any]:
    """The write of a copy that overwrites nothing."""
    guard = Guard().absent(place.keys.hash.name)
    return {"TableName": place.name, "Item": item, **guard.request()}


async def put_absent(
    dynamo: Dynamo, epochs: Epochs, state: TableState, table: MigratedTable, item: Item
) -> bool:
    """Put the follower's copy where none is, as ``accepted`` sends: whether none was."""
    request = put_if_absent(table.side(state.phase.leader.other), item)
    fresh = await accepted(dynamo, epochs, state, "PutItem", request)
    if fresh:
        await take_back_late(dynamo, epochs, state, table, [item])
    return fresh


async def take_back_late(
    dynamo: Dynamo, epochs: Epochs, state: TableState, table: MigratedTable, items: Sequence[Item]
) -> None:
    """Remove copies again that were just put where none was, if they might not have been sent any
    more: this process may have been stopped in the middle of the send, while the lead moved and a
    client deleted what they are copies of. No guard of theirs tells "deleted" from "never there".

    Raises LeaseExpired after it has removed them.
    """
    try:
        vouch(epochs, state)
    except LeaseExpired:
        for item in items:
            await _take_back(dynamo, table, state.phase.leader.other, item)
        raise


async def _take_back(dynamo: Dynamo, table: MigratedTable, side: Side, item: Item) -> None:
    request = take_back_request(table, side, item)
    for _ in range(TAKE_BACK_TRIES):
        try:
            await dynamo.call("TransactWriteItems", request)
        except Refused as error:
            if CONDITION_FALSE in {reason.get("Code") for reason in reasons_of(error)}:
                return  # it is right as it is, or somebody has written since
        except EngineError:
            continue
        else:
            log.warning("a late copy was taken back", table=table.name, side=side.value)
            return
    log.error("a late copy stands", table=table.name, side=side.value)


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
