"""A stamp that no clock of ours wrote, put on an item past the proxy, locks nothing."""

from collections.abc import Iterator
from typing import Any

import pytest

from dualwrite.core.items import STAMP
from dualwrite.core.phases import Phase, Side
from dualwrite.core.records import REPAIR
from dualwrite.core.stamps import Stamp
from tests.proxy_harness import Rig, a_rig, outcome

PREFIX = "foreign-"
NOTES, NOTES_NEW = PREFIX + "notes", PREFIX + "notes-v2"
FOREIGN = (
    {"S": "zzz"},
    {"S": "9999999999999.99999.999999.zzzzzzzz.ffffffff"},
    {"N": "7"},
)
"""Of another form, absurdly far in the future, and no text at all."""
KEY = {"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": "n"}}
NEW_KEY = {"partition_key": {"S": "aws-1#acme"}, "note_id": {"S": "n"}}
ONE = {":one": {"N": "1"}}


@pytest.fixture(scope="module")
def rig(engine: str, boto: Any) -> Iterator[Rig]:
    with a_rig(engine, boto, PREFIX) as made:
        yield made


def write(rig: Rig, operation: str) -> dict[str, Any]:
    item = {**KEY, "v": {"N": "2"}}
    update = {"Key": KEY, "UpdateExpression": "SET v = v + :one", "ExpressionAttributeValues": ONE}
    match operation:
        case "put_item":
            return outcome(rig.proxied, operation, TableName=NOTES, Item=item)
        case "update_item":
            return outcome(rig.proxied, operation, TableName=NOTES, **update)
        case "delete_item":
            return outcome(rig.proxied, operation, TableName=NOTES, Key=KEY,
                           ConditionExpression="v = :one",
                           ExpressionAttributeValues=ONE)  # fmt: skip
    return outcome(rig.proxied, "transact_write_items",
                   TransactItems=[{"Update": {"TableName": NOTES, **update}}])  # fmt: skip


@pytest.mark.parametrize("operation", ["put_item", "update_item", "delete_item", "transaction"])
@pytest.mark.parametrize("phase", [Phase.MIRROR_OLD, Phase.ATOMIC_OLD, Phase.ATOMIC_NEW])
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("stamp", FOREIGN, ids=["malformed", "future", "number"])
def test_an_item_with_a_foreign_stamp_can_be_written(
    rig: Rig, stamp: dict[str, str], side: Side, phase: Phase, operation: str
) -> None:
    """Whichever side carries it; what a follower could not compare is repaired."""
    rig.stand(phase)
    rig.engine.put_item(TableName=NOTES, Item={**KEY, "v": {"N": "1"}})
    rig.engine.put_item(
        TableName=NOTES_NEW,
        Item={**NEW_KEY, "endpoint_id": {"S": "aws-1"}, "part_id": {"S": "acme"}, "v": {"N": "1"}},
    )
    name, key = (NOTES, KEY) if side is Side.OLD else (NOTES_NEW, NEW_KEY)
    rig.engine.update_item(TableName=name, Key=key, UpdateExpression="SET dw_stamp = :s",
                           ExpressionAttributeValues={":s": stamp})  # fmt: skip
    heard = write(rig, operation)
    assert "error" not in heard, heard
    mended = phase is Phase.MIRROR_OLD and side is Side.NEW
    if mended:
        assert rig.run(rig.records.list(REPAIR))
    for table, its_key in ((NOTES, KEY), (NOTES_NEW, NEW_KEY)):
        if mended and table == NOTES_NEW:
            continue
        item = rig.engine.get_item(TableName=table, Key=its_key).get("Item")
        if operation == "delete_item":
            assert item is None
            continue
        assert item["v"] == {"N": "2"}
        assert Stamp.parse(item[STAMP]["S"]).wall_ms < 9_000_000_000_000
    for record in rig.run(rig.records.list(REPAIR)):
        rig.run(rig.records.delete(REPAIR, record.name, expected=None))


def test_a_condition_is_still_decided_on_such_an_item(rig: Rig) -> None:
    """The client hears that its condition is false, not that the item is busy."""
    rig.stand(Phase.MIRROR_OLD)
    item = {**KEY, "v": {"N": "1"}, STAMP: FOREIGN[0]}
    rig.engine.put_item(TableName=NOTES, Item=item)
    heard = outcome(rig.proxied, "put_item", TableName=NOTES, Item=KEY,
                    ConditionExpression="v <> :one", ExpressionAttributeValues=ONE)  # fmt: skip
    assert heard["error"] == "ConditionalCheckFailedException"
