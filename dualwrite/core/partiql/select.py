"""A SELECT as a number of Queries, or one Scan, and what is shown of the items they find.

DynamoDB promises: a WHERE with = or IN on the partition key reads those partitions, any other one
the whole table (AWS, "PartiQL select statements"). Whatever of the WHERE the keys do not say is a
filter, which acts after Limit.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cmp_to_key

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
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
    Path,
    Placeholders,
    Projection,
    holds,
    names_used,
    parse_projection,
    project,
    render,
)
from dualwrite.core.expressions.values import compare, find
from dualwrite.core.items import AttributeValue, Item, KeyAttribute, KeySchema
from dualwrite.core.partiql.ast import Select
from dualwrite.core.partiql.bind import Binder, unprefixed
from dualwrite.core.partiql.bodies import all_parts, check_type, conjuncts, equality
from dualwrite.core.requests import Body
from dualwrite.core.spec import IndexSpec

LEGS_MAX = 100
"""Queries of one SELECT; AWS takes up to 50 partition keys in an IN, or 100 other values."""
_RANGED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Leg:
    """One of the searches: Query with this key condition, or Scan where there is none."""

    condition: Condition | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a SELECT reads, in order, and what of it is shown."""

    legs: tuple[Leg, ...]
    filter: Condition | None
    paths: tuple[Path, ...]
    index: str | None
    forward: bool
    held: frozenset[str] | None = None
    """What the index has of an item; None for all."""

    def search(self, leg: Leg) -> tuple[str, Body]:
        """Operation and body of one search, without its table and its page."""
        pool = Placeholders()
        body: Body = {} if self.index is None else {"IndexName": self.index}
        wanted = self._attributes()
        if wanted:
            body["ProjectionExpression"] = ",".join(pool.name(name) for name in wanted)
        if leg.condition is None:
            if pool.names:
                body["ExpressionAttributeNames"] = pool.names
            return "Scan", body
        body["KeyConditionExpression"] = render(leg.condition, pool)
        body["ExpressionAttributeNames"] = pool.names
        body["ExpressionAttributeValues"] = pool.values
        if not self.forward:
            body["ScanIndexForward"] = False
        return "Query", body

    def _attributes(self) -> list[str]:
        """The top-level attributes that are needed; none means all."""
        if not self.paths:
            return []
        used = names_used(self.filter) if self.filter is not None else frozenset()
        used = used if self.held is None else used & self.held
        return sorted({str(path[0]) for path in self.paths} | used)

    def admits(self, item: Mapping[str, AttributeValue]) -> bool:
        """Whether the filter holds of what was searched: an index has no more than it holds."""
        if self.held is not None:
            item = {name: value for name, value in item.items() if name in self.held}
        return self.filter is None or holds(self.filter, item)


def plan_of(
    parsed: Select, binder: Binder, table: KeySchema, index: IndexSpec | None = None
) -> Plan:
    """The searches of a SELECT on a table of these keys, or on an index of it; raises
    ValidationError."""
    schema = table if index is None else index.keys
    _check_order(parsed, schema)
    condition = None if parsed.where is None else binder.condition(parsed.where)
    parts = list(conjuncts(condition)) if condition is not None else []
    hashes = _choices(schema.hash, parts)
    rises = dict(parsed.order)
    if hashes is None:
        if parsed.order:
            raise ValidationError(
                "Must have at least one non-optional hash key condition in WHERE clause when "
                "using ORDER BY clause."
            )
        legs: list[Leg] = [Leg(None)]
    else:
        hashes = _sorted(hashes, rises=rises.get(schema.hash.name, True))
        forward = schema.range is None or rises.get(schema.range.name, True)
        ranges = _ranges(schema.range, parts, rises=forward)
        legs = [
            Leg(all_parts(_equal(schema.hash, value), ranged))
            for value in hashes
            for ranged in ranges
        ]
    if len(legs) > LEGS_MAX:
        raise ValidationError(f"The statement reads more than {LEGS_MAX} keys at once")
    _check_filter(parts, {*table.attributes, *schema.attributes})
    held = None
    if index is not None and index.projected is not None:
        held = frozenset({*table.names, *schema.names, *index.projected})
    filtered = all_parts(*parts) if parts else None
    if hashes is not None:
        _check_held(parsed, filtered, held)
    return Plan(
        tuple(legs),
        filtered,
        parsed.paths,
        parsed.index,
        schema.range is None or rises.get(schema.range.name, True),
        held,
    )


def _check_held(parsed: Select, filtered: Condition | None, held: frozenset[str] | None) -> None:
    """What reads partitions of an index filters by what that has; what scans it finds nothing else
    there (AWS, as the conformance suite of dynoxide recorded it)."""
    if filtered is None or held is None:
        return
    lacking = sorted(names_used(filtered) - held)
    if lacking:
        raise ValidationError(
            f"One or more parameter values were invalid: Secondary index {parsed.index} does not "
            f"project one or more filter attributes: [{', '.join(lacking)}]"
        )


def _check_order(parsed: Select, schema: KeySchema) -> None:
    if parsed.order and parsed.where is None:
        raise ValidationError("Must have WHERE clause in the statement when using ORDER BY clause.")
    for name, _ in parsed.order:
        if name not in schema.names:
            raise ValidationError(
                f"Variable reference {name} in ORDER BY clause must be part of the primary key"
            )


