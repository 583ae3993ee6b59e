"""The parameters from before expressions do what they do on a plain table."""

from typing import Any

import pytest

from tests.contract.twins import Twin
from tests.engines_chosen import EngineName

ONE = {"N": "1"}


def compare(operator: str, *values: dict[str, Any]) -> dict[str, Any]:
    return {"ComparisonOperator": operator, "AttributeValueList": list(values)}


def needs_reference(twin: Twin) -> None:
    """Of Expected, list ADDs and what does not mix, the other engines know little itself."""
    if twin.rig.engine_name is not EngineName.DYNAMODB_LOCAL:
        pytest.skip("this engine is no measure for this")


def seed(twin: Twin, number: int = 1, **more: Any) -> dict[str, Any]:
    item = twin.note(
        number, n={"N": "5"}, s={"S": "abc"}, ss={"SS": ["a", "b"]}, l={"L": [ONE]}, **more
    )
    twin.both("put_item", TableName=twin.name("notes"), Item=item)
    return item


UPDATES: list[dict[str, Any]] = [
    {"n": {"Action": "PUT", "Value": ONE}, "new": {"Action": "PUT", "Value": {"S": "x"}}},
    {"n": {"Action": "ADD", "Value": {"N": "-2"}}, "counter": {"Action": "ADD", "Value": ONE}},
    {"ss": {"Action": "ADD", "Value": {"SS": ["b", "c"]}}},
    {"ss": {"Action": "DELETE", "Value": {"SS": ["a"]}}, "s": {"Action": "DELETE"}},
    {"ss": {"Action": "DELETE", "Value": {"SS": ["a", "b"]}}},
    {"fresh": {"Action": "ADD", "Value": {"NS": ["1", "2"]}}},
    {"absent": {"Action": "DELETE"}, "gone": {"Action": "DELETE", "Value": {"SS": ["a"]}}},
    {
        "status": {"Action": "PUT", "Value": {"S": "a reserved word"}},
        "a.b": {"Action": "PUT", "Value": ONE},
    },
    {},
]
LIST_UPDATES: list[dict[str, Any]] = [
    {"l": {"Action": "ADD", "Value": {"L": [{"S": "x"}]}}},
    {"fresh": {"Action": "ADD", "Value": {"L": [{"S": "x"}]}}},
]
"""The embedded engine adds to no list."""


