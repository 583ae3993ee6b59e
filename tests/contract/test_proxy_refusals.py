"""What is wrong with a write is told in DynamoDB's order and words, whichever way it is served.

Only DynamoDB Local judges all of this as AWS does, so only there the plain table is asked too.
"""

import re
from typing import Any

import pytest

from dualwrite.core.phases import Phase, Side
from tests.contract.twins import PLAIN, Twin
from tests.proxy_harness import outcome

pytestmark = pytest.mark.managed_only
ONE = {":one": {"N": "1"}}
INDEX_MISMATCH = "Type mismatch for Index Key"
KEY_UPDATE = "This attribute is part of the key"


def heard(twin: Twin, operation: str, **parameters: Any) -> dict[str, Any]:
    """What the client hears: of an engine that is exact, compared with its own answer."""
    if twin.rig.reference:
        return twin.both(operation, apart=("CancellationReasons",), **parameters)
    return outcome(twin.rig.proxied, operation, **parameters)


def untouched(twin: Twin, table: str) -> None:
    for side in Side:
        assert twin.rig.items(table, side) == []


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("SET {key} = :one", KEY_UPDATE),
        ("ADD {key} :one", KEY_UPDATE),
        ("REMOVE {key}", KEY_UPDATE),
        ("REMOVE gone, #k", KEY_UPDATE),
        ("HELLO a = :one", "Syntax error"),
        ("REMOVE", "Syntax error"),
    ],
)
def test_an_update_that_no_table_takes(twin: Twin, expression: str, text: str) -> None:
    """An update of a key attribute, or of no known clause, is refused although no item is there
    and nothing would come of it; alone and in a transaction."""
    for name in twin.note_key():
        update: dict[str, Any] = {
            "TableName": twin.name("notes"), "Key": twin.note_key(),
            "UpdateExpression": expression.format(key=name),
        }  # fmt: skip
        if ":one" in expression:
            update["ExpressionAttributeValues"] = ONE
        if "#k" in expression:
            update["ExpressionAttributeNames"] = {"#k": name}
        refused = heard(twin, "update_item", **update)
        assert refused["error"] == "ValidationException"
        assert text in refused["message"]
        cancelled = heard(twin, "transact_write_items", TransactItems=[{"Update": update}])
        if text == KEY_UPDATE:
            assert cancelled["CancellationReasons"][0]["Code"] == "ValidationError"
        else:
            assert cancelled["error"] == "ValidationException"
    untouched(twin, "notes")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("SET l = list_append(l, :v)", {"SS": ["w"]}),
        ("SET x = n + :v", {"S": "w"}),
        ("ADD n :v", {"S": "w"}),
        ("SET a.b = :v, a = :v", {"S": "w"}),
    ],
)
def test_a_wrong_update_is_told_before_a_false_condition(
    twin: Twin, expression: str, value: dict[str, Any]
) -> None:
    """What is wrong whatever the item holds; an update that only this item cannot take comes after
    the condition."""
    if not twin.rig.reference:
        pytest.skip("this engine does not tell the two apart")
    item = twin.note(n={"N": "1"}, l={"L": []}, s={"S": "text"}, a={"M": {}})
    twin.both("put_item", TableName=twin.name("notes"), Item=item)
    false = {"TableName": twin.name("notes"), "Key": twin.note_key(),
             "ConditionExpression": "attribute_exists(nothing)",
             "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}  # fmt: skip
    told = twin.both("update_item", UpdateExpression=expression,
                     ExpressionAttributeValues={":v": value}, **false)  # fmt: skip
    assert told["error"] == "ValidationException"
    told = twin.both("update_item", UpdateExpression="SET x = s + :v",
                     ExpressionAttributeValues={":v": {"N": "1"}}, **false)  # fmt: skip
    assert told["error"] == "ConditionalCheckFailedException"


def test_an_update_that_makes_an_item_too_large(twin: Twin) -> None:
    """An update's own words, whichever design leads and whether an item is there or not."""
    for more in ({}, {"v": {"N": "1"}}):
        if more:
            twin.both("put_item", TableName=twin.name("notes"), Item=twin.note(**more))
        told = heard(twin, "update_item", TableName=twin.name("notes"), Key=twin.note_key(),
                     UpdateExpression="SET t = :t",
                     ExpressionAttributeValues={":t": {"S": "x" * 410_000}})  # fmt: skip
        assert told["error"] == "ValidationException"


def test_a_bad_text_is_told_before_what_it_leaves_unused(twin: Twin) -> None:
    """Syntax and size come before unused placeholders, under the name of their parameter."""
    name, values = twin.name("notes"), {":v": {"N": "1"}}
    for more, text in (
        ({"UpdateExpression": "SET a = :v", "ConditionExpression": "a IN ()"},
         "Invalid ConditionExpression: Syntax error"),
        ({"UpdateExpression": f"SET {' ' * 4100}a = :v"},
         "Invalid UpdateExpression: Expression size has exceeded"),
        ({"UpdateExpression": "SET a = :v", "ConditionExpression": f"a{' ' * 4100} = :v"},
         "Invalid ConditionExpression: Expression size has exceeded"),
    ):  # fmt: skip
        refused = heard(twin, "update_item", TableName=name, Key=twin.note_key(),
                        ExpressionAttributeValues=values, **more)  # fmt: skip
        assert refused["error"] == "ValidationException"
        assert refused["message"].startswith(text)
    untouched(twin, "notes")


def test_a_transactions_texts_are_judged_before_its_items(twin: Twin) -> None:
    """An undefined placeholder or a wrong text refuses the request as it is; a key of the wrong
    type cancels the transaction, with its reason."""
    name = twin.name("notes")
    for condition in ("attribute_exists(#xyz)", "v = :xyz", "v ="):
        put = {"TableName": name, "Item": twin.note(), "ConditionExpression": condition}
        refused = heard(twin, "transact_write_items", TransactItems=[{"Put": put}])
        assert refused["error"] == "ValidationException"
        assert refused["message"].startswith("Invalid ConditionExpression")
    for wrong in (
        {"Put": {"TableName": name, "Item": twin.note(note_id={"N": "1"})}},
        {"Delete": {"TableName": name, "Key": {**twin.note_key(), "note_id": {"N": "1"}}}},
    ):
        items = [{"Put": {"TableName": name, "Item": twin.note(2)}}, wrong]
        cancelled = heard(twin, "transact_write_items", TransactItems=items)
        assert cancelled["error"] == "TransactionCanceledException"
        codes = [reason["Code"] for reason in cancelled["CancellationReasons"]]
        assert codes == ["None", "ValidationError"]
    untouched(twin, "notes")


@pytest.mark.parametrize(
    ("value", "text"),
    [({"N": "1"}, INDEX_MISMATCH), ({"NULL": True}, ""), ({"S": ""}, "cannot contain an empty")],
)
def test_a_value_that_an_index_cannot_hold(twin: Twin, value: dict[str, Any], text: str) -> None:
    """It refuses a put, and the whole of a batch, of which nothing is written."""
    name = twin.name("tasks")
    bad = twin.task(2, owner=value)
    refused = heard(twin, "put_item", TableName=name, Item=bad)
    assert refused["error"] == "ValidationException"
    requests = [{"PutRequest": {"Item": item}} for item in (twin.task(1), bad)]
    refused = heard(twin, "batch_write_item", RequestItems={name: requests})
    assert refused["error"] == "ValidationException"
    assert text in refused["message"]
    untouched(twin, "tasks")


def test_an_expression_as_deep_as_dynamodb_takes_it(twin: Twin) -> None:
    """Parentheses nest as deep as the limit of 300 operators lets them."""
    name = twin.name("notes")
    twin.both("put_item", TableName=name, Item=twin.note(a={"N": "1"}, b={"N": "2"}))
    heard(twin, "update_item", TableName=name, Key=twin.note_key(), UpdateExpression="SET z = :one",
          ConditionExpression="a < b" + " OR (a < b" * 149 + ")" * 149,
          ExpressionAttributeValues=ONE)  # fmt: skip
    got = twin.rig.proxied.get_item(
        TableName=name, Key=twin.note_key(), ConsistentRead=True
    )["Item"]  # fmt: skip
    assert got["z"] == {"N": "1"}


def test_maps_as_deep_as_dynamodb_takes_them(twin: Twin) -> None:
    """32 levels are an item, more are told in DynamoDB's words."""
    for levels in (31, 50):
        value: dict[str, Any] = {"M": {}}
        for _ in range(levels - 1):
            value = {"M": {"a": value}}
        answer = heard(twin, "put_item", TableName=twin.name("notes"), Item=twin.note(deep=value))
        assert ("error" in answer) == (levels > 32)
    assert "nested levels beyond supported limit" in answer["message"]


def test_no_path_leads_into_a_key(twin: Twin) -> None:
    """Keys of the table and of its indexes are scalars: a path that goes on behind one is refused
    in every expression of a single write and of a read, whichever side serves it."""
    twin.rig.stand(twin.phase, read_share=100)
    name, key = twin.name("tasks"), twin.task_key()
    for attribute, label in (("task_id", "Key"), ("owner", "IndexKey")):
        path = f"#n[1].#{attribute[0]}"
        names = {"#n": attribute, f"#{attribute[0]}": "x"}
        condition = {"ConditionExpression": f"attribute_exists({path})"}
        filtered = {"FilterExpression": f"attribute_exists({path})"}
        shown = {"ProjectionExpression": path}
        query = {"KeyConditionExpression": "list_id = :l",
                 "ExpressionAttributeValues": {":l": {"S": twin.run}}}  # fmt: skip
        for operation, more in (
            ("put_item", {"Item": twin.task(), **condition}),
            ("delete_item", {"Key": key, **condition}),
            ("update_item", {"Key": key, "UpdateExpression": "REMOVE v", **condition}),
            ("update_item", {"Key": key, "UpdateExpression": f"SET v = {path}"}),
            ("get_item", {"Key": key, **shown}),
            ("scan", filtered),
            ("scan", shown),
            ("query", {**query, **filtered}),
            ("query", {**query, **shown}),
        ):  # fmt: skip
            refused = heard(twin, operation, TableName=name, ExpressionAttributeNames=names, **more)
            assert refused["error"] == "ValidationException", operation
            assert refused["message"].endswith(f"not allowed: {label}: {attribute}"), operation
        asked = {name: {"Keys": [key], "ExpressionAttributeNames": names, **shown}}
        assert "error" in heard(twin, "batch_get_item", RequestItems=asked)
        get = {"TableName": name, "Key": key, "ExpressionAttributeNames": names, **shown}
        assert "error" in heard(twin, "transact_get_items", TransactItems=[{"Get": get}])
    untouched(twin, "tasks")


def test_a_page_key_of_another_kind(twin: Twin) -> None:
    """It holds the keys of its table, each of its type, whichever side serves the page."""
    twin.rig.stand(twin.phase, read_share=100)
    name, key = twin.name("notes"), twin.note_key()
    hash_name, hash_value = next(iter(key.items()))
    query = {"TableName": name, "KeyConditionExpression": f"{hash_name} = :h",
             "ExpressionAttributeValues": {":h": hash_value}}  # fmt: skip
    for attribute in key:
        wrong = {**key, attribute: {"N": "1"}}
        for operation, asked in (("query", query), ("scan", {"TableName": name})):
            refused = heard(twin, operation, **asked, ExclusiveStartKey=wrong)
            assert refused["error"] == "ValidationException"
            assert "dualwrite" not in refused["message"]


@pytest.mark.parametrize("length", [65535, 65536])
def test_the_length_of_a_name(twin: Twin, length: int) -> None:
    """65,535 bytes are the most, in expressions and filters too, whichever side serves."""
    twin.rig.stand(twin.phase, read_share=100)
    name, long = twin.name("notes"), "x" * length
    names, values = {"#n": long}, {":v": {"N": "1"}}
    key = {"TableName": name, "Key": twin.note_key()}
    for operation, asked in (
        ("get_item", {**key, "ProjectionExpression": "#n", "ExpressionAttributeNames": names}),
        ("update_item", {**key, "UpdateExpression": "SET #n = :v",
                         "ExpressionAttributeNames": names, "ExpressionAttributeValues": values}),
        ("update_item", {**key, "AttributeUpdates": {long: {"Value": {"N": "2"},
                                                            "Action": "PUT"}}}),
        ("delete_item", {**key, "Expected": {long: {"Exists": False}}}),
        ("scan", {"TableName": name, "ScanFilter": {long: {"ComparisonOperator": "NULL"}}}),
    ):  # fmt: skip
        told = heard(twin, operation, **asked)
        known = told.get("error") in (None, "ConditionalCheckFailedException")
        assert known == (length == 65535), operation
        assert known or "must be less than 65536 bytes" in told["message"]


@pytest.mark.parametrize("shown", [True, False])
def test_every_action_of_a_cancelled_transaction_has_its_reason(twin: Twin, shown: bool) -> None:
    """Also where one of them was found false before anything was sent: on an item that is not
    there, or whose update cannot be carried out; and each shows its item where that is asked."""
    name = twin.name("tasks")
    twin.both("put_item", TableName=name, Item=twin.task(1, v={"S": "text"}))
    more = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if shown else {}
    false: dict[str, Any] = {"TableName": name, "ConditionExpression": "v = :one", **more}
    used: dict[str, Any] = {"ExpressionAttributeValues": ONE}
    actions = [
        {"Update": {**false, **used, "Key": twin.task_key(2), "UpdateExpression": "SET w = :one"}},
        {"Put": {**false, **used, "Item": twin.task(3)}},
        {"Update": {**false, **used, "Key": twin.task_key(1), "UpdateExpression": "ADD v :one"}},
        {"Delete": {**false, **used, "Key": twin.task_key(4)}},
        {"Update": {**false, **used, "Key": twin.task_key(5), "UpdateExpression": "REMOVE v"}},
    ]
    if twin.rig.reference:
        told = twin.both("transact_write_items", TransactItems=actions)
    else:
        told = outcome(twin.rig.proxied, "transact_write_items", TransactItems=actions)
    assert [reason["Code"] for reason in told["CancellationReasons"]] == [
        "ConditionalCheckFailed"
    ] * 5
    assert [("Item" in reason) for reason in told["CancellationReasons"]] == [
        shown and number == 2 for number in range(5)
    ]
    assert len(twin.rig.items("tasks", twin.phase.leader)) == 1


KEY = {"list_id": {"S": "x"}, "task_id": {"S": "y"}}
HALF = {"list_id": {"S": "x"}}
SET = {"UpdateExpression": "SET v = :v", "ExpressionAttributeValues": {":v": {"N": "1"}}}


@pytest.mark.parametrize(
    ("operation", "wrong"),
    [
        ("scan", {"Limit": 0}),
        ("scan", {"Limit": -1}),
        ("scan", {"Select": "NONSENSE"}),
        ("scan", {"TotalSegments": 0, "Segment": 0}),
        ("query", {"Limit": 0, "KeyConditionExpression": "list_id = :v",
                   "ExpressionAttributeValues": {":v": {"S": "x"}}}),
        ("get_item", {"Key": {}}),
        ("get_item", {"Key": HALF}),
        ("get_item", {"Key": {**KEY, "list_id": {"N": "1"}}}),
        ("put_item", {"Item": {}}),
        ("put_item", {"Item": HALF}),
        ("put_item", {"Item": {**KEY, "list_id": {"N": "1"}}}),
        ("put_item", {"Item": {**KEY, "list_id": {"S": ""}}}),
        ("put_item", {"Item": {**KEY, "v": {"N": "abc"}}}),
        ("put_item", {"Item": {**KEY, "v": {"SS": []}}}),
        ("put_item", {"Item": KEY, "ReturnValues": "NONSENSE"}),
        ("put_item", {"Item": HALF, "ConditionExpression": "attribute_exists(v)"}),
        ("update_item", {"Key": HALF, **SET}),
        ("update_item", {"Key": {**KEY, "task_id": {"N": "1"}}, **SET}),
        ("update_item", {"Key": KEY, "ReturnValues": "NONSENSE", **SET}),
        ("delete_item", {"Key": HALF}),
        ("delete_item", {"Key": {**KEY, "v": {"N": "1"}}}),
        ("delete_item", {"Key": KEY, "ReturnValues": "ALL_NEW"}),
    ],
)  # fmt: skip
def test_the_engine_words_what_it_refuses(
    twin: Twin, operation: str, wrong: dict[str, Any]
) -> None:
    """The error is the engine's own to the letter; but where it breaks over the request, or the
    client's own table may be gone, it is AWS's."""
    mine = outcome(twin.rig.proxied, operation, TableName=twin.name("tasks"), **wrong)
    side = twin.rig.tables["tasks"].side(twin.dialect)
    plain = outcome(twin.rig.engine, operation, TableName=PLAIN + side.name, **wrong)
    assert "error" in mine
    for told in (mine, plain):  # one engine counts the bytes before what it cannot read
        told["message"] = re.sub(r"column \d+", "column", told.get("message", ""))
    alone = twin.phase is Phase.DONE and twin.dialect is not twin.phase.leader
    if plain.get("error", "InternalError") != "InternalError" and not alone:
        assert mine == plain
    untouched(twin, "tasks")
