"""GetItem, Query and Scan on a managed table.

A read that is served by the client's own side goes out as it came, and loses what is hidden on its
way back. One that is served by the other side is fetched whole, put into the client's dialect, and
filtered and projected here: exact also where a row has no hidden map yet. Filters act after Limit
in DynamoDB, so pages, Count and ScannedCount stay what they would have been.
"""

from dataclasses import dataclass

from dualwrite.core import metric_names
from dualwrite.core.capacity import asks_capacity, of_read, seen_bytes
from dualwrite.core.derivation import Problem
from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    Attribute,
    Between,
    Comparison,
    Condition,
    Function,
    KeyCondition,
    Literal,
    Placeholders,
    RangeCondition,
    all_of,
    check_value,
    equals,
    key_condition,
    parse_condition,
    render,
)
from dualwrite.core.items import PAGE, Item, Key, KeySchema, canonical, size_bytes, visible
from dualwrite.core.key_values import check_key
from dualwrite.core.legacy import key_condition_meant
from dualwrite.core.phases import Kind, Mode, Phase, Side, TableState
from dualwrite.core.plan import key_on
from dualwrite.core.read_shape import Shape, check_segment, shape_of
from dualwrite.core.requests import Body, refuse_hidden
from dualwrite.core.shapes import shaped
from dualwrite.core.sharing import marked, on_leader_alone, on_own_side, pinned, read_side
from dualwrite.core.spec import MigratedTable
from dualwrite.core.transform import Row, translate_key
from dualwrite.proxy.rows import placed_row
from dualwrite.proxy.services import Services, call
from dualwrite.proxy.views import client_item, consumed

SHAPING = (
    "ProjectionExpression",
    "AttributesToGet",
    "FilterExpression",
    "QueryFilter",
    "ScanFilter",
    "ConditionalOperator",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "KeyConditionExpression",
    "KeyConditions",
    "Select",
    "ExclusiveStartKey",
)
"""Parameters that are replaced when the other side serves a Query or Scan."""
NO_START = "The provided starting key is invalid"
WHOLE = frozenset(
    {
        "ProjectionExpression",
        "AttributesToGet",
        "FilterExpression",
        "QueryFilter",
        "ScanFilter",
        "IndexName",
        "Select",
    }
)
"""Parameters without which a page holds all that was read for it, whole."""


async def get(
    services: Services, table: MigratedTable, dialect: Side, state: TableState, body: Body
) -> Body:
    """GetItem; raises ClientError."""
    body = shaped(body, "GetItem")
    shape = shape_of("GetItem", body, table.side(dialect))
    key = check_key(body.get("Key"), table.side(dialect).keys)
    consistent = bool(body.get("ConsistentRead"))
    side = side_of_key(table, dialect, state, key, consistent=consistent)
    count_read(services, table, side)
    if side is dialect or not table.swapped:
        whole = asks_capacity(body) and shape.projection is not None
        asked = {name: value for name, value in body.items() if not whole or name not in SHAPING}
        reply = await call(services, "GetItem", {**asked, "TableName": table.side(side).name})
        shown = dict(reply)
        if "Item" in shown:
            item = visible(shown["Item"])
            shown["Item"] = shape.cut(item) if whole else item
    else:
        request = {
            "TableName": table.side(side).name,
            "Key": key_on(table, key, dialect, side),
            "ConsistentRead": consistent,
            "ReturnConsumedCapacity": body.get("ReturnConsumedCapacity", "NONE"),
        }
        reply = await call(services, "GetItem", request)
        shown = dict(reply)
        if "Item" in shown:
            item = await client_item(services, table, shown["Item"], side, dialect)
            shown["Item"] = shape.cut(item)
    shown.pop("ConsumedCapacity", None)
    if asks_capacity(body) and reply.get("Item"):
        reply = _charged(reply, table, side, dialect, [reply["Item"]], consistent=consistent)
    return shown | consumed(body, table.side(dialect).name, reply)


def _charged(
    reply: Body,
    table: MigratedTable,
    side: Side,
    dialect: Side,
    items: list[Item],
    *,
    consistent: bool,
) -> Body:
    """A reply with the capacity that the client's own view of these whole items takes."""
    capacity = reply.get("ConsumedCapacity")
    if not isinstance(capacity, dict):
        return reply
    stored = sum(map(size_bytes, items))
    seen = sum(seen_bytes(table, item, side, dialect) for item in items)
    return {**reply, "ConsumedCapacity": of_read(capacity, stored, seen, consistent=consistent)}


def side_of_key(
    table: MigratedTable, dialect: Side, state: TableState, key: Key, *, consistent: bool
) -> Side:
    """A key that has no place on the other side can only be read where it is."""
    if table.kind is Kind.IN_PLACE:
        return Side.OLD
    other = translate_key(table, key, dialect, dialect.other)
    if isinstance(other, Problem):
        return dialect
    old = key if dialect is Side.OLD else other
    partition = canonical(old[table.old.keys.hash.name])
    return read_side(table, state, consistent=consistent, partition=partition)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a Query or Scan asks for, in the client's words."""

    shape: Shape
    key: KeyCondition | None
    """None for a Scan."""


