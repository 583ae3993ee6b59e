"""GetItem, Query and Scan on a managed table.

A read that is served by the client's own side goes out as it came, and loses what is hidden on its
way back. One that is served by the other side is fetched whole, put into the client's dialect, and
filtered and projected here: exact also where a row has no hidden map yet. Filters act after Limit
in DynamoDB, so pages, Count and ScannedCount stay what they would have been.
"""

from dataclasses import dataclass

from dualwrite.core import metric_names
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
    Projection,
    RangeCondition,
    all_of,
    check_placeholders,
    equals,
    holds,
    key_condition,
    parse_condition,
    parse_projection,
    project,
    render,
)
from dualwrite.core.items import Item, Key, KeySchema
from dualwrite.core.phases import Kind, Phase, Side, TableState
from dualwrite.core.plan import key_on
from dualwrite.core.requests import LEGACY_READ, Body, refuse_hidden
from dualwrite.core.sharing import marked, pinned, read_side
from dualwrite.core.spec import MigratedTable
from dualwrite.core.transform import Problem, translate_key
from dualwrite.proxy.services import Services, call
from dualwrite.proxy.views import client_item, consumed, visible

SHAPING = (
    "ProjectionExpression",
    "AttributesToGet",
    "FilterExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "KeyConditionExpression",
    "Select",
    "ExclusiveStartKey",
)
"""Parameters that are replaced when the other side serves a Query or Scan."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a client wants to see of each item, in its own words."""

    filter: Condition | None
    projection: Projection | None
    count_only: bool

    def admits(self, item: Item) -> bool:
        return self.filter is None or holds(self.filter, item)

    def cut(self, item: Item) -> Item:
        return item if self.projection is None else project(self.projection, item)


def shape_of(body: Body) -> Shape:
    """Parse a read's filter and projection; raises ValidationError."""
    names, values = body.get("ExpressionAttributeNames"), body.get("ExpressionAttributeValues")
    check_placeholders(names, values)
    wanted = body.get("FilterExpression")
    condition = None
    if wanted is not None:
        condition = parse_condition(wanted, names, values, kind="FilterExpression")
    return Shape(condition, projection_of(body), body.get("Select") == "COUNT")


def projection_of(body: Body) -> Projection | None:
    """ProjectionExpression, or its legacy twin; raises ValidationError."""
    if "ProjectionExpression" in body:
        return parse_projection(body["ProjectionExpression"], body.get("ExpressionAttributeNames"))
    if "AttributesToGet" in body:
        return Projection(tuple((name,) for name in body["AttributesToGet"]))
    return None


async def get(
    services: Services, table: MigratedTable, dialect: Side, state: TableState, body: Body
) -> Body:
    """GetItem; raises ClientError."""
    refuse_hidden(body)
    key = body.get("Key")
    if not isinstance(key, dict):
        raise ValidationError("The provided key element does not match the schema")
    consistent = bool(body.get("ConsistentRead"))
    side = side_of_key(table, dialect, state, key, consistent=consistent)
    count_read(services, table, side)
    if side is dialect or not table.swapped:
        reply = await call(services, "GetItem", {**body, "TableName": table.side(side).name})
        shown = dict(reply)
        if "Item" in shown:
            shown["Item"] = visible(shown["Item"])
    else:
        request = {
            "TableName": table.side(side).name,
            "Key": key_on(table, key, dialect, side),
            "ConsistentRead": consistent,
            "ReturnConsumedCapacity": body.get("ReturnConsumedCapacity", "NONE"),
        }
        projection = projection_of(body)
        reply = await call(services, "GetItem", request)
        shown = dict(reply)
        if "Item" in shown:
            item = await client_item(services, table, shown["Item"], side, dialect)
            shown["Item"] = item if projection is None else project(projection, item)
    shown.pop("ConsumedCapacity", None)
    return shown | consumed(body, table.side(dialect).name, reply)


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
    partition = old.get(table.old.keys.hash.name)
    return read_side(table, state, consistent=consistent, partition=partition)


async def search(
    services: Services,
    table: MigratedTable,
    dialect: Side,
    state: TableState,
    operation: str,
    body: Body,
) -> Body:
    """Query or Scan; raises ClientError."""
    refuse_hidden(body)
    side = _search_side(table, dialect, state, operation, body)
    count_read(services, table, side)
    if side is dialect or not table.swapped:
        reply = await call(services, operation, _own_request(table, side, body))
        shown = dict(reply)
        if "Items" in shown:
            shown["Items"] = [visible(item) for item in shown["Items"]]
    else:
        shown = await _foreign(services, table, dialect, side, operation, body)
        reply = shown
    capacity = consumed(body, table.side(dialect).name, reply)
    shown.pop("ConsumedCapacity", None)
    return shown | capacity


