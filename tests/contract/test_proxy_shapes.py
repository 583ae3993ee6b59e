"""Requests that no table would take, and what comes along with the answers to others."""

from typing import Any

import pytest

from dualwrite.core.items import HIDDEN
from dualwrite.core.phases import Mode, Side
from tests.contract.twins import Twin
from tests.proxy_harness import TENANTS, raw_outcome

ONE = {":one": {"N": "1"}}


def refused(twin: Twin, operation: str, **parameters: Any) -> str:
    """The error code of a call that must fail, at the proxy."""
    heard = raw_outcome(twin.rig.url, operation, parameters)
    assert heard.get("status") == 400, (operation, parameters, heard)
    return str(heard["error"])


# -- what is malformed ---------------------------------------------------------------------------


@pytest.mark.managed_only
@pytest.mark.parametrize("share", [0, 100])
def test_what_a_read_may_not_ask_for(twin: Twin, share: int) -> None:
    """The same requests are refused, whichever side would serve them."""
    twin.rig.stand(twin.phase, read_share=share)
    hash_name, hash_value = next(iter(twin.note_key().items()))
    query = {
        "TableName": twin.name("notes"), "KeyConditionExpression": f"{hash_name} = :h",
        "ExpressionAttributeValues": {":h": hash_value},
    }  # fmt: skip
    unused = {"ExpressionAttributeNames": {"#unused": "x"}}
    for operation, parameters in (
        ("Query", {**query, **unused}),
        ("Query", {**query, "FilterExpression": "note_id = :h"}),
        ("Query", {**query, "FilterExpression": ""}),
        ("Query", {**query, "Select": "COUNT", "ProjectionExpression": "v"}),
        ("Query", {**query, "Select": "SOME"}),
        ("Query", {**query, "Select": "SPECIFIC_ATTRIBUTES"}),
        ("Query", {**query, "ProjectionExpression": "v", "AttributesToGet": ["v"]}),
        ("Query", {**query, "ExclusiveStartKey": {**twin.note_key(), "dw_page": {"S": "x"}}}),
        ("Query", {**query, "ExclusiveStartKey": {**twin.note_key(), "dw_page": "x"}}),
        ("Query", {**query, "ExclusiveStartKey": {"v": {"S": "x"}}}),
        ("Query", {**query, "ExclusiveStartKey": {hash_name: "x"}}),
        ("Query", {**query, "ExclusiveStartKey": {**twin.note_key(), "note_id": {"N": "1"}}}),
        ("Query", {**query, "ExclusiveStartKey": {**twin.note_key(), hash_name: {"N": "1"}}}),
        ("Query", {**query, "ExpressionAttributeValues": {":h": "x"}}),
        ("Query", {"TableName": twin.name("notes")}),
        ("Query", {**query, "AttributesToGet": ["v"]}),
        ("Scan", {"TableName": twin.name("notes"), "FilterExpression": "a ="}),
        ("Scan", {"TableName": twin.name("notes"), "ProjectionExpression": 7}),
        ("GetItem", {"TableName": twin.name("notes"), "Key": {"note_id": "x"}}),
        ("GetItem", {"TableName": twin.name("notes"), "Key": {"note_id": {"S": "x"}}}),
        ("GetItem", {"TableName": twin.name("notes"),
                      "Key": {**twin.note_key(), "x": {"S": "x"}}}),
        ("GetItem", {"TableName": twin.name("notes"), "Key": twin.note_key(), **unused}),
        ("GetItem", {"TableName": twin.name("notes"), "Key": twin.note_key(),
                      "AttributesToGet": 7}),
        ("BatchGetItem", {"RequestItems": {twin.name("notes"): []}}),
        ("BatchGetItem", {"RequestItems": {twin.name("notes"): {"Keys": ["x"]}}}),
        ("BatchGetItem", {"RequestItems": {twin.name("notes"): {"Keys": [{"note_id": "x"}]}}}),
        ("BatchGetItem", {"RequestItems": {twin.name("notes"): {"Keys": []}}}),
        ("TransactGetItems", {"TransactItems": [{"Get": {"TableName": twin.name("notes"),
                                                           "Key": {"note_id": "x"}}}]}),
    ):  # fmt: skip
        code = refused(twin, operation, **parameters)
        assert code in ("ValidationException", "SerializationException"), (operation, parameters)