async def search(
    services: Services,
    table: MigratedTable,
    dialect: Side,
    state: TableState,
    operation: str,
    body: Body,
) -> Body:
    """Query or Scan; raises ClientError."""
    body = shaped(body, operation)
    refuse_hidden(body)
    if table.kind is Kind.IN_PLACE or state.phase is Phase.OFF:
        side, reply = Side.OLD, await _own(services, table, Side.OLD, operation, body)
    elif on_own_side(table, dialect, state, operation, body):
        side, reply = dialect, await _own(services, table, dialect, operation, body)
    else:
        wanted = _wanted(table, dialect, operation, body)
        side = _search_side(table, dialect, state, body, wanted.key)
        if side is dialect or not table.swapped:
            reply = await _own(services, table, side, operation, body)
            last = reply.get("LastEvaluatedKey")
            if last is not None and _pins(operation, body):
                reply["LastEvaluatedKey"] = marked(last, side, dialect)
        else:
            reply = await _foreign(services, table, dialect, side, operation, body, wanted)
    count_read(services, table, side)
    capacity = consumed(body, table.side(dialect).name, reply)
    reply.pop("ConsumedCapacity", None)
    return reply | capacity


async def _own(
    services: Services, table: MigratedTable, side: Side, operation: str, body: Body
) -> Body:
    """One page as the client asked for it, without what is hidden."""
    request = {**body, "TableName": table.side(side).name}
    if "ExclusiveStartKey" in body:
        request["ExclusiveStartKey"] = pinned(body["ExclusiveStartKey"], side).key
    reply = dict(await call(services, operation, request))
    if asks_capacity(body) and "Items" in reply and WHOLE.isdisjoint(body):
        consistent = bool(body.get("ConsistentRead"))
        reply = _charged(reply, table, side, side, reply["Items"], consistent=consistent)
    if "Items" in reply:
        reply["Items"] = [visible(item) for item in reply["Items"]]
    return reply


def _wanted(table: MigratedTable, dialect: Side, operation: str, body: Body) -> Wanted:
    """A search, checked; raises ValidationError in DynamoDB's words."""
    schema = _schema_of(table, dialect, body) if operation == "Query" else None
    shape = shape_of(operation, body, table.side(dialect), schema)
    if "ExclusiveStartKey" in body:
        _check_page_key(table, dialect, body)
    if schema is None:
        check_segment(body)
        return Wanted(shape, None)
    if "KeyConditions" in body:
        return Wanted(shape, key_condition_meant(body, schema))
    if "KeyConditionExpression" not in body:
        raise ValidationError(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in "
            "the request."
        )
    condition = parse_condition(
        body["KeyConditionExpression"],
        body.get("ExpressionAttributeNames"),
        body.get("ExpressionAttributeValues"),
        kind="KeyConditionExpression",
    )
    return Wanted(shape, key_condition(condition, schema))


def _check_page_key(table: MigratedTable, dialect: Side, body: Body) -> None:
    """A page key holds the keys of its table and index, each of its type, and nothing else."""
    page = pinned(body["ExclusiveStartKey"], dialect)
    place = table.side(dialect if page.translated else page.side)
    index = place.index(body["IndexName"]) if "IndexName" in body else None
    wanted = {*place.keys.attributes, *(index.keys.attributes if index else ())}
    if page.key.keys() != {attribute.name for attribute in wanted}:
        raise ValidationError(NO_START)
    for attribute in wanted:
        check_value(page.key[attribute.name])
        if attribute.type not in page.key[attribute.name]:
            raise ValidationError(f"{NO_START}: The provided key element does not match the schema")


def _search_side(
    table: MigratedTable, dialect: Side, state: TableState, body: Body, key: KeyCondition | None
) -> Side:
    """The side of a page: the one its page key is pinned to, else by share."""
    consistent = bool(body.get("ConsistentRead"))
    if on_leader_alone(table, state, body):
        return state.phase.leader
    if key is not None:
        return _query_side(table, dialect, state, body, key)
    if "ExclusiveStartKey" in body and state.phase is not Phase.DONE:
        return pinned(body["ExclusiveStartKey"], dialect).side
    if state.phase.mode is Mode.ATOMIC:
        return dialect
    # The segments of a parallel scan are begun apart from each other, but only those of one side
    # make up the whole: the leader's, whatever the share.
    whole = body.get("TotalSegments", 1) == 1
    return read_side(table, state, consistent=consistent or not whole, partition="scan")


