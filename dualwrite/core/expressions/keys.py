"""Reads a key condition as what it may be: a hash value and perhaps a range."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions.ast import (
    And,
    Attribute,
    Between,
    Comparison,
    Condition,
    Expression,
    Function,
    In,
    Literal,
    Not,
    Operand,
    Or,
    Size,
)
from dualwrite.core.expressions.translate import names_used, paths_used
from dualwrite.core.items import AttributeValue, KeyAttribute, KeySchema

_TURNED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class RangeCondition:
    """``operator`` is =, <, <=, >, >=, BETWEEN or begins_with; BETWEEN has two values."""

    operator: str
    values: tuple[AttributeValue, ...]


@dataclass(frozen=True, slots=True)
class KeyCondition:
    """The one hash value a Query asks for, and which range values."""

    hash: AttributeValue
    range: RangeCondition | None = None


def key_condition(condition: Condition, schema: KeySchema) -> KeyCondition:
    """Check a KeyConditionExpression against the table's or index's key schema.

    Raises ValidationError in DynamoDB's words.
    """
    found: dict[str, RangeCondition] = {}
    for part in _parts(condition):
        name, asked = _single(part)
        if name in found:
            raise ValidationError("KeyConditionExpressions must only contain one condition per key")
        found[name] = asked
    return judged(found, schema)


def judged(found: dict[str, RangeCondition], schema: KeySchema) -> KeyCondition:
    """Check one condition a name against the key schema; raises ValidationError."""
    if len(found) > 2:
        raise ValidationError("Conditions can be of length 1 or 2 only")
    hashed = found.pop(schema.hash.name, None)
    ranged = found.pop(schema.range.name, None) if schema.range else None
    if hashed is not None:
        if hashed.operator != "=":
            raise ValidationError("Query key condition not supported")
        _check(schema.hash, hashed)
    if hashed is None or found:
        raise ValidationError("Query condition missed key schema element")
    if schema.range and ranged:
        _check(schema.range, ranged)
    return KeyCondition(hashed.values[0], ranged)


def check_filter(
    condition: Condition, schema: KeySchema, parameter: str = "Filter Expression"
) -> None:
    """A Query's filter may not use the keys of the table or index it reads (a Scan's may).

    ``parameter`` is how DynamoDB calls the filter.
    """
    used = names_used(condition)
    for name in schema.names:
        if name in used:
            raise ValidationError(
                f"{parameter} can only contain non-primary key attributes: "
                f"Primary key attribute: {name}"
            )


def check_key_paths(
    expression: Expression, schema: KeySchema, index_keys: Collection[str] = ()
) -> None:
    """Key attributes, an index's too, are scalars, so no path may lead into one."""
    led_into = {path[0] for path in paths_used(expression) if len(path) > 1}
    for label, names in (("Key", schema.names), ("IndexKey", index_keys)):
        for name in names:
            if name in led_into:
                raise ValidationError(
                    "Key attributes must be scalars; list random access '[]' and map lookup '.' "
                    f"are not allowed: {label}: {name}"
                )


def _parts(condition: Condition) -> Iterator[Condition]:
    match condition:
        case And(parts):
            for part in parts:
                yield from _parts(part)
        case Or():
            raise _forbidden("OR")
        case Not():
            raise _forbidden("NOT")
        case In():
            raise _forbidden("IN")
        case Comparison("<>"):
            raise _forbidden("<>")
        case Function(name) if name != "begins_with":
            raise _forbidden(name)
        case _:
            yield condition


def _single(part: Condition) -> tuple[str, RangeCondition]:
    """Attribute, operator and values of one part, the attribute first."""
    match part:
        case Comparison(operator, left, right):
            operands: tuple[Operand, ...] = (left, right)
        case Between(operand, low, high):
            operator, operands = "BETWEEN", (operand, low, high)
        case Function(operator, operands):
            pass
        case _:
            raise AssertionError("_parts lets no other through")
    if operator not in _TURNED and not isinstance(operands[0], Attribute):
        raise ValidationError(
            f"Invalid condition in KeyConditionExpression: {operator} operator must have "
            "the key attribute as its first operand"
        )
    attribute: Attribute | None = None
    for operand in operands:
        if isinstance(operand, Size):
            raise ValidationError("KeyConditionExpressions cannot contain nested operations")
        if isinstance(operand, Attribute):
            if attribute is not None:
                raise ValidationError(
                    "Invalid condition in KeyConditionExpression: "
                    "Multiple attribute names used in one condition"
                )
            attribute = operand
    if attribute is None:
        raise ValidationError(
            "Invalid condition in KeyConditionExpression: No key attribute specified"
        )
    if operands[0] is not attribute:
        operator = _TURNED[operator]
    if len(attribute.path) > 1:
        raise ValidationError("KeyConditionExpressions cannot have conditions on nested attributes")
    values = tuple(operand.value for operand in operands if isinstance(operand, Literal))
    return str(attribute.path[0]), RangeCondition(operator, values)


def _check(attribute: KeyAttribute, asked: RangeCondition) -> None:
    for value in asked.values:
        if attribute.type not in value:
            raise ValidationError(
                "One or more parameter values were invalid: "
                "Condition parameter type does not match schema type"
            )
        if value[attribute.type] == "":
            kind = "string" if attribute.type == "S" else "binary"
            raise ValidationError(
                "One or more parameter values are not valid. The AttributeValue for a key "
                f"attribute cannot contain an empty {kind} value. Key: {attribute.name}"
            )


def _forbidden(operator: str) -> ValidationError:
    return ValidationError(f"Invalid operator used in KeyConditionExpression: {operator}")
