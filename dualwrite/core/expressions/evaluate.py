"""Decides a condition about an item, as DynamoDB does."""

import base64
from collections.abc import Mapping

from dualwrite.core.expressions.ast import (
    And,
    Attribute,
    Between,
    Comparison,
    Condition,
    Function,
    In,
    Literal,
    Not,
    Operand,
    Or,
)
from dualwrite.core.expressions.values import compare, equal, find, kind_of, length
from dualwrite.core.items import AttributeValue

_MEMBERS = {"SS": "S", "NS": "N", "BS": "B"}


def holds(condition: Condition, item: Mapping[str, AttributeValue] | None) -> bool:
    """Whether ``condition`` is true of ``item``; None and {} both stand for no item.

    A comparison with something absent, or of two types, is false; only ``<>`` is then true.
    """
    return _holds(condition, item or {})


def _holds(condition: Condition, item: Mapping[str, AttributeValue]) -> bool:
    match condition:
        case Comparison(operator, left, right):
            return _compared(operator, _valued(left, item), _valued(right, item))
        case And(parts):
            return all(_holds(part, item) for part in parts)
        case Or(parts):
            return any(_holds(part, item) for part in parts)
        case Not(inner):
            return not _holds(inner, item)
        case Function():
            return _function(condition, item)
        case Between(operand, low, high):
            value = _valued(operand, item)
            return _compared(">=", value, _valued(low, item)) and _compared(
                "<=", value, _valued(high, item)
            )
        case In(operand, choices):
            value = _valued(operand, item)
            return any(_compared("=", value, _valued(choice, item)) for choice in choices)


def _valued(operand: Operand, item: Mapping[str, AttributeValue]) -> AttributeValue | None:
    if isinstance(operand, Literal):
        return operand.value
    if isinstance(operand, Attribute):
        return find(item, operand.path)
    inner = _valued(operand.operand, item)
    size = None if inner is None else length(inner)
    return None if size is None else {"N": str(size)}


def _compared(operator: str, left: AttributeValue | None, right: AttributeValue | None) -> bool:
    if left is None or right is None:
        return operator == "<>"
    if operator == "=":
        return equal(left, right)
    if operator == "<>":
        return not equal(left, right)
    order = compare(left, right)
    if order is None:
        return False
    match operator:
        case "<":
            return order < 0
        case "<=":
            return order <= 0
        case ">":
            return order > 0
        case ">=":
            return order >= 0
    raise AssertionError(f"unknown comparator {operator}")


def _function(test: Function, item: Mapping[str, AttributeValue]) -> bool:
    first = _valued(test.operands[0], item)
    match test.name:
        case "attribute_exists":
            return first is not None
        case "attribute_not_exists":
            return first is None
    second = _valued(test.operands[1], item)
    if first is None or second is None:
        return False
    match test.name:
        case "attribute_type":
            return bool(kind_of(first)[0] == second["S"])
        case "begins_with":
            return _begins_with(first, second)
        case "contains":
            return _contains(first, second)
    raise AssertionError(f"unknown function {test.name}")


def _begins_with(value: AttributeValue, prefix: AttributeValue) -> bool:
    if "S" in value and "S" in prefix:
        return str(value["S"]).startswith(prefix["S"])
    if "B" in value and "B" in prefix:
        head, whole = base64.b64decode(prefix["B"]), base64.b64decode(value["B"])
        return whole.startswith(head)
    return False


def _contains(value: AttributeValue, wanted: AttributeValue) -> bool:
    kind, content = kind_of(value)
    match kind:
        case "S":
            return "S" in wanted and str(wanted["S"]) in str(content)
        case "B":
            return "B" in wanted and base64.b64decode(wanted["B"]) in base64.b64decode(content)
        case "L":
            return any(equal(member, wanted) for member in content)
        case "SS" | "NS" | "BS":
            inner = _MEMBERS[kind]
            return inner in wanted and any(equal({inner: member}, wanted) for member in content)
    return False
