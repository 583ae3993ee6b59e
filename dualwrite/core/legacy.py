"""The parameters that DynamoDB had before expressions, as the parsed expressions they mean.

Expected, ConditionalOperator, AttributeUpdates, KeyConditions, QueryFilter, ScanFilter and
AttributesToGet are checked in DynamoDB's order and words and translated here, once; everything
else knows conditions, updates and projections only. The wording is that of AWS as dynalite's tests
recorded it there, and DynamoDB Local's where they have none. All functions take a body that is
``shaped`` and raise ClientError.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dualwrite.core.errors import ClientError, ValidationError
from dualwrite.core.expressions import (
    And,
    Attribute,
    Between,
    Comparison,
    Condition,
    Function,
    IfNotExists,
    In,
    KeyCondition,
    ListAppend,
    Literal,
    Not,
    Or,
    Projection,
    RangeCondition,
    SetAction,
    Update,
    ValueAction,
    check_name,
    check_value,
    judged,
)
from dualwrite.core.expressions.apply_update import WRONG_OPERAND
from dualwrite.core.expressions.values import compare
from dualwrite.core.items import AttributeValue, KeySchema

Body = Mapping[str, Any]

PREFIX = "One or more parameter values were invalid: "
TYPE_MISMATCH = "Type mismatch for attribute to update"
"""What AttributeUpdates say where an update expression says that an operand has a wrong type."""

WRITE_PARAMETERS = frozenset({"AttributeUpdates", "Expected", "ConditionalOperator"})


@dataclass(frozen=True, slots=True)
class _Words:
    """The parameters of one operation that hold expressions, and those that do not, in the order
    in which DynamoDB lists them."""

    expressions: tuple[str, ...]
    legacy: tuple[str, ...]


_WRITE = _Words(("ConditionExpression",), ("Expected", "ConditionalOperator"))
_READ = _Words(("ProjectionExpression",), ("AttributesToGet",))
_NO_LEGACY = _Words(("UpdateExpression", "ConditionExpression", "ProjectionExpression"), ())
_OPERATIONS: Mapping[str, _Words] = {
    "PutItem": _WRITE,
    "DeleteItem": _WRITE,
    "UpdateItem": _Words(
        ("UpdateExpression", "ConditionExpression"),
        ("AttributeUpdates", "Expected", "ConditionalOperator"),
    ),
    "GetItem": _READ,
    "BatchGetItem": _READ,
    "Query": _Words(
        ("ProjectionExpression", "FilterExpression", "KeyConditionExpression"),
        ("AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions"),
    ),
    "Scan": _Words(
        ("ProjectionExpression", "FilterExpression"),
        ("AttributesToGet", "ScanFilter", "ConditionalOperator"),
    ),
}
"""Members of transactions have no legacy parameters: what they do not know is ignored."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What the legacy parameters of a write mean."""

    condition: Condition | None
    update: Update | None


def check_mixture(operation: str, body: Body) -> None:
    """Expressions and legacy parameters do not mix, and placeholders need an expression."""
    words = _OPERATIONS.get(operation, _NO_LEGACY)
    modern = [name for name in words.expressions if name in body]
    if modern:
        legacy = [name for name in words.legacy if name in body]
        if "KeyConditions" in legacy and "KeyConditionExpression" not in body:
            legacy.remove("KeyConditions")
        if legacy:
            raise ValidationError(
                "Can not use both expression and non-expression parameters in the same request: "
                f"Non-expression parameters: {{{', '.join(legacy)}}} "
                f"Expression parameters: {{{', '.join(modern)}}}"
            )
    elif "ExpressionAttributeNames" in body:
        raise ValidationError(
            "ExpressionAttributeNames can only be specified when using expressions"
        )
    if "ExpressionAttributeValues" in body:
        valued = [name for name in words.expressions if name != "ProjectionExpression"]
        if not any(name in body for name in valued):
            raise ValidationError(
                "ExpressionAttributeValues can only be specified when using expressions: "
                f"{' and '.join(valued)} {'are' if len(valued) > 1 else 'is'} null"
            )


# -- writes ----------------------------------------------------------------------------------


def write_meant(operation: str, body: Body) -> Meant | None:
    """What the legacy parameters of a Put, Update or Delete mean; None where it has none."""
    if WRITE_PARAMETERS.isdisjoint(body):
        return None
    update = None
    if operation == "UpdateItem" and "AttributeUpdates" in body:
        update = _updates(body["AttributeUpdates"])
    expected = body.get("Expected") or {}
    parts = [_expectation(name, asked) for name, asked in expected.items()]
    return Meant(_combined(body, parts), update)


def reworded(error: ClientError) -> ClientError:
    """The error of an update as the legacy parameter words it."""
    return ValidationError(TYPE_MISMATCH) if error.message == WRONG_OPERAND else error