def _choices(attribute: KeyAttribute, parts: list[Condition]) -> list[AttributeValue] | None:
    """The values that one conjunct allows a key attribute, which is taken out of ``parts``."""
    for part in parts:
        name, value = equality(part)
        values = [value] if name == attribute.name and value is not None else _in_values(part)
        if values is None or (name != attribute.name and _in_name(part) != attribute.name):
            continue
        for each in values:
            check_type(attribute, each)
        parts.remove(part)
        return values
    return None


def _in_name(part: Condition) -> str:
    if isinstance(part, In) and isinstance(part.operand, Attribute) and len(part.operand.path) == 1:
        return str(part.operand.path[0])
    return ""


def _in_values(part: Condition) -> list[AttributeValue] | None:
    if not isinstance(part, In):
        return None
    values = [choice.value for choice in part.choices if isinstance(choice, Literal)]
    return values if len(values) == len(part.choices) else None


def _sorted(values: list[AttributeValue], *, rises: bool) -> list[AttributeValue]:
    """Each value once, in the order of keys."""

    def order(one: AttributeValue, other: AttributeValue) -> int:
        return compare(one, other) or 0

    ordered = sorted(values, key=cmp_to_key(order), reverse=not rises)
    return [v for at, v in enumerate(ordered) if at == 0 or compare(ordered[at - 1], v) != 0]


def _equal(attribute: KeyAttribute, value: AttributeValue) -> Condition:
    return Comparison("=", Attribute((attribute.name,)), Literal(value))


def _ranges(
    attribute: KeyAttribute | None, parts: list[Condition], *, rises: bool
) -> list[Condition | None]:
    """Conditions of the range key, one a search; what is used is taken out of ``parts``."""
    if attribute is None:
        return [None]
    values = _choices(attribute, parts)
    if values is not None:
        return [_equal(attribute, value) for value in _sorted(values, rises=rises)]
    for part in parts:
        ranged = _range(attribute, part)
        if ranged is not None:
            parts.remove(part)
            return [ranged]
    return [None]


def _range(attribute: KeyAttribute, part: Condition) -> Condition | None:
    """A condition that a Query may have on its range key; None for another one."""
    key = Attribute((attribute.name,))

    def fits(*operands: object) -> bool:
        literals = [operand for operand in operands if isinstance(operand, Literal)]
        for literal in literals:
            check_type(attribute, literal.value)
        return len(literals) == len(operands)

    match part:
        case Comparison(operator, left, right) if operator in _RANGED:
            if left == key and fits(right):
                return part
            if right == key and fits(left):
                return Comparison(_RANGED[operator], right, left)
        case Between(operand, low, high) if operand == key and fits(low, high):
            return part
        case Function("begins_with", (operand, prefix)) if operand == key and fits(prefix):
            return part if attribute.type in ("S", "B") else None
    return None


# -- filters ---------------------------------------------------------------------------------------


def _check_filter(parts: Iterable[Condition], keys: Collection[KeyAttribute]) -> None:
    """A filter compares key attributes with values of their types alone."""
    types = {(key.name,): key.type for key in keys}
    for part in parts:
        match part:
            case And(inner) | Or(inner):
                _check_filter(inner, keys)
            case Not(inner):
                _check_filter((inner,), keys)
        operands = _compared(part)
        wanted = {types[o.path] for o in operands if isinstance(o, Attribute) and o.path in types}
        for operand in operands:
            if isinstance(operand, Literal) and not wanted <= operand.value.keys():
                raise ValidationError(
                    "One or more parameter values were invalid: Condition parameter type does not "
                    "match schema type"
                )


def _compared(part: Condition) -> tuple[Operand, ...]:
    """What stands in one comparison, all of it of one type."""
    match part:
        case Comparison(_, left, right):
            return left, right
        case Between(operand, low, high):
            return operand, low, high
        case In(operand, choices):
            return operand, *choices
        case Function("contains", operands):
            return operands
    return ()


# -- what is shown ---------------------------------------------------------------------------------


def check_shown(paths: tuple[Path, ...]) -> None:
    """What a SELECT shows has a name of its own each, and no path is a part of another; raises
    ValidationError."""
    found = labels(paths)
    for at, label in enumerate(found):
        if label in found[:at]:
            raise ValidationError(f"Duplicate identifiers in select clause: {label}")
    pool = Placeholders()
    try:
        parse_projection(render(Projection(paths), pool), pool.names)
    except ValidationError as error:
        raise unprefixed(error, "ProjectionExpression") from error


def labels(paths: tuple[Path, ...]) -> tuple[str, ...]:
    """Under which name each path is shown: its last name, with the indexes after it."""
    found: list[str] = []
    for path in paths:
        last = max(at for at, step in enumerate(path) if isinstance(step, str))
        found.append(str(path[last]) + "".join(f"[{step}]" for step in path[last + 1 :]))
    return tuple(found)


def shown_of_one(paths: tuple[Path, ...], item: Item) -> Item:
    """What of its item a SELECT in a batch or a transaction shows: each path in its place, as a
    GetItem does it."""
    return project(Projection(paths), item) if paths else item


def shown(paths: tuple[Path, ...], item: Item) -> Item:
    """What of an item a SELECT shows by itself: each path under its label."""
    if not paths:
        return item
    values = {label: find(item, path) for label, path in zip(labels(paths), paths, strict=True)}
    return {label: value for label, value in values.items() if value is not None}
