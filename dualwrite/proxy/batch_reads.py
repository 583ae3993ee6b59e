"""BatchGetItem and TransactGetItems that touch managed tables.

Keys go to the side that serves each of them; where both of a client's tables end up in one
physical table, or one table's keys on two sides, the batch is sent as several.
"""

import asyncio
from dataclasses import dataclass, field

from dualwrite.core.capacity import of_reads, seen_bytes
from dualwrite.core.errors import ValidationError
from dualwrite.core.items import Item, Key, size_bytes
from dualwrite.core.key_values import check_key
from dualwrite.core.naming import short_name
from dualwrite.core.phases import Side
from dualwrite.core.plan import key_on
from dualwrite.core.read_shape import Shape, shape_of
from dualwrite.core.requests import Body, managed
from dualwrite.core.shapes import shaped
from dualwrite.core.spec import MigratedTable
from dualwrite.proxy.reads import count_read, side_of_key
from dualwrite.proxy.services import Services, States, call
from dualwrite.proxy.views import capacity_as, client_item, merged

KEYS_MAX = 100
"""AWS: BatchGetItem takes at most 100 keys."""

PROJECTING = frozenset({"ProjectionExpression", "AttributesToGet"})


@dataclass(slots=True)
class Ask:
    """One client table's keys as one side is asked for them."""

    client_name: str
    table: MigratedTable | None
    dialect: Side
    side: Side
    request: Body
    shape: Shape | None = None
    """What is cut out of whole items here; None: the engine did it."""


@dataclass(slots=True)
class Round:
    """One upstream BatchGetItem: at most one ask for each physical table."""

    asks: dict[str, Ask] = field(default_factory=dict)


async def batch_get(services: Services, body: Body, states: States) -> Body:
    """BatchGetItem; raises ClientError."""
    body = shaped(body, "BatchGetItem")
    requests = {
        name: shaped(part, "KeysAndAttributes")
        for name, part in body.get("RequestItems", {}).items()
    }
    if not requests:
        raise ValidationError(
            "1 validation error detected: Value null at 'requestItems' failed to satisfy "
            "constraint: Member must not be null"
        )
    if not all(part.get("Keys") for part in requests.values()):
        raise ValidationError(
            "1 validation error detected: Value '[]' at 'requestItems' failed to satisfy "
            "constraint: Map value must satisfy constraint: [Member must satisfy constraint: "
            "Member must have length greater than or equal to 1]"
        )
    if sum(len(part["Keys"]) for part in requests.values()) > KEYS_MAX:
        raise ValidationError("Too many items requested for the BatchGetItem call")
    rounds: list[Round] = []
    for name, part in requests.items():
        for ask in _asks(services, name, part, states):
            physical = ask.table.side(ask.side).name if ask.table else name
            fitting = next((r for r in rounds if physical not in r.asks), None)
            if fitting is None:
                fitting = Round()
                rounds.append(fitting)
            fitting.asks[physical] = ask
    replies = await asyncio.gather(*(_ask_round(services, body, each) for each in rounds))
    shown: Body = {"Responses": {name: [] for name in requests}, "UnprocessedKeys": {}}
    capacities: list[Body] = []
    for each, reply in zip(rounds, replies, strict=True):
        await _collect(services, each, reply, requests, shown)
        capacities += [
            capacity_as(
                _charged(capacity, each.asks[capacity["TableName"]], reply),
                each.asks[capacity["TableName"]].client_name,
            )
            for capacity in reply.get("ConsumedCapacity") or ()
        ]
    if body.get("ReturnConsumedCapacity", "NONE") != "NONE":
        shown["ConsumedCapacity"] = merged(capacities)
    return shown


def _asks(services: Services, name: str, part: Body, states: States) -> list[Ask]:
    """Split one client table's keys by the side that serves each."""
    found = managed(services.migration, short_name(name))
    if found is None:
        return [Ask(name, None, Side.OLD, Side.OLD, part)]
    table, dialect = found
    shape = shape_of("BatchGetItem", part, table.side(dialect))
    consistent = bool(part.get("ConsistentRead"))
    by_side: dict[Side, list[Key]] = {}
    for key in part["Keys"]:
        check_key(key, table.side(dialect).keys)
        state = states[table.name]
        side = side_of_key(table, dialect, state, key, consistent=consistent)
        by_side.setdefault(side, []).append(key)
        count_read(services, table, side)
    asks = []
    for side, keys in by_side.items():
        if side is dialect or not table.swapped:
            asks.append(Ask(name, table, dialect, side, {**part, "Keys": keys}))
            continue
        request = {
            "Keys": [key_on(table, key, dialect, side) for key in keys],
            "ConsistentRead": consistent,
        }
        asks.append(Ask(name, table, dialect, side, request, shape))
    return asks