@pytest.mark.parametrize("returns", ["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
def test_attribute_updates(twin: Twin, returns: str) -> None:
    """PUT, ADD and DELETE of values, numbers, sets and lists, with all return values."""
    name = twin.name("notes")
    cases = UPDATES + LIST_UPDATES if twin.rig.engine_name is EngineName.DYNAMODB_LOCAL else UPDATES
    for number, updates in enumerate(cases):
        seed(twin, number)
        twin.both("update_item", TableName=name, Key=twin.note_key(number),
                  AttributeUpdates=updates, ReturnValues=returns)  # fmt: skip
    twin.both("update_item", TableName=name, Key=twin.note_key(99), ReturnValues=returns,
              AttributeUpdates={"n": {"Action": "ADD", "Value": ONE}})  # fmt: skip


def test_attribute_updates_of_derived_attributes(twin: Twin) -> None:
    """What the other dialect derives from changes there too."""
    name = twin.name("tasks")
    twin.both("put_item", TableName=name, Item=twin.task())
    changed = {name: value for name, value in twin.task(1, "bolt-prod").items()
               if name not in twin.task_key()}  # fmt: skip
    twin.both("update_item", TableName=name, Key=twin.task_key(), ReturnValues="ALL_NEW",
              AttributeUpdates={name: {"Action": "PUT", "Value": value}
                                for name, value in changed.items()},
              Expected={"endpoint_id": {"Value": twin.task()["endpoint_id"]}})  # fmt: skip


def test_an_attribute_update_that_does_not_fit_changes_nothing(twin: Twin) -> None:
    """A wrong type is refused in the words of the legacy parameter."""
    needs_reference(twin)
    seed(twin)
    for updates in (
        {"s": {"Action": "ADD", "Value": ONE}},
        {"n": {"Action": "ADD", "Value": {"SS": ["a"]}}},
        {"n": {"Action": "DELETE", "Value": {"SS": ["a"]}}},
        {"n": {"Action": "ADD", "Value": {"L": [ONE]}}},
    ):
        heard = twin.both("update_item", TableName=twin.name("notes"), Key=twin.note_key(),
                          AttributeUpdates=updates)  # fmt: skip
        assert heard["error"] == "ValidationException"
        assert heard["message"] == "Type mismatch for attribute to update"


EXPECTATIONS: list[dict[str, Any]] = [
    {"n": {"Value": {"N": "5.0"}}},
    {"n": {"Value": {"N": "6"}}},
    {"n": {"Exists": True, "Value": {"N": "5"}}},
    {"absent": {"Exists": False}},
    {"n": {"Exists": False}},
    {"n": {"ComparisonOperator": "NE", "Value": {"N": "6"}}},
    {"n": compare("LE", {"N": "5"}), "s": compare("BEGINS_WITH", {"S": "ab"})},
    {"n": compare("BETWEEN", {"N": "1"}, {"N": "4"})},
    {"s": compare("IN", {"S": "x"}, {"S": "abc"})},
    {"ss": compare("CONTAINS", {"S": "a"}), "l": compare("NOT_CONTAINS", {"S": "a"})},
    {"absent": compare("NOT_CONTAINS", {"S": "a"})},
    {"absent": compare("NE", {"S": "a"})},
    {"absent": {"ComparisonOperator": "NULL"}, "n": {"ComparisonOperator": "NOT_NULL"}},
    {"ss": compare("EQ", {"SS": ["b", "a"]})},
]


@pytest.mark.parametrize("operation", ["put_item", "update_item", "delete_item"])
def test_expected(twin: Twin, operation: str) -> None:
    """Each operator decides, alone and all together or any of them, and shows the old item."""
    needs_reference(twin)
    name = twin.name("notes")
    for number, expected in enumerate(EXPECTATIONS):
        item = seed(twin, number)
        target: dict[str, Any] = {"Key": twin.note_key(number)}
        if operation == "put_item":
            target = {"Item": item | {"put": ONE}}
        elif operation == "update_item":
            target["AttributeUpdates"] = {"n": {"Action": "ADD", "Value": ONE}}
        twin.both(operation, TableName=name, Expected=expected, ReturnValues="ALL_OLD", **target,
                  ReturnValuesOnConditionCheckFailure="ALL_OLD")  # fmt: skip
    seed(twin)
    for operator in ("AND", "OR"):
        twin.both("delete_item", TableName=name, Key=twin.note_key(), ConditionalOperator=operator,
                  Expected={"n": {"Value": ONE}, "s": {"Value": {"S": "abc"}}})  # fmt: skip


def test_expected_of_derived_attributes(twin: Twin) -> None:
    """A condition on what only one dialect has is decided, whoever leads."""
    name = twin.name("tasks")
    twin.both("put_item", TableName=name, Item=twin.task())
    own = twin.task()["endpoint_id"]
    for expected in (
        {"endpoint_id": {"Value": {"S": "other"}}},
        {"endpoint_id": {"Value": own}},
    ):
        twin.both("put_item", TableName=name, Item=twin.task(v=ONE), Expected=expected)


def test_key_conditions_and_filters(twin: Twin) -> None:
    """Queries by KeyConditions, filtered, projected and in pages, and a Scan by ScanFilter."""
    name, hash_name = twin.name("notes"), next(iter(twin.note_key()))
    for number in range(5):
        seed(twin, number, place={"N": str(number)})
    key = twin.note_key()
    of_hash = {hash_name: compare("EQ", key[hash_name])}
    ranged = [
        compare("EQ", key["note_id"]), compare("GT", key["note_id"]),
        compare("BEGINS_WITH", {"S": twin.run}),
        compare("BETWEEN", key["note_id"], twin.note_key(3)["note_id"]),
    ]  # fmt: skip
    for each in ranged:
        twin.both("query", TableName=name, KeyConditions={**of_hash, "note_id": each})
    wanted: list[dict[str, Any]] = [
        {"QueryFilter": {"place": compare("GE", {"N": "3"})}},
        {"QueryFilter": {"place": compare("EQ", ONE), "s": compare("EQ", {"S": "abc"})}},
        {"QueryFilter": {"place": compare("IN", ONE, {"N": "2"})}, "Select": "COUNT"},
        {"AttributesToGet": ["place", "absent"], "ScanIndexForward": False},
        {"FilterExpression": "#n = :one", "ExpressionAttributeNames": {"#n": "place"},
         "ExpressionAttributeValues": {":one": ONE}},
    ]  # fmt: skip
    for more in wanted:
        twin.both("query", TableName=name, KeyConditions=of_hash, ConsistentRead=True, **more)
    if twin.rig.engine_name is EngineName.DYNAMODB_LOCAL:  # others take OR for AND
        either = {"place": compare("EQ", ONE), "s": compare("NE", {"S": "abc"})}
        twin.both("query", TableName=name, KeyConditions=of_hash, QueryFilter=either,
                  ConditionalOperator="OR")  # fmt: skip
    page = twin.both("query", TableName=name, KeyConditions=of_hash, Limit=2)
    twin.both("query", TableName=name, KeyConditions=of_hash, Limit=2,
              ExclusiveStartKey=page["LastEvaluatedKey"])  # fmt: skip
    twin.both("get_item", TableName=name, Key=key, AttributesToGet=["place", "l"])
    heard = twin.both("scan", TableName=name, ConsistentRead=True,
                      ScanFilter={"place": compare("EQ", ONE)})  # fmt: skip
    assert heard["Count"] == 1
    twin.both("batch_get_item", RequestItems={name: {"Keys": [key], "AttributesToGet": ["s"]}})


def test_legacy_parameters_do_not_mix_with_expressions(twin: Twin) -> None:
    """What is wrong is refused in every phase, and nothing is written."""
    needs_reference(twin)
    name, key = twin.name("notes"), twin.note_key()
    item = seed(twin)
    writes: list[dict[str, Any]] = [
        {"Expected": {"n": {"Value": ONE}}, "ConditionExpression": "attribute_exists(n)"},
        {"ConditionalOperator": "AND"},
        {"Expected": {"n": {"Exists": True}}},
        {"Expected": {"n": {"Exists": False, "Value": ONE}}},
        {"Expected": {"n": compare("LT", {"SS": ["a"]})}},
        {"Expected": {"n": compare("BETWEEN", {"N": "2"}, ONE)}},
        {"ExpressionAttributeNames": {"#a": "a"}},
    ]
    for more in writes:
        assert "error" in twin.both("put_item", TableName=name, Item=item, **more)
    updates: list[dict[str, Any]] = [
        {"n": {"Action": "PUT"}},
        {"n": {"Action": "ADD", "Value": {"S": "x"}}},
        {"n": {"Action": "DELETE", "Value": {"S": "x"}}},
        {"note_id": {"Action": "PUT", "Value": {"S": "x"}}},
    ]
    for each in updates:
        assert "error" in twin.both("update_item", TableName=name, Key=key, AttributeUpdates=each)
