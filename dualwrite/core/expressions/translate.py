"""Carries an expression over to other attribute names, and says which names it touches."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from dualwrite.core.expressions.ast import (
    And,
    Arithmetic,
    Attribute,
    Between,
    Comparison,
    Condition,
    Function,
    IfNotExists,
    In,
    ListAppend,
    Literal,
    Not,
    Operand,
    Or,
    Path,
    Projection,
    SetAction,
    SetValue,
    Size,
    Update,
    ValueAction,
)
from dualwrite.core.items import Item

E = TypeVar("E", Condition, Update, Projection)
V = TypeVar("V", bound=SetValue)

EXISTENCE = frozenset({"attribute_exists", "attribute_not_exists"})


def rename(
    expression: E,
    renames: Mapping[str, Path],
    exists: Mapping[str, str] | None = None,
) -> E:
    """The expression with top-level names replaced by other paths.

    ``exists`` maps names that stand alone in attribute_exists or attribute_not_exists, and wins
    there over ``renames``. Renames must be injective, or two paths would become one.
    """
    if not renames and not exists:
        return expression
    carry = _Carry(renames, exists or {})
    if isinstance(expression, Update):
        return carry.update(expression)
    if isinstance(expression, Projection):
        return Projection(tuple(map(carry.path, expression.paths)))
    return carry.condition(expression)


def names_used(expression: Condition | Update | Projection) -> frozenset[str]:
    """The top-level names of every path in the expression, read or written."""
    return frozenset(str(path[0]) for path in paths_used(expression))


def names_written(update: Update) -> frozenset[str]:
    """The top-level names of the paths an update writes."""
    return frozenset(str(path[0]) for path in update.paths)


def literals_written(update: Update) -> Item:
    """The values that an update gives to whole attributes, or adds to them, as the request brought
    them."""
    given = [(action.path, action.value) for action in update.sets]
    literals = [(path, value.value) for path, value in given if isinstance(value, Literal)]
    literals += [(action.path, action.value) for action in update.adds]
    return {str(path[0]): value for path, value in literals if len(path) == 1}


def creates(update: Update) -> bool:
    """Whether the update makes an item where none is.

    DynamoDB makes none if there is nothing to SET or ADD (seen on AWS by the tests of ScyllaDB
    Alternator; DynamoDB Local makes one of just the key).
    """
    return bool(update.sets or update.adds)


class _Carry:
    def __init__(self, renames: Mapping[str, Path], exists: Mapping[str, str]) -> None:
        self._renames = renames
        self._exists = exists

    def path(self, path: Path) -> Path:
        target = self._renames.get(str(path[0]))
        return path if target is None else target + path[1:]

    def operand(self, operand: Operand) -> Operand:
        if isinstance(operand, Attribute):
            return Attribute(self.path(operand.path))
        return Size(self.operand(operand.operand)) if isinstance(operand, Size) else operand

    def operands(self, operands: tuple[Operand, ...]) -> tuple[Operand, ...]:
        return tuple(map(self.operand, operands))

    def condition(self, condition: Condition) -> Condition:
        match condition:
            case Comparison(operator, left, right):
                return Comparison(operator, self.operand(left), self.operand(right))
            case Function(name, operands):
                return self._function(name, operands)
            case And(parts):
                return And(tuple(map(self.condition, parts)))
            case Or(parts):
                return Or(tuple(map(self.condition, parts)))
            case Not(inner):
                return Not(self.condition(inner))
            case Between(operand, low, high):
                return Between(self.operand(operand), self.operand(low), self.operand(high))
            case In(operand, choices):
                return In(self.operand(operand), self.operands(choices))

    def _function(self, name: str, operands: tuple[Operand, ...]) -> Function:
        first = operands[0]
        if name in EXISTENCE and isinstance(first, Attribute) and len(first.path) == 1:
            other = self._exists.get(str(first.path[0]))
            if other is not None:
                return Function(name, (Attribute((other,)),))
        return Function(name, self.operands(operands))

    def update(self, update: Update) -> Update:
        return Update(
            tuple(SetAction(self.path(a.path), self.value(a.value)) for a in update.sets),
            tuple(map(self.path, update.removes)),
            tuple(ValueAction(self.path(a.path), a.value) for a in update.adds),
            tuple(ValueAction(self.path(a.path), a.value) for a in update.deletes),
        )

    def value(self, value: V) -> V:
        return _mapped(value, self.path)


def _mapped(value: V, change: Callable[[Path], Path]) -> V:
    """The same kind of value with every path changed."""
    match value:
        case Attribute(path):
            return type(value)(change(path))
        case IfNotExists(path, fallback):
            return type(value)(change(path), _mapped(fallback, change))
        case ListAppend(left, right):
            return type(value)(_mapped(left, change), _mapped(right, change))
        case Arithmetic(operator, left, right):
            return type(value)(operator, _mapped(left, change), _mapped(right, change))
    return value


def paths_used(expression: Condition | Update | Projection) -> Iterator[Path]:
    """Every path in the expression, read or written."""
    match expression:
        case Update():
            yield from expression.paths
            for action in expression.sets:
                yield from _value_paths(action.value)
        case Projection(paths):
            yield from paths
        case And(parts) | Or(parts):
            for part in parts:
                yield from paths_used(part)
        case Not(inner):
            yield from paths_used(inner)
        case Comparison(_, left, right):
            yield from _operand_paths((left, right))
        case Between(operand, low, high):
            yield from _operand_paths((operand, low, high))
        case In(operand, choices):
            yield from _operand_paths((operand, *choices))
        case Function(_, operands):
            yield from _operand_paths(operands)


def _operand_paths(operands: tuple[Operand, ...]) -> Iterator[Path]:
    for operand in operands:
        while isinstance(operand, Size):
            operand = operand.operand
        if isinstance(operand, Attribute):
            yield operand.path


def _value_paths(value: SetValue) -> Iterator[Path]:
    match value:
        case Attribute(path):
            yield path
        case IfNotExists(path, fallback):
            yield path
            yield from _value_paths(fallback)
        case ListAppend(left, right) | Arithmetic(_, left, right):
            yield from _value_paths(left)
            yield from _value_paths(right)
        case Literal():
            return