def _query_side(
    table: MigratedTable, dialect: Side, state: TableState, body: Body, wanted: KeyCondition
) -> Side:
    """A partition without a place on the other side is only where it is."""
    consistent = bool(body.get("ConsistentRead"))
    start = body.get("ExclusiveStartKey")
    pins = start is not None and (_pins("Query", body) or PAGE in start)
    if pins and not consistent and state.phase is not Phase.DONE:
        return pinned(body["ExclusiveStartKey"], dialect).side
    if start is None and _pins("Query", body) and state.phase.mode is Mode.ATOMIC:
        return dialect
    key = {table.side(dialect).keys.hash.name: wanted.hash}
    other = translate_key(table, key, dialect, dialect.other)
    if isinstance(other, Problem):
        return dialect
    old = key if dialect is Side.OLD else other
    partition = canonical(old[table.old.keys.hash.name])
    return read_side(table, state, consistent=consistent, partition=partition)


def _pins(operation: str, body: Body) -> bool:
    """Whether the next page must come from the same side: rows of one index key, and all rows of a
    scan, come in an order of each side's own. The range key orders a partition on both alike."""
    return operation == "Scan" or "IndexName" in body


def _schema_of(table: MigratedTable, side: Side, body: Body) -> KeySchema:
    index = table.side(side).index(body["IndexName"]) if body.get("IndexName") else None
    return table.side(side).keys if index is None else index.keys


async def _foreign(
    services: Services,
    table: MigratedTable,
    dialect: Side,
    side: Side,
    operation: str,
    body: Body,
    wanted: Wanted,
) -> Body:
    """One page from the other side, whole items, filtered and projected here. Rows that have no
    place in the client's design are not in it, they only count as scanned."""
    request = {name: value for name, value in body.items() if name not in SHAPING}
    request["TableName"] = table.side(side).name
    if "ExclusiveStartKey" in body:
        page = pinned(body["ExclusiveStartKey"], dialect)
        start = translate_key(table, page.key, dialect, side) if page.translated else page.key
        if isinstance(start, Problem):
            raise ValidationError(NO_START)
        request["ExclusiveStartKey"] = start
    if wanted.key is not None:
        _translate_query(table, dialect, side, body, wanted.key, request)
    shape = wanted.shape
    reply = await call(services, operation, request)
    if asks_capacity(body) and "IndexName" not in body:
        consistent, items = bool(body.get("ConsistentRead")), reply.get("Items", [])
        reply = _charged(reply, table, side, dialect, items, consistent=consistent)
    found = []
    for stored in reply.get("Items", ()):
        row = await placed_row(services, table, stored, side)
        if isinstance(row, Row) and shape.admits(item := row.seen(dialect)):
            found.append(shape.cut(item))
    shown: Body = {"Count": len(found), "ScannedCount": reply.get("ScannedCount", len(found))}
    if not shape.count_only:
        shown["Items"] = found
    if "LastEvaluatedKey" in reply:
        last = reply["LastEvaluatedKey"]
        page_key = translate_key(table, last, side, dialect)
        if isinstance(page_key, Problem):
            page_key = marked(last, side, dialect, translated=False)
        elif _pins(operation, body):
            page_key = marked(page_key, side, dialect)
        shown["LastEvaluatedKey"] = page_key
    if "ConsumedCapacity" in reply:
        shown["ConsumedCapacity"] = reply["ConsumedCapacity"]
    return shown


def _translate_query(
    table: MigratedTable, dialect: Side, side: Side, body: Body, wanted: KeyCondition, request: Body
) -> None:
    """The key condition in the words of the serving side: another hash value, but for a global
    index that both have, and the same range."""
    schema, hash_value = _schema_of(table, side, body), wanted.hash
    if not table.side(side).has_global(body.get("IndexName")):
        key = key_on(table, {table.side(dialect).keys.hash.name: wanted.hash}, dialect, side)
        hash_value = key[schema.hash.name]
    pool = Placeholders()
    condition = equals((schema.hash.name,), hash_value)
    if wanted.range is not None:
        attribute = schema.range
        assert attribute is not None, "a range condition was parsed against a range attribute"
        condition = all_of(condition, _range_condition(attribute.name, wanted.range))
    request["KeyConditionExpression"] = render(condition, pool)
    request["ExpressionAttributeNames"] = pool.names
    request["ExpressionAttributeValues"] = pool.values


def _range_condition(name: str, wanted: RangeCondition) -> Condition:
    attribute, values = Attribute((name,)), [Literal(value) for value in wanted.values]
    match wanted.operator:
        case "BETWEEN":
            return Between(attribute, values[0], values[1])
        case "begins_with":
            return Function("begins_with", (attribute, values[0]))
        case operator:
            return Comparison(operator, attribute, values[0])


def count_read(services: Services, table: MigratedTable, side: Side) -> None:
    services.metrics.add(metric_names.READS, table.name, side.value)
