"""Expressions of DynamoDB's full length are taken on a managed table, whatever is added to them."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from dualwrite.core.phases import Mode, Side
from tests.contract.twins import FREE, Twin
from tests.engines_chosen import EngineName
from tests.proxy_harness import AUTHORIZATION, outcome, raw_outcome

ONE = {":v": {"N": "1"}}
BYTES_MAX = 4096
OPERATORS_MAX = 300


def long_condition(*, true: bool) -> str:
    """300 operators, of which 149 are AND."""
    first = "v = :v" if true else "v <> :v"
    return " AND ".join([first, *["x <> :v"] * 148, "NOT x = :v"])


def of_full_length(text: str, filler: str) -> str:
    """``text`` with further pieces until one more would be over 4 KB."""
    while len(text) + len(filler) <= BYTES_MAX:
        text += filler
    return text


@pytest.mark.parametrize("operation", ["put_item", "update_item", "delete_item"])
@pytest.mark.parametrize("true", [True, False])
def test_a_condition_of_300_operators(twin: Twin, operation: str, true: bool) -> None:
    """It is decided by the leader's item all the same, and its error shows that item."""
    name, item = twin.name("notes"), twin.note(v={"N": "1"})
    twin.both("put_item", TableName=name, Item=item)
    target: dict[str, Any] = {"Key": twin.note_key()}
    values = dict(ONE)
    if operation == "put_item":
        target = {"Item": item | {"w": {"N": "2"}}}
    elif operation == "update_item":
        target["UpdateExpression"] = "SET w = v + :v"
        target["ReturnValues"] = "ALL_NEW"
    twin.both(operation, TableName=name, ConditionExpression=long_condition(true=true),
              ExpressionAttributeValues=values, **target,
              ReturnValuesOnConditionCheckFailure="ALL_OLD")  # fmt: skip
    twin.both("get_item", TableName=name, Key=twin.note_key(), ConsistentRead=True)


@pytest.mark.managed_only
def test_a_condition_of_301_operators_is_refused(twin: Twin) -> None:
    """As DynamoDB does, also before an engine that would take it; nothing is written."""
    condition = long_condition(true=True) + " AND attribute_exists(v)"
    heard = outcome(twin.rig.proxied, "put_item", TableName=twin.name("notes"),
                    Item=twin.note(v={"N": "1"}), ConditionExpression=condition,
                    ExpressionAttributeValues=ONE)  # fmt: skip
    assert heard["error"] == "ValidationException"
    assert heard["message"] == (
        "Invalid ConditionExpression: The expression contains too many operators; "
        "operator count: 301"
    )


def test_expressions_of_4_kilobytes(twin: Twin) -> None:
    """Conditions and updates, alone and in a transaction."""
    name = twin.name("notes")
    update = "SET v = :v REMOVE " + ", ".join(f"g{number:037}" for number in range(102))
    condition = of_full_length("attribute_exists(note_id)", f" AND {'x' * 60} <> :v")
    twin.both("put_item", TableName=name, Item=twin.note())
    twin.both("update_item", TableName=name, Key=twin.note_key(), UpdateExpression=update,
              ConditionExpression=condition, ExpressionAttributeValues=ONE,
              ReturnValues="ALL_NEW")  # fmt: skip
    action = {"TableName": name, "Key": twin.note_key(), "UpdateExpression": update,
              "ConditionExpression": condition, "ExpressionAttributeValues": ONE}  # fmt: skip
    twin.both("transact_write_items", TransactItems=[{"Update": action}])
    check = {part: value for part, value in action.items() if part != "UpdateExpression"}
    twin.both("transact_write_items", TransactItems=[{"ConditionCheck": check}])
    false = check | {"ConditionExpression": condition.replace("exists", "not_exists", 1)}
    twin.both("transact_write_items", apart=("CancellationReasons",),
              TransactItems=[{"Delete": false}])  # fmt: skip
    twin.both("get_item", TableName=name, Key=twin.note_key(), ConsistentRead=True)


def test_more_attribute_updates_than_an_expression_holds(twin: Twin) -> None:
    """The legacy parameter has no such limit."""
    updates = {f"attribute-{number}": {"Action": "PUT", "Value": {"N": str(number)}}
               for number in range(600)}  # fmt: skip
    twin.both("put_item", TableName=twin.name("notes"), Item=twin.note(v={"N": "1"}))
    twin.both("update_item", TableName=twin.name("notes"), Key=twin.note_key(),
              AttributeUpdates=updates, ReturnValues="ALL_NEW")  # fmt: skip