@pytest.mark.managed_only
def test_malformed_writes_are_refused_whole(twin: Twin) -> None:
    """Whatever is wrong with a write, the client hears what, and neither side is written."""
    name = twin.name("tasks")
    put = {"TableName": name, "Item": twin.task()}
    update = {"TableName": name, "Key": twin.task_key()}
    delete = {"TableName": name, "Key": twin.task_key()}
    for operation, parameters in (
        ("PutItem", {**put, "Item": twin.task(a={"N": "abc"})}),
        ("PutItem", {**put, "Item": twin.task(a={"X": "abc"})}),
        ("PutItem", {**put, "Item": twin.task(a=7)}),
        ("PutItem", {**put, "Item": twin.task(endpoint_id=7)}),
        ("PutItem", {**put, "Item": twin.task(a={"M": {"b": 7}})}),
        ("PutItem", {**put, "Item": twin.task(a={"S": "x", "N": "1"})}),
        ("PutItem", {**put, "ReturnValues": "ALL_NEW"}),
        ("PutItem", {**put, "ReturnValues": "SOME"}),
        ("PutItem", {**put, "ConditionExpression": ""}),
        ("PutItem", {**put, "ConditionExpression": 7}),
        ("PutItem", {**put, "ConditionExpression": "a = :a"}),
        ("PutItem", {**put, "ExpressionAttributeValues": {":a": {"S": "x"}}}),
        ("PutItem", {**put, "ConditionExpression": "attribute_not_exists(a)",
                      "ExpressionAttributeValues": {":a": {"S": "x"}}}),
        ("PutItem", {**put, "ConditionExpression": "attribute_not_exists(a)",
                      "ExpressionAttributeNames": [["#a", "a"]]}),
        ("PutItem", {**put, "ConditionExpression": "a = :x) OR (a = :x",
                      "ExpressionAttributeValues": {":x": {"S": "x"}}}),
        ("UpdateItem", {**update, "UpdateExpression": ""}),
        ("UpdateItem", {**update, "UpdateExpression": 7}),
        ("UpdateItem", {**update, "UpdateExpression": "SET a = :a"}),
        ("UpdateItem", {**update, "UpdateExpression": "SET a = :a",
                         "ExpressionAttributeValues": {":a": {"S": "x"}, ":b": {"S": "x"}}}),
        ("UpdateItem", {**update, "UpdateExpression": "SET task_id = :a",
                         "ExpressionAttributeValues": {":a": {"S": "x"}}}),
        ("UpdateItem", {**update, "ReturnValues": "SOME"}),
        ("UpdateItem", {**update, "Key": {"list_id": {"S": "x"}}}),
        ("UpdateItem", {**update, "Key": {"list_id": "x", "task_id": {"S": "x"}}}),
        ("DeleteItem", {**delete, "ReturnValues": "UPDATED_NEW"}),
        ("DeleteItem", {**delete, "Key": []}),
        ("BatchWriteItem", {"RequestItems": {name: ["x"]}}),
        ("BatchWriteItem", {"RequestItems": {name: [{"PutRequest": "x"}]}}),
        ("BatchWriteItem", {"RequestItems": {name: [{"PutRequest": {"Item": twin.task(a=7)}}]}}),
        ("BatchWriteItem", {"RequestItems": {name: []}}),
        ("BatchWriteItem", {"RequestItems": {name: [
            {"PutRequest": {"Item": twin.task(3)}}, {"PutRequest": {"Item": twin.task(3)}}]}}),
        ("TransactWriteItems", {"TransactItems": [{"Put": "x"}, {"Delete": delete}]}),
        ("TransactWriteItems", {"TransactItems": [{"Put": {**put, "Item": twin.task(a=7)}}]}),
        ("TransactWriteItems", {"TransactItems": [{"Delete": delete, "Put": put}]}),
        ("TransactWriteItems", {"TransactItems": [{"Delete": delete}, {"Put": put}]}),
    ):  # fmt: skip
        code = refused(twin, operation, **parameters)
        assert code in (
            "ValidationException", "SerializationException", "TransactionCanceledException"
        ), (operation, parameters, code)  # fmt: skip
        for side in Side:
            assert twin.rig.items("tasks", side) == [], (operation, parameters)


