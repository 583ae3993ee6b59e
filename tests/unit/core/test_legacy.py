"""The parameters from before expressions: what they mean, and what is wrong with them."""

from typing import Any

import pytest

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import Placeholders, render
from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.legacy import (
    check_mixture,
    filter_meant,
    key_condition_meant,
    projection_meant,
    reworded,
    write_meant,
)

ONE = {"N": "1"}
SET = {"SS": ["a"]}
SCHEMA = KeySchema(KeyAttribute("h"), KeyAttribute("r"))


def condition_text(expected: dict[str, Any], **more: Any) -> str:
    meant = write_meant("PutItem", {"Expected": expected, **more})
    assert meant is not None, "the body has legacy parameters"
    assert meant.condition is not None
    return render(meant.condition, Placeholders())


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ({"Value": ONE}, "#0 = :0"),
        ({"Exists": True, "Value": ONE}, "#0 = :0"),
        ({"Exists": False}, "attribute_not_exists(#0)"),
        ({"ComparisonOperator": "NE", "Value": ONE}, "#0 <> :0"),
        ({"ComparisonOperator": "NULL"}, "attribute_not_exists(#0)"),
        ({"ComparisonOperator": "NOT_NULL", "AttributeValueList": []}, "attribute_exists(#0)"),
        ({"ComparisonOperator": "BETWEEN", "AttributeValueList": [ONE, {"N": "2"}]},
         "#0 BETWEEN :0 AND :1"),
        ({"ComparisonOperator": "IN", "AttributeValueList": [ONE, {"N": "2"}]}, "#0 IN (:0,:1)"),
        ({"ComparisonOperator": "NOT_CONTAINS", "AttributeValueList": [ONE]},
         "attribute_exists(#0) AND NOT contains(#0,:0)"),
        ({"ComparisonOperator": "BEGINS_WITH", "AttributeValueList": [{"S": "x"}]},
         "begins_with(#0,:0)"),
    ],
)  # fmt: skip
def test_an_expectation_is_a_condition(expected: dict[str, Any], text: str) -> None:
    """Each form of Expected means one condition."""
    assert condition_text({"a": expected}) == text


def test_expectations_hold_together_or_one_of_them() -> None:
    """ConditionalOperator joins them; without one all must hold."""
    both = {"a": {"Value": ONE}, "b": {"Exists": False}}
    assert condition_text(both) == "#0 = :0 AND attribute_not_exists(#1)"
    either = condition_text(both, ConditionalOperator="OR")
    assert either == "#0 = :0 OR attribute_not_exists(#1)"