async def _ask_round(services: Services, body: Body, each: Round) -> Body:
    request: Body = {"RequestItems": {name: ask.request for name, ask in each.asks.items()}}
    if "ReturnConsumedCapacity" in body:
        request["ReturnConsumedCapacity"] = body["ReturnConsumedCapacity"]
    return await call(services, "BatchGetItem", request)


async def _collect(
    services: Services, each: Round, reply: Body, requests: Body, shown: Body
) -> None:
    for physical, items in (reply.get("Responses") or {}).items():
        ask = each.asks[physical]
        shown["Responses"][ask.client_name] += [await _show(services, ask, i) for i in items]
    for physical, rest in (reply.get("UnprocessedKeys") or {}).items():
        ask = each.asks[physical]
        keys = rest["Keys"]
        if ask.table is not None:
            keys = [key_on(ask.table, key, ask.side, ask.dialect) for key in keys]
        unprocessed = shown["UnprocessedKeys"].setdefault(
            ask.client_name, {**requests[ask.client_name], "Keys": []}
        )
        unprocessed["Keys"] += keys


def _charged(capacity: Body, ask: Ask, reply: Body) -> Body:
    """One table's capacity as its items take it in the client's eyes, where they came whole."""
    name, part = capacity["TableName"], ask.request
    if ask.table is None or not PROJECTING.isdisjoint(part):
        return capacity
    items = (reply.get("Responses") or {}).get(name) or []
    left = (reply.get("UnprocessedKeys") or {}).get(name) or {}
    missing = len(part["Keys"]) - len(items) - len(left.get("Keys") or [])
    sizes = [
        (size_bytes(item), seen_bytes(ask.table, item, ask.side, ask.dialect)) for item in items
    ]
    return of_reads(capacity, sizes, missing, 1.0 if part.get("ConsistentRead") else 0.5)


async def _show(services: Services, ask: Ask, item: Item) -> Item:
    if ask.table is None:
        return item
    seen = await client_item(services, ask.table, item, ask.side, ask.dialect)
    return seen if ask.shape is None else ask.shape.cut(seen)


async def transact_get(services: Services, body: Body, states: States) -> Body:
    """TransactGetItems: all from the leaders, so that the read is one snapshot of them. Raises
    ClientError."""
    body = shaped(body, "TransactGetItems")
    actions = body.get("TransactItems")
    if not actions:
        raise ValidationError(
            "1 validation error detected: Value null at 'transactItems' failed to satisfy "
            "constraint: Member must not be null"
        )
    asks = [_transact_ask(services, action, states) for action in actions]
    request = {**body, "TransactItems": [{"Get": ask.request} for ask in asks]}
    reply = await call(services, "TransactGetItems", request)
    shown = dict(reply)
    responses = []
    for ask, response in zip(asks, reply.get("Responses") or (), strict=False):
        item = response.get("Item")
        responses.append({"Item": await _show(services, ask, item)} if item else response)
    shown["Responses"] = responses
    if "ConsumedCapacity" in reply:
        names = {ask.request["TableName"]: ask.client_name for ask in asks}
        shown["ConsumedCapacity"] = [
            capacity_as(capacity, names.get(capacity["TableName"], capacity["TableName"]))
            for capacity in reply["ConsumedCapacity"]
        ]
    return shown


def _transact_ask(services: Services, action: Body, states: States) -> Ask:
    part = shaped(action, "TransactGetItem").get("Get")
    if part is None:
        raise ValidationError("TransactItems must hold Get requests only")
    part = shaped(part, "Get")
    name = part.get("TableName")
    found = managed(services.migration, short_name(name))
    if found is None:
        return Ask(str(name), None, Side.OLD, Side.OLD, part)
    table, dialect = found
    shape = shape_of("TransactGetItems", part, table.side(dialect))
    key = check_key(part.get("Key"), table.side(dialect).keys)
    side = side_of_key(table, dialect, states[table.name], key, consistent=True)
    count_read(services, table, side)
    physical = table.side(side).name
    if side is dialect or not table.swapped:
        request = {**part, "TableName": physical}
        return Ask(str(name), table, dialect, side, request)
    request = {"TableName": physical, "Key": key_on(table, key, dialect, side)}
    return Ask(str(name), table, dialect, side, request, shape)