def test_what_is_no_update_is_refused_where_there_is_no_item_too(twin: Twin) -> None:
    """An update that only removes makes nothing there, but it must be one."""
    heard = twin.both("update_item", apart=("message",), TableName=twin.name("notes"),
                      Key=twin.note_key(), UpdateExpression="FOO v")  # fmt: skip
    assert heard["error"] == "ValidationException"


@pytest.mark.managed_only
def test_a_body_that_only_the_engine_finds_too_large(twin: Twin) -> None:
    """It is told as DynamoDB tells it: by its status, without a word."""
    if not twin.rig.reference:
        return  # the embedded engines take it
    item = twin.note(v={"S": "x" * (16 * 1024 * 1024 + 8 * 1024)})
    body = json.dumps({"TableName": twin.name("notes"), "Item": item}).encode()
    headers = {"x-amz-target": "DynamoDB_20120810.PutItem", "authorization": AUTHORIZATION}
    request = urllib.request.Request(twin.rig.url, data=body, headers=headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as reply:
        assert (reply.code, reply.read()) == (413, b"")
    assert twin.rig.items("notes", Side.OLD) == twin.rig.items("notes", Side.NEW) == []


@pytest.mark.managed_only
def test_a_transaction_whose_two_sides_exceed_4_mb(twin: Twin) -> None:
    """Atomic mode refuses by name what only it makes too large, with nothing written; the client's
    own excess it leaves to the engine."""
    name = twin.name("notes")

    def put(count: int) -> dict[str, Any]:
        items = [twin.note(number, v={"S": "x" * 300_000}) for number in range(count)]
        actions = [{"Put": {"TableName": name, "Item": item}} for item in items]
        return outcome(twin.rig.proxied, "transact_write_items", TransactItems=actions)

    if twin.rig.engine_name is not EngineName.DYNAMODB_LOCAL:
        pytest.skip("this engine has no such limit")
    refused = twin.phase.mode is Mode.ATOMIC
    heard = put(8)
    assert heard.get("error") == ("ValidationException" if refused else None)
    if refused:
        assert "a transaction whose two sides exceed 4 MB" in heard["message"]
        assert "Item" not in twin.rig.proxied.get_item(TableName=name, Key=twin.note_key(0))
    assert "Transaction payload size cannot exceed 4MB" in put(15)["message"]


@pytest.mark.managed_only
@pytest.mark.parametrize("levels", [33, 150])
def test_values_nested_too_deep(twin: Twin, levels: int) -> None:
    """They are refused as DynamoDB refuses them, however deep, also where they are another
    table's; in a member that means nothing they do no harm."""
    name, free = twin.name("notes"), FREE + twin.rig.tables["notes"].side(twin.dialect).name
    value: dict[str, Any] = {"S": "x"}
    for _ in range(levels):
        value = {"M": {"a": value}}
    key = {**twin.note_key(), "note_id": value}
    own, deep = {"Item": twin.note()}, {"Item": twin.note(v=value)}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("PutItem", {"TableName": name, **deep}),
        ("GetItem", {"TableName": name, "Key": key}),
        ("Scan", {"TableName": name, "FilterExpression": "v = :v",
                  "ExpressionAttributeValues": {":v": value}}),
        ("TransactWriteItems", {"ClientRequestToken": twin.run, "TransactItems": [
            {"Put": {"TableName": name, **deep}}
        ]}),
        ("BatchWriteItem", {"RequestItems": {name: [{"PutRequest": own}],
                                             free: [{"PutRequest": deep}]}}),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": name, **own}},
                                                  {"Put": {"TableName": free, **deep}}]}),
    ]  # fmt: skip
    reference = twin.rig.engine_name is EngineName.DYNAMODB_LOCAL
    for operation, body in requests if reference or levels > 127 else requests[:4]:
        heard = raw_outcome(twin.rig.url, operation, body)
        assert heard["error"] == "ValidationException", (operation, heard)
        assert "Nesting Levels" in str(heard) or operation == "GetItem"
    assert twin.rig.items("notes", Side.OLD) == twin.rig.items("notes", Side.NEW) == []
    strange = {"TableName": name, "Key": twin.note_key(), "Unheard": value}
    assert raw_outcome(twin.rig.url, "GetItem", strange) == {}