WRONG: list[tuple[dict[str, Any] | None, str]] = [
    ({}, "Value must be provided when Exists is null for Attribute: a"),
    ({"Exists": True}, "Value must be provided when Exists is true for Attribute: a"),
    ({"Exists": False, "Value": ONE}, "Value cannot be used when Exists is false for Attribute: a"),
    ({"Value": ONE, "AttributeValueList": [ONE]},
     "Value and AttributeValueList cannot be used together for Attribute: a"),
    ({"AttributeValueList": [ONE]},
     "AttributeValueList can only be used with a ComparisonOperator for Attribute: a"),
    ({"Exists": True, "ComparisonOperator": "EQ", "Value": ONE},
     "Exists and ComparisonOperator cannot be used together for Attribute: a"),
    ({"ComparisonOperator": "EQ"},
     "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a"),
    ({"ComparisonOperator": "EQ", "AttributeValueList": [ONE, ONE]},
     "Invalid number of argument(s) for the EQ ComparisonOperator"),
    ({"ComparisonOperator": "NULL", "AttributeValueList": [ONE]},
     "Invalid number of argument(s) for the NULL ComparisonOperator"),
    ({"ComparisonOperator": "IN", "AttributeValueList": []},
     "Invalid number of argument(s) for the IN ComparisonOperator"),
    ({"ComparisonOperator": "IN", "AttributeValueList": [ONE, {"S": "x"}]},
     "AttributeValues inside AttributeValueList must be of same type"),
    ({"ComparisonOperator": "LT", "AttributeValueList": [SET]},
     "ComparisonOperator LT is not valid for SS AttributeValue type"),
    ({"ComparisonOperator": "BEGINS_WITH", "AttributeValueList": [ONE]},
     "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type"),
    ({"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "2"}, ONE]},
     "The BETWEEN condition was provided a range where the lower bound is greater than the upper "
     "bound"),
    ({"ComparisonOperator": "EQ", "AttributeValueList": [{}]},
     "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
    (None, "ExpectedAttributeValue must not be null for Attribute: a"),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "text"), WRONG)
def test_a_wrong_expectation_is_refused_in_dynamodbs_words(
    expected: dict[str, Any] | None, text: str
) -> None:
    """The words are those of AWS and DynamoDB Local."""
    with pytest.raises(ValidationError) as caught:
        write_meant("PutItem", {"Expected": {"a": expected}})
    assert caught.value.message.endswith(text)


@pytest.mark.parametrize("expected", [{}, {"a": {"Value": ONE}}])
def test_a_conditional_operator_needs_two_conditions(expected: dict[str, Any]) -> None:
    """Alone, or with one condition, it has nothing to join."""
    with pytest.raises(ValidationError, match="ConditionalOperator can"):
        write_meant("DeleteItem", {"ConditionalOperator": "AND", "Expected": expected})


def test_attribute_updates_are_an_update() -> None:
    """Each action means its section; a list is appended to what is there."""
    updates = {
        "a": {"Value": ONE},
        "b": {"Action": "DELETE"},
        "c": {"Action": "ADD", "Value": ONE},
        "d": {"Action": "DELETE", "Value": SET},
        "e": {"Action": "ADD", "Value": {"L": [ONE]}},
    }
    meant = write_meant("UpdateItem", {"AttributeUpdates": updates})
    assert meant is not None
    assert meant.update is not None
    assert render(meant.update, Placeholders()) == (
        "SET #0 = :0,#1 = list_append(if_not_exists(#1,:1),:2) REMOVE #2 ADD #3 :0 DELETE #4 :3"
    )


@pytest.mark.parametrize(
    ("update", "text"),
    [
        ({"Action": "PUT"}, "Only DELETE action is allowed when no attribute value is specified"),
        (None, "Only DELETE action is allowed when no attribute value is specified"),
        ({"Action": "ADD", "Value": {"S": "x"}}, "ADD action is not supported for the type S"),
        ({"Action": "DELETE", "Value": ONE},
         "DELETE action with value is not supported for the type N"),
    ],
)  # fmt: skip
def test_a_wrong_attribute_update_is_refused(update: dict[str, Any] | None, text: str) -> None:
    """In the words of AWS."""
    with pytest.raises(ValidationError, match=text):
        write_meant("UpdateItem", {"AttributeUpdates": {"a": update}})


def test_an_operand_of_a_wrong_type_has_other_words() -> None:
    """Of an attribute update it is a type mismatch; any other error stays as it is."""
    operand = ValidationError("An operand in the update expression has an incorrect data type")
    assert reworded(operand).message == "Type mismatch for attribute to update"
    other = ValidationError("something else")
    assert reworded(other) is other


@pytest.mark.parametrize(
    ("operation", "body", "text"),
    [
        ("UpdateItem", {"AttributeUpdates": {}, "Expected": {}, "UpdateExpression": "SET a = :a"},
         "Non-expression parameters: {AttributeUpdates, Expected} "
         "Expression parameters: {UpdateExpression}"),
        ("Query", {"QueryFilter": {}, "KeyConditions": {}, "FilterExpression": "a = :a"},
         "Non-expression parameters: {QueryFilter} Expression parameters: {FilterExpression}"),
        ("GetItem", {"AttributesToGet": ["a"], "ExpressionAttributeNames": {"#a": "a"}},
         "ExpressionAttributeNames can only be specified when using expressions"),
        ("UpdateItem", {"ExpressionAttributeValues": {":a": ONE}},
         "UpdateExpression and ConditionExpression are null"),
        ("PutItem", {"ExpressionAttributeValues": {":a": ONE}}, "ConditionExpression is null"),
    ],
)  # fmt: skip
def test_expressions_and_legacy_parameters_do_not_mix(
    operation: str, body: dict[str, Any], text: str
) -> None:
    """But KeyConditions and a FilterExpression do."""
    with pytest.raises(ValidationError) as caught:
        check_mixture(operation, body)
    assert caught.value.message.endswith(text)
    check_mixture("Query", {"KeyConditions": {}, "FilterExpression": "a = :a"})


def test_key_conditions_are_judged_as_key_condition_expressions() -> None:
    """One hash value, and perhaps a range; what no index can answer is refused."""
    of_hash = {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "x"}]}
    asked = {"h": of_hash, "r": {"ComparisonOperator": "GT", "AttributeValueList": [{"S": "y"}]}}
    meant = key_condition_meant({"KeyConditions": asked}, SCHEMA)
    assert meant.hash == {"S": "x"}
    assert meant.range is not None
    assert meant.range.operator == ">"
    for wrong, text in (
        ({"h": of_hash, "r": {"ComparisonOperator": "NE", "AttributeValueList": [{"S": "y"}]}},
         "not an indexable operation"),
        ({"r": of_hash}, "missed key schema element"),
        ({}, "Conditions can be of length 1 or 2 only"),
    ):  # fmt: skip
        with pytest.raises(ValidationError, match=text):
            key_condition_meant({"KeyConditions": wrong}, SCHEMA)


def test_filters_and_attributes_to_get() -> None:
    """A filter means a condition, a list of names a projection without doubles."""
    body = {"ScanFilter": {"a.b": {"ComparisonOperator": "NOT_NULL"}}, "AttributesToGet": ["a.b"]}
    meant, projection = filter_meant(body, "ScanFilter"), projection_meant(body)
    assert meant is not None
    assert projection is not None
    assert render(meant, Placeholders()) == "attribute_exists(#0)"
    assert projection.paths == (("a.b",),)
    assert filter_meant({}, "ScanFilter") is None
    assert projection_meant({}) is None
    with pytest.raises(ValidationError, match="Duplicate value in attribute name: a"):
        projection_meant({"AttributesToGet": ["a", "a"]})