def _own_request(table: MigratedTable, side: Side, body: Body) -> Body:
    request = {**body, "TableName": table.side(side).name}
    if isinstance(body.get("ExclusiveStartKey"), dict):
        request["ExclusiveStartKey"], _ = pinned(body["ExclusiveStartKey"], side)
    return request


def _search_side(
    table: MigratedTable, dialect: Side, state: TableState, operation: str, body: Body
) -> Side:
    """The side of a page: the one its page key is pinned to, else by share. Legacy parameters
    and indexes that only one design has keep a search on the client's own side."""
    if table.kind is Kind.IN_PLACE or state.phase is Phase.OFF:
        return Side.OLD
    if _own_side_only(table, dialect, operation, body):
        return dialect
    consistent = bool(body.get("ConsistentRead"))
    paging = isinstance(body.get("ExclusiveStartKey"), dict)
    if paging and (operation == "Scan" or not consistent):
        return pinned(body["ExclusiveStartKey"], dialect)[1]
    partition: object = ["scan", body.get("Segment", 0)]
    if operation == "Query":
        hash_value = key_of_query(table, dialect, body).hash
        name = table.side(dialect).keys.hash.name
        old = translate_key(table, {name: hash_value}, dialect, Side.OLD)
        if isinstance(old, Problem):
            return dialect
        partition = old.get(table.old.keys.hash.name)
    return read_side(table, state, consistent=consistent, partition=partition)


def _own_side_only(table: MigratedTable, dialect: Side, operation: str, body: Body) -> bool:
    if any(legacy in body for legacy in LEGACY_READ):
        return True
    if operation == "Query" and not isinstance(body.get("KeyConditionExpression"), str):
        return True
    index = body.get("IndexName")
    if index is None:
        return False
    here, there = table.side(dialect).index(index), table.side(dialect.other).index(index)
    if here is None or there is None or not (here.local and there.local):
        return True
    return here.keys.range is not None and here.keys.range.name in table.swapped


def key_of_query(table: MigratedTable, dialect: Side, body: Body) -> KeyCondition:
    """The hash value and range condition of a Query; raises ValidationError."""
    condition = parse_condition(
        body["KeyConditionExpression"],
        body.get("ExpressionAttributeNames"),
        body.get("ExpressionAttributeValues"),
        kind="KeyConditionExpression",
    )
    return key_condition(condition, _schema_of(table, dialect, body))


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
) -> Body:
    """One page from the other side, whole items, filtered and projected here."""
    shape = shape_of(body)
    request = {name: value for name, value in body.items() if name not in SHAPING}
    request["TableName"] = table.side(side).name
    if isinstance(body.get("ExclusiveStartKey"), dict):
        page_key, _ = pinned(body["ExclusiveStartKey"], dialect)
        request["ExclusiveStartKey"] = key_on(table, page_key, dialect, side)
    if operation == "Query":
        _translate_query(table, dialect, side, body, request)
    reply = await call(services, operation, request)
    found = []
    for stored in reply.get("Items", ()):
        item = await client_item(services, table, stored, side, dialect)
        if shape.admits(item):
            found.append(shape.cut(item))
    shown: Body = {"Count": len(found), "ScannedCount": reply.get("ScannedCount", len(found))}
    if not shape.count_only:
        shown["Items"] = found
    if "LastEvaluatedKey" in reply:
        page_key = key_on(table, reply["LastEvaluatedKey"], side, dialect)
        shown["LastEvaluatedKey"] = marked(page_key, side, dialect)
    if "ConsumedCapacity" in reply:
        shown["ConsumedCapacity"] = reply["ConsumedCapacity"]
    return shown


def _translate_query(
    table: MigratedTable, dialect: Side, side: Side, body: Body, request: Body
) -> None:
    """The key condition in the words of the serving side: another hash value, the same range."""
    wanted = key_of_query(table, dialect, body)
    hash_name = table.side(dialect).keys.hash.name
    key = key_on(table, {hash_name: wanted.hash}, dialect, side)
    pool = Placeholders()
    there = table.side(side).keys.hash.name
    condition = equals((there,), key[there])
    if wanted.range is not None:
        attribute = _schema_of(table, side, body).range
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
