"""What counts against 400 KB, as DynamoDB Local counts it: to the byte."""

from typing import Any

import pytest

from dualwrite.adapters.preflight import create_request
from dualwrite.core.items import ITEM_BYTES_MAX, Item, KeyAttribute, KeySchema, key_of, size_bytes
from dualwrite.core.room import counted_bytes, fits
from dualwrite.core.spec import IndexSpec, TableSide
from tests.engines_local import EngineSays, LocalDynamo, dynamodb_local

__all__ = ["dynamodb_local"]

KEYS = KeySchema(KeyAttribute("h"), KeyAttribute("r"))
WHOLE = IndexSpec("by-a", KeySchema(KEYS.hash, KeyAttribute("a")))
SECOND = IndexSpec("by-b", KeySchema(KEYS.hash, KeyAttribute("b")))
KEYS_ONLY = IndexSpec("by-a", WHOLE.keys, projected=())
SOME = IndexSpec("by-a", WHOLE.keys, projected=("held",))
ITEM: Item = {
    "h": {"S": "hash"}, "r": {"S": "range"}, "a": {"S": "größe"}, "b": {"S": "b"},
    "held": {"S": "x" * 1_000}, "m": {"M": {"l": {"L": [{"N": "-12345.678"}, {"NULL": True}]}}},
    "ns": {"NS": ["1", "-22.5", "120"]}, "blob": {"B": "AAE="}, "on": {"BOOL": True},
}  # fmt: skip


def takes(engine: LocalDynamo, request: dict[str, Any]) -> bool:
    try:
        engine.call("PutItem", request)
    except EngineSays as refused:
        if refused.message != "Item size has exceeded the maximum allowed size":
            raise
        return False
    return True


@pytest.fixture
def engine(dynamodb_local: int, table_prefix: str) -> LocalDynamo:
    return LocalDynamo(dynamodb_local, table_prefix.replace("-", ""))


def largest(place: TableSide, item: Item) -> Item:
    """The item with as much text as fits."""
    low, high = 0, ITEM_BYTES_MAX
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(place, padded(item, middle)) else (low, middle)
    return padded(item, low)


def padded(item: Item, length: int) -> Item:
    return item | {"text": {"S": "z" * length}}


@pytest.mark.parametrize(
    "indexes",
    [(), (WHOLE,), (WHOLE, SECOND), (KEYS_ONLY,), (SOME,), (KEYS_ONLY, SECOND)],
    ids=["none", "one", "two", "keys only", "some attributes", "both kinds"],
)
@pytest.mark.parametrize("without", ["", "a"], ids=["in all indexes", "without an index's key"])
def test_an_item_is_taken_to_the_last_byte_that_we_allow(
    engine: LocalDynamo, indexes: tuple[IndexSpec, ...], without: str
) -> None:
    """The largest item that fits is taken, and one byte more is refused. An index that does not
    hold items whole counts a little less there than AWS says, of the table's own keys."""
    place = TableSide("sized", KEYS, indexes)
    engine.call("CreateTable", create_request(place))
    item = largest(place, {name: value for name, value in ITEM.items() if name != without})
    assert counted_bytes(place, item) > ITEM_BYTES_MAX - len(indexes) - 1
    assert takes(engine, {"TableName": "sized", "Item": item})
    larger = padded(item, len(item["text"]["S"]) + 1)
    assert not fits(place, larger)
    partial = sum(index.projected is not None and "a" in item for index in indexes)
    slack = size_bytes(key_of(item, KEYS)) * partial
    beyond = padded(item, len(larger["text"]["S"]) + slack)
    assert not takes(engine, {"TableName": "sized", "Item": beyond})
