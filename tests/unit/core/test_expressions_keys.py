"""Key conditions: what a Query may ask, in DynamoDB's words."""

import pytest

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    KEY_CONDITION,
    KeyCondition,
    RangeCondition,
    check_filter,
    check_key_paths,
    key_condition,
    parse_condition,
    parse_projection,
)
from dualwrite.core.items import KeyAttribute, KeySchema

SCHEMA = KeySchema(KeyAttribute("h"), KeyAttribute("r"))
A, B = {"S": "1"}, {"S": "2"}
VALUES = {":a": A, ":b": B, ":n": {"N": "1"}, ":e": {"S": ""}}


def _read(text: str) -> KeyCondition:
    return key_condition(parse_condition(text, None, VALUES, KEY_CONDITION), SCHEMA)


@pytest.mark.parametrize(
    ("text", "ranged"),
    [
        ("h = :a", None),
        (":a = h", None),
        ("r = :b AND h = :a", RangeCondition("=", (B,))),
        ("(h = :a AND r >= :b)", RangeCondition(">=", (B,))),
        (":b < r AND h = :a", RangeCondition(">", (B,))),
        ("h = :a AND r BETWEEN :a AND :b", RangeCondition("BETWEEN", (A, B))),
        ("h = :a AND begins_with(r, :b)", RangeCondition("begins_with", (B,))),
    ],
)
def test_a_key_condition_is_a_hash_and_maybe_a_range(
    text: str, ranged: RangeCondition | None
) -> None:
    """In any order, either way round."""
    assert _read(text) == KeyCondition(A, ranged)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("h > :a", "Query key condition not supported"),
        ("r = :a", "Query condition missed key schema element"),
        ("h = :a AND x = :b", "Query condition missed key schema element"),
        ("h = :a AND x = :a AND r = :b", "Conditions can be of length 1 or 2 only"),
        (
            "h = :a AND r > :a AND r < :b",
            "KeyConditionExpressions must only contain one condition per key",
        ),
        ("h = :a OR r = :b", "Invalid operator used in KeyConditionExpression: OR"),
        ("NOT h = :a", "Invalid operator used in KeyConditionExpression: NOT"),
        ("h IN (:a)", "Invalid operator used in KeyConditionExpression: IN"),
        ("h = :a AND r <> :b", "Invalid operator used in KeyConditionExpression: <>"),
        ("contains(h, :a)", "Invalid operator used in KeyConditionExpression: contains"),
        (
            "h = r",
            "Invalid condition in KeyConditionExpression: "
            "Multiple attribute names used in one condition",
        ),
        (
            ":a = :b",
            "Invalid condition in KeyConditionExpression: No key attribute specified",
        ),
        (
            "begins_with(:a, h)",
            "Invalid condition in KeyConditionExpression: "
            "begins_with operator must have the key attribute as its first operand",
        ),
        ("h = size(:a)", "KeyConditionExpressions cannot contain nested operations"),
        ("x.y = :a", "KeyConditionExpressions cannot have conditions on nested attributes"),
        (
            "h = :n",
            "One or more parameter values were invalid: "
            "Condition parameter type does not match schema type",
        ),
        (
            "h = :a AND r = :e",
            "One or more parameter values are not valid. The AttributeValue for a key attribute "
            "cannot contain an empty string value. Key: r",
        ),
    ],
)
def test_what_no_query_can_ask_is_refused(text: str, message: str) -> None:
    """The words are DynamoDB's."""
    with pytest.raises(ValidationError) as caught:
        _read(text)
    assert caught.value.message == message


def test_a_filter_may_not_use_the_keys() -> None:
    """Keys belong into the key condition."""
    with pytest.raises(ValidationError) as caught:
        check_filter(parse_condition("r > :a", None, VALUES), SCHEMA)
    assert caught.value.message == (
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: r"
    )
    check_filter(parse_condition("x > :a", None, VALUES), SCHEMA)


def test_no_path_leads_into_a_key() -> None:
    """Keys of the table and of its indexes are scalars; the table's are told first."""
    with pytest.raises(ValidationError, match=r"must be scalars; .* allowed: Key: h$"):
        check_key_paths(parse_projection("x.y, h.k"), SCHEMA, ("x",))
    with pytest.raises(ValidationError, match=r"allowed: IndexKey: x$"):
        check_key_paths(parse_projection("z, x[0]"), SCHEMA, ("w", "x"))
    check_key_paths(parse_projection("h, x.k, y"), SCHEMA, ("y",))
