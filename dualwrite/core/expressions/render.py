"""Writes expressions back to text, with fresh placeholders for every name and value."""

from dualwrite.core.expressions.ast import (
    And,
    Arithmetic,
    Attribute,
    Between,
    Comparison,
    Condition,
    Expression,
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
    SetValue,
    Update,
)
from dualwrite.core.items import AttributeValue

_JOINED = (And, Or)


class Placeholders:
    """The names and values of one request; all its expressions share one pool.

    ``names`` is ExpressionAttributeNames and ``values`` ExpressionAttributeValues; leave either
    out of the request where it is empty. A name gets one placeholder, however often it is used,
    and so does a value that is the same object.
    """

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, AttributeValue] = {}
        self._by_name: dict[str, str] = {}
        self._by_value: dict[int, str] = {}

    def name(self, name: str) -> str:
        placeholder = self._by_name.get(name)
        if placeholder is None:
            placeholder = self._by_name[name] = f"#{len(self.names)}"
            self.names[placeholder] = name
        return placeholder

    def value(self, value: AttributeValue) -> str:
        # The pool keeps the value alive, so its id stays its own.
        placeholder = self._by_value.get(id(value))
        if placeholder is None:
            placeholder = self._by_value[id(value)] = f":{len(self.values)}"
            self.values[placeholder] = value
        return placeholder


def render(expression: Expression, pool: Placeholders) -> str:
    """The text of ``expression``; what it names goes into ``pool``."""
    if isinstance(expression, Update):
        return _update(expression, pool)
    if isinstance(expression, Projection):
        return ",".join(_path(path, pool) for path in expression.paths)
    return _condition(expression, pool)


def _path(path: Path, pool: Placeholders) -> str:
    text = pool.name(str(path[0]))
    for step in path[1:]:
        text += f"[{step}]" if isinstance(step, int) else "." + pool.name(step)
    return text


def _operand(operand: Operand, pool: Placeholders) -> str:
    if isinstance(operand, Attribute):
        return _path(operand.path, pool)
    if isinstance(operand, Literal):
        return pool.value(operand.value)
    return f"size({_operand(operand.operand, pool)})"


def _operands(operands: tuple[Operand, ...], pool: Placeholders) -> str:
    return ",".join(_operand(operand, pool) for operand in operands)


def _condition(condition: Condition, pool: Placeholders) -> str:
    match condition:
        case Comparison(operator, left, right):
            return f"{_operand(left, pool)} {operator} {_operand(right, pool)}"
        case Function(name, operands):
            return f"{name}({_operands(operands, pool)})"
        case And(parts):
            return " AND ".join(_part(part, pool) for part in parts)
        case Or(parts):
            return " OR ".join(_part(part, pool) for part in parts)
        case Not(inner):
            return "NOT " + _part(inner, pool)
        case Between(operand, low, high):
            bounds = f"{_operand(low, pool)} AND {_operand(high, pool)}"
            return f"{_operand(operand, pool)} BETWEEN {bounds}"
        case In(operand, choices):
            return f"{_operand(operand, pool)} IN ({_operands(choices, pool)})"


def _part(condition: Condition, pool: Placeholders) -> str:
    text = _condition(condition, pool)
    return f"({text})" if isinstance(condition, _JOINED) else text


def _update(update: Update, pool: Placeholders) -> str:
    sections = (
        ("SET", [f"{_path(a.path, pool)} = {_value(a.value, pool)}" for a in update.sets]),
        ("REMOVE", [_path(path, pool) for path in update.removes]),
        ("ADD", [f"{_path(a.path, pool)} {pool.value(a.value)}" for a in update.adds]),
        ("DELETE", [f"{_path(a.path, pool)} {pool.value(a.value)}" for a in update.deletes]),
    )
    return " ".join(f"{word} {','.join(actions)}" for word, actions in sections if actions)


def _value(value: SetValue, pool: Placeholders) -> str:
    match value:
        case Attribute(path):
            return _path(path, pool)
        case Literal(content):
            return pool.value(content)
        case IfNotExists(path, fallback):
            return f"if_not_exists({_path(path, pool)},{_value(fallback, pool)})"
        case ListAppend(left, right):
            return f"list_append({_value(left, pool)},{_value(right, pool)})"
        case Arithmetic(operator, left, right):
            return f"{_value(left, pool)} {operator} {_value(right, pool)}"