def _updates(asked: Mapping[str, Any]) -> Update | None:
    sets: list[SetAction] = []
    removes: list[tuple[str]] = []
    adds: list[ValueAction] = []
    deletes: list[ValueAction] = []
    for name, update in asked.items():
        check_name(name)
        value = None if update is None else update.get("Value")
        action = (None if update is None else update.get("Action")) or "PUT"
        if value is None:
            if action != "DELETE":
                raise ValidationError(
                    PREFIX + "Only DELETE action is allowed when no attribute value is specified"
                )
            removes.append((name,))
            continue
        check_value(value)
        [kind] = value
        if action == "PUT":
            sets.append(SetAction((name,), Literal(value)))
        elif action == "DELETE":
            if kind not in ("SS", "NS", "BS"):
                raise ValidationError(
                    PREFIX + f"DELETE action with value is not supported for the type {kind}"
                )
            deletes.append(ValueAction((name,), value))
        elif kind == "L":
            present = IfNotExists((name,), Literal({"L": []}))
            sets.append(SetAction((name,), ListAppend(present, Literal(value))))
        elif kind in ("N", "SS", "NS", "BS"):
            adds.append(ValueAction((name,), value))
        else:
            raise ValidationError(PREFIX + f"ADD action is not supported for the type {kind}")
    update = Update(tuple(sets), tuple(removes), tuple(adds), tuple(deletes))
    return update if asked else None


def _expectation(name: str, asked: Mapping[str, Any] | None) -> Condition:
    """One member of Expected: a comparison, or that the attribute is absent or has a value."""
    check_name(name)
    if asked is None:
        raise ValidationError(
            PREFIX + f"ExpectedAttributeValue must not be null for Attribute: {name}"
        )
    value, values = asked.get("Value"), asked.get("AttributeValueList")
    operator, exists = asked.get("ComparisonOperator"), asked.get("Exists")
    _check_forms(name, asked)
    for each in values or ():
        check_value(each)
    if value is not None:
        check_value(value)
    if operator is not None:
        given = ([] if value is None else [value]) if values is None else values
        return _comparison(name, operator, given)
    if exists is False:
        return Function("attribute_not_exists", (Attribute((name,)),))
    assert value is not None, "an expectation without operator has a value or Exists false"
    return Comparison("=", Attribute((name,)), Literal(value))


def _check_forms(name: str, asked: Mapping[str, Any]) -> None:
    """Which members of one expectation go together."""
    has = {part for part, content in asked.items() if content is not None}
    operator = asked.get("ComparisonOperator")
    problem = None
    if {"Value", "AttributeValueList"} <= has:
        problem = "Value and AttributeValueList cannot be used together"
    elif operator is not None and "Exists" in has:
        problem = "Exists and ComparisonOperator cannot be used together"
    elif operator is not None:
        if _ARGUMENTS[operator] != 0 and not has & {"Value", "AttributeValueList"}:
            problem = (
                f"Value or AttributeValueList must be used with ComparisonOperator: {operator}"
            )
    elif "AttributeValueList" in has:
        problem = "AttributeValueList can only be used with a ComparisonOperator"
    elif asked.get("Exists") is False:
        if "Value" in has:
            problem = "Value cannot be used when Exists is false"
    elif "Value" not in has:
        shown = "true" if asked.get("Exists") else "null"
        problem = f"Value must be provided when Exists is {shown}"
    if problem is not None:
        raise ValidationError(f"{PREFIX}{problem} for Attribute: {name}")


# -- comparisons -----------------------------------------------------------------------------

_ANY = frozenset({"S", "N", "B", "SS", "NS", "BS", "L", "M", "BOOL", "NULL"})
_ORDERED = frozenset({"S", "N", "B"})
_MEMBER = frozenset({"S", "N", "B", "BOOL", "NULL"})

_ARGUMENTS: Mapping[str, int | None] = {
    **dict.fromkeys(("EQ", "NE", "LE", "LT", "GE", "GT"), 1),
    **dict.fromkeys(("CONTAINS", "NOT_CONTAINS", "BEGINS_WITH"), 1),
    "NULL": 0,
    "NOT_NULL": 0,
    "BETWEEN": 2,
    "IN": None,
}
"""How many values an operator takes; None: one or more."""
_VALUES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("EQ", "NE", "NULL", "NOT_NULL"), _ANY),
    **dict.fromkeys(("LE", "LT", "GE", "GT", "BETWEEN", "IN"), _ORDERED),
    **dict.fromkeys(("CONTAINS", "NOT_CONTAINS"), _MEMBER),
    "BEGINS_WITH": frozenset({"S", "B"}),
}
_SYMBOLS = {"EQ": "=", "NE": "<>", "LE": "<=", "LT": "<", "GE": ">=", "GT": ">"}
"""The comparison operators that have a sign in expressions."""
_KEY_SIGNS = {
    **{name: sign for name, sign in _SYMBOLS.items() if name != "NE"},
    "BETWEEN": "BETWEEN",
    "BEGINS_WITH": "begins_with",
}
_TESTS: Mapping[str, Callable[[Attribute, tuple[Literal, ...]], Condition]] = {
    "NULL": lambda name, _: Function("attribute_not_exists", (name,)),
    "NOT_NULL": lambda name, _: Function("attribute_exists", (name,)),
    "CONTAINS": lambda name, values: Function("contains", (name, *values)),
    "NOT_CONTAINS": lambda name, values: And(
        (Function("attribute_exists", (name,)), Not(Function("contains", (name, *values))))
    ),
    "BEGINS_WITH": lambda name, values: Function("begins_with", (name, *values)),
    "BETWEEN": lambda name, values: Between(name, values[0], values[1]),
    "IN": lambda name, values: In(name, values),
}
"""An absent attribute does not lack a value (NOT_CONTAINS is false), but differs from it (NE)."""


