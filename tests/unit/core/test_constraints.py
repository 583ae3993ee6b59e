"""What the model says of a request, several errors in one message."""

from typing import Any

import pytest

from dualwrite.core.errors import ValidationError
from dualwrite.core.shapes import shaped

OPERATORS = (
    "[IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]"
)


def test_all_that_is_wrong_comes_in_one_message() -> None:
    """In the order of the operation, and of a map's members the last one first."""
    body: dict[str, Any] = {
        "TableName": "abc", "ReturnConsumedCapacity": "hi", "AttributesToGet": [],
        "Select": "hi", "Limit": -1,
        "KeyConditions": {"a": {}, "b": {"ComparisonOperator": ""}},
    }  # fmt: skip
    with pytest.raises(ValidationError) as caught:
        shaped(body, "Query")
    failed = "failed to satisfy constraint: Member must"
    assert caught.value.message.split("; ") == [
        f"6 validation errors detected: Value '-1' at 'limit' {failed} have value greater than or "
        "equal to 1",
        f"Value 'hi' at 'returnConsumedCapacity' {failed} satisfy enum value set: "
        "[INDEXES, TOTAL, NONE]",
        f"Value '[]' at 'attributesToGet' {failed} have length greater than or equal to 1",
        f"Value 'hi' at 'select' {failed} satisfy enum value set: "
        "[SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]",
        f"Value '' at 'keyConditions.b.member.comparisonOperator' {failed} satisfy enum value set: "
        + OPERATORS,
        f"Value null at 'keyConditions.a.member.comparisonOperator' {failed} not be null",
    ]


@pytest.mark.parametrize(
    ("operation", "body", "text"),
    [
        ("PutItem", {"Item": None, "ReturnValues": "X"},
         "2 validation errors detected: Value null at 'item' failed to satisfy constraint: "
         "Member must not be null; Value 'X' at 'returnValues'"),
        ("GetItem", {}, "1 validation error detected: Value null at 'key'"),
        ("Scan", {"Segment": -1, "TotalSegments": 1_000_001},
         "less than or equal to 1000000"),
        ("UpdateItem", {"Key": {}, "AttributeUpdates": {"a": {"Action": "X"}}},
         "at 'attributeUpdates.a.member.action'"),
    ],
)  # fmt: skip
def test_each_constraint(operation: str, body: dict[str, Any], text: str) -> None:
    """A missing member counts as one of the errors."""
    with pytest.raises(ValidationError) as caught:
        shaped(body, operation)
    assert text in caught.value.message


def test_what_is_right_passes_without_its_nulls() -> None:
    """A null means that the parameter is not given."""
    assert shaped({"Limit": 1, "Select": None}, "Scan") == {"Limit": 1}
