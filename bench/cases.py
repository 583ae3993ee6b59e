"""What is measured: one operation a case, with its requests and the backend's constant answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dualwrite.core.items import Item, key_of, size_bytes
from dualwrite.core.phases import Side
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.core.stamps import FLOOR
from dualwrite.core.transform import Row, row_from_client
from dualwrite.spec_file import load
from examples.ai_coordination_engine.shapes import Maker

SPEC = Path(__file__).parent.parent / "examples" / "ai_coordination_engine" / "migration.toml"
MANAGED = "coordinations"
UNMANAGED_TABLE = "ace-audit-log"
"""Not in the spec: requests for it pass through."""
ITEM_BYTES = (600, 800)
COUNT = 500
PAGE_ITEMS = 20
BATCH_ITEMS = 25
TRANSACTION_ITEMS = 4
HASH, RANGE = "endpoint_id", "coordination_uuid"

Body = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One kind of request; ``body`` makes the n-th of a table from the items."""

    name: str
    operation: str
    writes: bool
    body: Callable[[str, list[Item], int], Body]


def _put(table: str, items: list[Item], n: int) -> Body:
    return {"TableName": table, "Item": items[n]}


def _conditional_put(table: str, items: list[Item], n: int) -> Body:
    return _put(table, items, n) | {"ConditionExpression": f"attribute_not_exists({HASH})"}


def _update(table: str, items: list[Item], n: int) -> Body:
    return {
        "TableName": table,
        "Key": _key(items[n]),
        "UpdateExpression": "SET updated_by = :who, visits = if_not_exists(visits, :none) + :one",
        "ExpressionAttributeValues": {
            ":who": {"S": "procedure_hub"}, ":none": {"N": "0"}, ":one": {"N": "1"},
        },
        "ReturnValues": "ALL_NEW",
    }  # fmt: skip


def _get(table: str, items: list[Item], n: int) -> Body:
    return {"TableName": table, "Key": _key(items[n])}


def _query(table: str, items: list[Item], n: int) -> Body:
    return {
        "TableName": table,
        "KeyConditionExpression": f"{HASH} = :tenant",
        "ExpressionAttributeValues": {":tenant": items[n][HASH]},
        "Limit": PAGE_ITEMS,
    }


def _batch(table: str, items: list[Item], n: int) -> Body:
    members = (items[(n + offset) % len(items)] for offset in range(BATCH_ITEMS))
    return {"RequestItems": {table: [{"PutRequest": {"Item": item}} for item in members]}}


def _transaction(table: str, items: list[Item], n: int) -> Body:
    members = (items[(n + offset) % len(items)] for offset in range(TRANSACTION_ITEMS))
    return {"TransactItems": [{"Put": {"TableName": table, "Item": item}} for item in members]}


def _key(item: Item) -> Item:
    return {HASH: item[HASH], RANGE: item[RANGE]}


CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        Case("put", "PutItem", True, _put),
        Case("conditional-put", "PutItem", True, _conditional_put),
        Case("update-all-new", "UpdateItem", True, _update),
        Case("get", "GetItem", False, _get),
        Case("query-20", "Query", False, _query),
        Case("batch-write-25", "BatchWriteItem", True, _batch),
        Case("transact-write-4", "TransactWriteItems", True, _transaction),
    )
}


@cache
def migration() -> Migration:
    """The example's, which the measured workers serve."""
    return load(SPEC)


def table_name(*, managed: bool, side: Side = Side.OLD) -> str:
    """The physical table of a case's requests."""
    return _table().side(side).name if managed else UNMANAGED_TABLE


@cache
def coordinations(count: int = COUNT) -> tuple[Item, ...]:
    """Old-dialect coordinations of about 0.7 KB, the same in every run."""
    mapping = _table().derivation.mapping
    assert mapping is not None, "the example maps its tenants"
    tenants = list(mapping.forward)
    maker = Maker(seed=1)
    items: list[Item] = []
    while len(items) < count:
        tenant = tenants[len(items) % len(tenants)]
        item = maker.coordination(tenant, maker.uuid(), maker.agents(1, 2))
        if ITEM_BYTES[0] <= size_bytes(item) <= ITEM_BYTES[1]:
            items.append(item)
    return tuple(items)


def in_new_words(item: Item) -> Item:
    """The same item as an application that writes both tables would write the new one."""
    return row_of(item).seen(Side.NEW)


def row_of(item: Item) -> Row:
    row = row_from_client(_table(), item, Side.OLD)
    assert isinstance(row, Row), "the benchmark's items have a place in both designs"
    return row


def answer(operation: str, *, managed: bool) -> Body:
    """The constant answer, as an engine would give it from the managed table's old side, or from
    a plain table. What is told of capacity comes only where it was asked for."""
    plain = coordinations()[0]
    item = row_of(plain).stored(Side.OLD, FLOOR) if managed else plain
    name = table_name(managed=managed)
    one = {"TableName": name, "CapacityUnits": 1.0}
    match operation:
        case "UpdateItem":
            return {"Attributes": item, "ConsumedCapacity": one}
        case "GetItem":
            return {"Item": item, "ConsumedCapacity": one}
        case "Query":
            page = [item] * PAGE_ITEMS
            last = key_of(item, _table().old.keys)
            counts = {"Count": PAGE_ITEMS, "ScannedCount": PAGE_ITEMS}
            return {"Items": page, **counts, "LastEvaluatedKey": last, "ConsumedCapacity": one}
        case "BatchWriteItem":
            return {"UnprocessedItems": {}, "ConsumedCapacity": [one]}
        case "TransactWriteItems":
            return {"ConsumedCapacity": [one]}
    return {"ConsumedCapacity": one}


def _table() -> MigratedTable:
    return migration().by_name[MANAGED]