def check_comparison(operator: str, values: list[AttributeValue]) -> None:
    """Number, types and order of an operator's values, which are well-formed."""
    wanted = _ARGUMENTS[operator]
    if len(values) != wanted if wanted is not None else not values:
        raise ValidationError(
            PREFIX + f"Invalid number of argument(s) for the {operator} ComparisonOperator"
        )
    kinds = [next(iter(value)) for value in values]
    if len(set(kinds)) > 1:
        raise ValidationError(
            PREFIX + "AttributeValues inside AttributeValueList must be of same type"
        )
    for kind in kinds:
        if kind not in _VALUES[operator]:
            raise ValidationError(
                PREFIX + f"ComparisonOperator {operator} is not valid for {kind} "
                "AttributeValue type"
            )
    if operator == "BETWEEN" and (compare(values[0], values[1]) or 0) > 0:
        raise ValidationError(
            "The BETWEEN condition was provided a range where the lower bound is greater than "
            "the upper bound"
        )


def _comparison(name: str, operator: str, values: list[AttributeValue]) -> Condition:
    check_comparison(operator, values)
    attribute, literals = Attribute((name,)), tuple(map(Literal, values))
    if operator in _SYMBOLS:
        return Comparison(_SYMBOLS[operator], attribute, literals[0])
    return _TESTS[operator](attribute, literals)


def _combined(body: Body, parts: list[Condition]) -> Condition | None:
    """All the parts, or any of them, as ConditionalOperator says."""
    operator = body.get("ConditionalOperator")
    if operator is not None and not parts:
        raise ValidationError("ConditionalOperator cannot be used without Filter or Expected")
    if operator is not None and len(parts) < 2:
        raise ValidationError(
            "ConditionalOperator can only be used when Filter or Expected has two or more elements"
        )
    if len(parts) < 2:
        return parts[0] if parts else None
    if operator == "OR":
        return Or(tuple(parts))
    return And(tuple(inner for part in parts for inner in _conjuncts(part)))


def _conjuncts(part: Condition) -> tuple[Condition, ...]:
    return part.parts if isinstance(part, And) else (part,)


# -- reads -----------------------------------------------------------------------------------


def filter_meant(body: Body, parameter: str) -> Condition | None:
    """What QueryFilter or ScanFilter (``parameter``) and ConditionalOperator mean."""
    if parameter not in body and "ConditionalOperator" not in body:
        return None
    parts = []
    for name, asked in (body.get(parameter) or {}).items():
        check_name(name)
        if asked is None:
            raise ValidationError(f"The filter condition for an attribute cannot be null: {name}")
        parts.append(_comparison(name, asked["ComparisonOperator"], _values_of(asked)))
    return _combined(body, parts)


def key_condition_meant(body: Body, schema: KeySchema) -> KeyCondition:
    """What KeyConditions ask of the keys of the table or index."""
    found: dict[str, RangeCondition] = {}
    for name, asked in body["KeyConditions"].items():
        if asked is None:
            raise ValidationError(f"The filter condition for an attribute cannot be null: {name}")
        operator, values = asked["ComparisonOperator"], _values_of(asked)
        check_comparison(operator, values)
        sign = _KEY_SIGNS.get(operator)
        if sign is None:
            raise ValidationError("Attempted conditional constraint is not an indexable operation")
        found[name] = RangeCondition(sign, tuple(values))
    if not found:
        raise ValidationError("Conditions can be of length 1 or 2 only")
    return judged(found, schema)


def _values_of(asked: Mapping[str, Any]) -> list[AttributeValue]:
    """The well-formed values of one condition."""
    values: list[AttributeValue] = asked.get("AttributeValueList") or []
    for value in values:
        check_value(value)
    return values


def projection_meant(body: Body) -> Projection | None:
    """What AttributesToGet means."""
    names = body.get("AttributesToGet")
    if names is None:
        return None
    seen = set()
    for name in names:
        check_name(name)
        if name in seen:
            raise ValidationError(f"{PREFIX}Duplicate value in attribute name: {name}")
        seen.add(name)
    return Projection(tuple((name,) for name in names))
