"""What a request's model says of its members, which DynamoDB checks before all else.

All that is wrong comes in one message, in an order that is each operation's own (AWS, as dynalite's
tests recorded it there). Bodies are ``shaped``: members have their JSON types and none is null.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dualwrite.core.errors import ValidationError

Rule = Callable[[str, Any], Iterator[str]]
"""Given where a value stands, and the value: what it does not satisfy."""

REPORTED_MAX = 10
"""DynamoDB reports no more violations than this at once."""
SEGMENTS_MAX = 1_000_000
ATTRIBUTES_TO_GET_MAX = 255


def _violation(path: str, value: Any, constraint: str) -> str:
    shown = "null" if value is None else f"'{_shown(value)}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: Member must {constraint}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)


def _one_of(*choices: str) -> Rule:
    def check(path: str, value: Any) -> Iterator[str]:
        if value not in choices:
            yield _violation(path, value, f"satisfy enum value set: [{', '.join(choices)}]")

    return check


def _from_to(least: int, most: int | None = None) -> Rule:
    def check(path: str, value: Any) -> Iterator[str]:
        if value < least:
            yield _violation(path, value, f"have value greater than or equal to {least}")
        if most is not None and value > most:
            yield _violation(path, value, f"have value less than or equal to {most}")

    return check


def _long(least: int, most: int) -> Rule:
    def check(path: str, value: Any) -> Iterator[str]:
        if len(value) < least:
            yield _violation(path, value, f"have length greater than or equal to {least}")
        if len(value) > most:
            yield _violation(path, value, f"have length less than or equal to {most}")

    return check


_OPERATOR = _one_of(
    "IN", "NULL", "BETWEEN", "LT", "NOT_CONTAINS", "EQ", "GT", "NOT_NULL", "NE", "LE",
    "BEGINS_WITH", "GE", "CONTAINS",
)  # fmt: skip


def _each(member: str, rule: Rule, *, required: bool = False) -> Rule:
    """A rule about one member of each structure in a map; DynamoDB reports the last one first."""
    label = f"{member[0].lower()}{member[1:]}"

    def check(path: str, value: Any) -> Iterator[str]:
        for name, structure in reversed(value.items()):
            found = None if structure is None else structure.get(member)
            where = f"{path}.{name}.member.{label}"
            if found is not None:
                yield from rule(where, found)
            elif required and structure is not None:
                yield _violation(where, None, "not be null")

    return check


RULES: Mapping[str, Rule] = {
    "AttributeUpdates": _each("Action", _one_of("ADD", "DELETE", "PUT")),
    "AttributesToGet": _long(1, ATTRIBUTES_TO_GET_MAX),
    "ClientRequestToken": _long(1, 36),
    "ConditionalOperator": _one_of("OR", "AND"),
    "Expected": _each("ComparisonOperator", _OPERATOR),
    "IndexName": _long(3, 255),
    "KeyConditions": _each("ComparisonOperator", _OPERATOR, required=True),
    "Limit": _from_to(1),
    "QueryFilter": _each("ComparisonOperator", _OPERATOR, required=True),
    "ReturnConsumedCapacity": _one_of("INDEXES", "TOTAL", "NONE"),
    "ReturnItemCollectionMetrics": _one_of("SIZE", "NONE"),
    "ReturnValues": _one_of("ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"),
    "ReturnValuesOnConditionCheckFailure": _one_of("ALL_OLD", "NONE"),
    "ScanFilter": _each("ComparisonOperator", _OPERATOR, required=True),
    "Segment": _from_to(0, SEGMENTS_MAX - 1),
    "Select": _one_of("SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"),
    "TotalSegments": _from_to(1, SEGMENTS_MAX),
}

_WRITE_ORDER = (
    "ReturnConsumedCapacity", "Item", "Key", "ConditionalOperator", "Expected", "ReturnValues",
    "ReturnItemCollectionMetrics",
)  # fmt: skip
_ORDER: Mapping[str, tuple[str, ...]] = {
    "PutItem": _WRITE_ORDER,
    "UpdateItem": (
        "ReturnConsumedCapacity", "ReturnItemCollectionMetrics", "ReturnValues", "Key",
        "ConditionalOperator", "Expected", "AttributeUpdates",
    ),
    "DeleteItem": (
        "ReturnConsumedCapacity", "ReturnValues", "ReturnItemCollectionMetrics", "Key",
        "ConditionalOperator", "Expected",
    ),
    "GetItem": ("ReturnConsumedCapacity", "AttributesToGet", "Key"),
    "Query": (
        "Limit", "ReturnConsumedCapacity", "AttributesToGet", "QueryFilter", "Select",
        "ConditionalOperator", "KeyConditions", "IndexName",
    ),
    "Scan": (
        "Limit", "ReturnConsumedCapacity", "AttributesToGet", "Segment", "Select", "ScanFilter",
        "ConditionalOperator", "TotalSegments", "IndexName",
    ),
}  # fmt: skip
_REQUIRED: Mapping[str, str] = {
    "PutItem": "Item",
    "UpdateItem": "Key",
    "DeleteItem": "Key",
    "GetItem": "Key",
}


def lacks(operation: str, body: Mapping[str, Any]) -> bool:
    """Whether the body lacks what its operation cannot be without."""
    return operation in _REQUIRED and _REQUIRED[operation] not in body


def violated(name: str, value: Any) -> bool:
    """Whether one parameter does not satisfy what the model says of it."""
    rule = RULES.get(name)
    return rule is not None and next(rule(name, value), None) is not None


def violations(operation: str, body: Mapping[str, Any]) -> ValidationError:
    """The error of a body in which something is violated or lacking."""
    order = _ORDER.get(operation, ())
    names = [*order, *(name for name in RULES if name not in order)]
    found: list[str] = []
    for name in names:
        path = f"{name[0].lower()}{name[1:]}"
        if name in body and name in RULES:
            found += RULES[name](path, body[name])
        elif name not in body and _REQUIRED.get(operation) == name:
            found.append(_violation(path, None, "not be null"))
    del found[REPORTED_MAX:]
    errors = "error" if len(found) == 1 else "errors"
    return ValidationError(f"{len(found)} validation {errors} detected: {'; '.join(found)}")
