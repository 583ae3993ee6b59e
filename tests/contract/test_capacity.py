"""A call consumes through the proxy what it would have consumed on one plain table.

Each item is made so large that it just fits a unit, so that what the service hides in it would
cost one more.
"""

from typing import Any

import pytest

from dualwrite.core.capacity import READ_UNIT_BYTES, WRITE_UNIT_BYTES
from dualwrite.core.items import size_bytes
from tests.contract.twins import Twin
from tests.proxy_harness import outcome

NOTE = "notes"


def padded(item: dict[str, Any], size: int) -> dict[str, Any]:
    """The item with text that makes it exactly ``size`` bytes large."""
    room = size - size_bytes(item) - len("filler")
    return {**item, "filler": {"S": "x" * room}}


def same_units(twin: Twin, operation: str, **parameters: Any) -> None:
    """The call consumes the same at the proxy and at a plain table; both are made once."""
    parameters.setdefault("ReturnConsumedCapacity", "TOTAL")
    mine = outcome(twin.rig.proxied, operation, **parameters)
    plain = outcome(twin.rig.engine, operation, **twin._plain(parameters))
    assert "error" not in mine
    if not plain.get("ConsumedCapacity"):
        assert not mine.get("ConsumedCapacity"), "the engine tells none"
        return
    told, wanted = mine["ConsumedCapacity"], plain["ConsumedCapacity"]
    if isinstance(told, list):
        [told], [wanted] = told, wanted
    assert told["TableName"] == twin.name(NOTE)
    assert told["CapacityUnits"] == wanted["CapacityUnits"]
    if parameters["ReturnConsumedCapacity"] == "INDEXES" and "Table" in told:
        assert told["Table"]["CapacityUnits"] == wanted["CapacityUnits"]


@pytest.mark.parametrize("asked", ["TOTAL", "INDEXES"])
def test_writes(twin: Twin, asked: str) -> None:
    """Of an item that just fits one unit, or just does not; also where the old one was larger."""
    name, key = twin.name(NOTE), twin.note_key()
    ask: dict[str, Any] = {"TableName": name, "ReturnConsumedCapacity": asked}
    for size in (WRITE_UNIT_BYTES, WRITE_UNIT_BYTES - 1, 2 * WRITE_UNIT_BYTES, 500):
        same_units(twin, "put_item", Item=padded(twin.note(), size), **ask)
    same_units(twin, "put_item", Item=padded(twin.note(), WRITE_UNIT_BYTES), **ask)
    same_units(twin, "update_item", Key=key, UpdateExpression="SET filler = :p",
               ExpressionAttributeValues={":p": padded(twin.note(), WRITE_UNIT_BYTES)["filler"]},
               **ask)  # fmt: skip
    same_units(twin, "delete_item", Key=key, **ask)
    same_units(twin, "delete_item", Key=key, **ask)


def test_asking_for_capacity_changes_no_return_values(twin: Twin) -> None:
    """The old image is fetched for its size alone, and shown only where it was asked for."""
    name, key = twin.name(NOTE), twin.note_key()
    for returns in ("NONE", "ALL_OLD", "NONE"):
        twin.both("put_item", TableName=name, Item=padded(twin.note(), 900), ReturnValues=returns,
                  ReturnConsumedCapacity="TOTAL")  # fmt: skip
    twin.both("delete_item", TableName=name, Key=key, ReturnConsumedCapacity="TOTAL")
    twin.both("get_item", TableName=name, Key=key, ConsistentRead=True)


@pytest.mark.parametrize("consistent", [False, True])
def test_reads(twin: Twin, consistent: bool) -> None:
    """Of whole items, projected ones and none; pages add up before they are rounded."""
    name, item = twin.name(NOTE), twin.note()
    ask: dict[str, Any] = {"TableName": name, "ConsistentRead": consistent}
    twin.both("put_item", TableName=name, Item=padded(item, READ_UNIT_BYTES))
    same_units(twin, "get_item", Key=twin.note_key(), **ask)
    same_units(twin, "get_item", Key=twin.note_key(), ProjectionExpression="note_id", **ask)
    same_units(twin, "get_item", Key=twin.note_key(9), **ask)
    got = twin.both("get_item", Key=twin.note_key(), ProjectionExpression="note_id",
                    ReturnConsumedCapacity="TOTAL", **ask)  # fmt: skip
    assert got["Item"].keys() == {"note_id"}
    hash_name = twin.rig.tables[NOTE].side(twin.dialect).keys.hash.name
    query: dict[str, Any] = {
        "KeyConditionExpression": f"{hash_name} = :h AND begins_with(note_id, :r)",
        "ExpressionAttributeValues": {":h": item[hash_name], ":r": {"S": twin.run}},
        **ask,
    }
    same_units(twin, "query", **query)
    twin.both("put_item", TableName=name, Item=padded(twin.note(2), READ_UNIT_BYTES))
    keys = [twin.note_key(number) for number in (1, 2, 9)]
    same_units(twin, "batch_get_item",
               RequestItems={name: {"Keys": keys, "ConsistentRead": consistent}})  # fmt: skip
    same_units(twin, "query", **query)
    same_units(twin, "scan", **ask)