# -- what comes along ----------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["TOTAL", "INDEXES", "NONE"])
def test_the_shape_of_consumed_capacity(twin: Twin, asked: str) -> None:
    """One table's capacity under the client's own name for it, in the shape that was asked for."""
    notes, more = twin.name("notes"), {"ReturnConsumedCapacity": asked}
    update = {"Key": twin.note_key(), "UpdateExpression": "SET v = :one",
              "ExpressionAttributeValues": ONE}  # fmt: skip
    hash_name, hash_value = next(iter(twin.note_key().items()))
    heard = [
        twin.both("put_item", TableName=notes, Item=twin.note(), **more),
        twin.both("put_item", TableName=notes, Item=twin.note(), ReturnValues="ALL_OLD", **more),
        twin.both("update_item", TableName=notes, **update, **more),
        twin.both("get_item", TableName=notes, Key=twin.note_key(), **more),
        twin.both("query", TableName=notes, KeyConditionExpression=f"{hash_name} = :h",
                  ExpressionAttributeValues={":h": hash_value}, **more),
        twin.both("delete_item", TableName=notes, Key=twin.note_key(), **more),
        twin.both("update_item", TableName=notes, Key=twin.note_key(3),
                  UpdateExpression="REMOVE a", ConditionExpression="attribute_not_exists(a)",
                  **more),
        *several(twin, more),
    ]  # fmt: skip
    for answer in heard:
        if asked == "NONE":
            assert "ConsumedCapacity" not in answer
            continue
        capacities = answer["ConsumedCapacity"]
        for capacity in capacities if isinstance(capacities, list) else [capacities]:
            assert capacity["TableName"] == notes
            assert 0 < capacity["CapacityUnits"] <= 8
            if twin.rig.reference:
                assert ("Table" in capacity) == (asked == "INDEXES")
            if "Table" in capacity:
                assert capacity["Table"]["CapacityUnits"] == capacity["CapacityUnits"]


def several(twin: Twin, more: dict[str, str]) -> list[dict[str, Any]]:
    """Batches and transactions, each of one table."""
    notes = twin.name("notes")
    puts = [{"PutRequest": {"Item": twin.note(n)}} for n in range(3)]
    twin.rig.stand(twin.phase, read_share=50)
    answers = [
        twin.both("batch_write_item", RequestItems={notes: puts}, **more),
        twin.rig.proxied.batch_get_item(RequestItems={notes: {
            "Keys": [twin.note_key(n, tenant) for n in range(3) for tenant in TENANTS]}}, **more),
        twin.both("transact_write_items", TransactItems=[
            {"Put": {"TableName": notes, "Item": twin.note(4)}}], **more),
        twin.both("transact_get_items", TransactItems=[
            {"Get": {"TableName": notes, "Key": twin.note_key(4)}}], **more),
    ]  # fmt: skip
    for answer in answers:
        assert len(answer.get("ConsumedCapacity", [0])) == 1 or not twin.rig.reference
    twin.rig.stand(twin.phase)
    return answers


def test_item_collection_metrics_speak_the_dialect(twin: Twin) -> None:
    """What a plain table tells of an item collection, in the client's own key."""
    if twin.phase.mode is Mode.ATOMIC and not twin.rig.reference:
        return  # MiniStack's transactions tell nothing of it
    more = {"ReturnItemCollectionMetrics": "SIZE"}
    tasks = twin.name("tasks")
    twin.both("put_item", TableName=tasks, Item=twin.task(), **more)
    twin.both("put_item", TableName=tasks, Item=twin.task(), ReturnValues="ALL_OLD", **more)
    twin.both("update_item", TableName=tasks, Key=twin.task_key(), UpdateExpression="SET v = :one",
              ExpressionAttributeValues=ONE, **more)  # fmt: skip
    twin.both("batch_write_item", RequestItems={tasks: [{"PutRequest": {"Item": twin.task(2)}}]},
              **more)  # fmt: skip
    twin.both("transact_write_items",
              TransactItems=[{"Put": {"TableName": tasks, "Item": twin.task(3)}}],
              **more)  # fmt: skip
    twin.both("delete_item", TableName=tasks, Key=twin.task_key(), **more)


def test_nothing_hidden_is_shown_by_a_refusal(twin: Twin) -> None:
    """The old item of a refused write is the client's own, single or in a transaction."""
    twin.both("put_item", TableName=twin.name("notes"), Item=twin.note())
    for returns in ("NONE", "ALL_OLD"):
        twin.both("put_item", TableName=twin.name("notes"), Item=twin.note(),
                  ConditionExpression="attribute_exists(zzz)", ReturnValues=returns,
                  ReturnValuesOnConditionCheckFailure="ALL_OLD")  # fmt: skip
    heard = twin.both("transact_write_items", TransactItems=[{"Put": {
        "TableName": twin.name("notes"), "Item": twin.note(),
        "ConditionExpression": "attribute_exists(zzz)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }}])  # fmt: skip
    assert not HIDDEN & heard["CancellationReasons"][0]["Item"].keys()
