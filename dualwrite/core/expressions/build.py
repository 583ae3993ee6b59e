"""Builds expressions without text."""

from dataclasses import replace

from dualwrite.core.expressions.ast import (
    And,
    Attribute,
    Comparison,
    Condition,
    Function,
    Literal,
    Or,
    Path,
    SetAction,
    SetValue,
    Update,
)
from dualwrite.core.items import AttributeValue


def exists(path: Path) -> Condition:
    return Function("attribute_exists", (Attribute(path),))


def not_exists(path: Path) -> Condition:
    return Function("attribute_not_exists", (Attribute(path),))


def less(path: Path, value: AttributeValue) -> Condition:
    return Comparison("<", Attribute(path), Literal(value))


def equals(path: Path, value: AttributeValue) -> Condition:
    return Comparison("=", Attribute(path), Literal(value))


def all_of(*conditions: Condition) -> Condition:
    """All of one or more; nested ANDs are joined, so that equal meanings have equal forms."""
    parts: list[Condition] = []
    for condition in conditions:
        parts.extend(condition.parts if isinstance(condition, And) else (condition,))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def any_of(*conditions: Condition) -> Condition:
    """One of one or more; nested ORs are joined."""
    parts: list[Condition] = []
    for condition in conditions:
        parts.extend(condition.parts if isinstance(condition, Or) else (condition,))
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def conjoin(a: Condition | None, b: Condition) -> Condition:
    """``a AND b``; just ``b`` where there is no ``a``."""
    return b if a is None else all_of(a, b)


def with_set(update: Update, path: Path, value: AttributeValue | SetValue) -> Update:
    """The update with one more ``SET path = value``; nothing else in it may write that path."""
    operand = Literal(value) if isinstance(value, dict) else value
    return replace(update, sets=(*update.sets, SetAction(path, operand)))
