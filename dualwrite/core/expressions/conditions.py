"""Parses conditions: ConditionExpression, FilterExpression and KeyConditionExpression."""

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
    Size,
)
from dualwrite.core.expressions.bind import Binder
from dualwrite.core.expressions.syntax import COMPARATORS, TESTS, Node, condition_syntax
from dualwrite.core.expressions.tokens import invalid
from dualwrite.core.expressions.values import compare
from dualwrite.core.items import AttributeValue

CONDITION = "ConditionExpression"
FILTER = "FilterExpression"
KEY_CONDITION = "KeyConditionExpression"

IN_CHOICES_MAX = 100
"""AWS: IN takes "up to 100 values"."""

_ORDERED = frozenset({"S", "N", "B"})
_SIZED = frozenset({"S", "B", "SS", "NS", "BS", "L", "M"})
_TYPE_NAMES = ("N", "BS", "L", "B", "NULL", "M", "S", "SS", "NS", "BOOL")


def parse_condition(
    text: str,
    names: Mapping[str, str] | None = None,
    values: Mapping[str, AttributeValue] | None = None,
    kind: str = CONDITION,
) -> Condition:
    """Parse a condition, filter or key condition; ``kind`` is the parameter that held it.

    Raises ValidationError in DynamoDB's words.
    """
    return _Conditions(kind, names or {}, values or {}).condition(condition_syntax(text, kind))


class _Conditions(Binder):
    def condition(self, node: Node) -> Condition:
        if node.op in COMPARATORS:
            return self._comparison(node)
        match node.op:
            case "AND":
                return And(tuple(map(self.condition, node.args)))
            case "OR":
                return Or(tuple(map(self.condition, node.args)))
            case "NOT":
                return Not(self.condition(node.args[0]))
            case "BETWEEN":
                return self._between(node)
            case "IN":
                return self._in(node)
        if node.word not in TESTS:
            raise self.misused(node.word)
        return self._test(node)

    def operand(self, node: Node) -> Operand:
        if node.op == "path":
            return Attribute(self.path(node))
        if node.op == "value":
            return Literal(self.value(node))
        if node.word != "size":
            raise self.misused(node.word)
        operands = self._arguments(node)
        self.types("size", operands, _SIZED)
        return Size(operands[0])

    def _comparison(self, node: Node) -> Comparison:
        left, right = map(self.operand, node.args)
        if node.op not in {"=", "<>"}:
            self.types(node.op, (left, right), _ORDERED)
        self.distinct(node.op, (left, right))
        return Comparison(node.op, left, right)

    def _between(self, node: Node) -> Between:
        operand, low, high = map(self.operand, node.args)
        self.types("BETWEEN", (operand, low, high), _ORDERED)
        self.distinct("BETWEEN", (operand, low, high))
        if isinstance(low, Literal) and isinstance(high, Literal):
            bounds = (
                f"lower bound operand: AttributeValue: {_shown(low.value)}, "
                f"upper bound operand: AttributeValue: {_shown(high.value)}"
            )
            order = compare(low.value, high.value)
            if order is None:
                raise invalid(
                    self.kind,
                    "The BETWEEN operator requires same data type for lower and upper bounds; "
                    + bounds,
                )
            if order > 0:
                raise invalid(
                    self.kind,
                    "The BETWEEN operator requires upper bound to be greater than or equal to "
                    "lower bound; " + bounds,
                )
        return Between(operand, low, high)

    def _in(self, node: Node) -> In:
        operand, *choices = map(self.operand, node.args)
        if len(choices) > IN_CHOICES_MAX:
            raise invalid(
                self.kind,
                "The IN operator is provided with too many operands; "
                f"number of operands: {len(choices)}",
            )
        self.distinct("IN", (operand, *choices))
        return In(operand, tuple(choices))

    def _test(self, node: Node) -> Function:
        operands = self._arguments(node)
        name = node.word
        if name in {"attribute_exists", "attribute_not_exists"}:
            if not isinstance(operands[0], Attribute):
                raise self.needs_path(name)
        else:
            self.distinct(name, operands)
            if name == "begins_with":
                self.types(name, operands, frozenset({"S", "B"}))
            elif name == "attribute_type":
                self._type_name(operands[1])
        return Function(name, operands)

    def _type_name(self, operand: Operand) -> None:
        if not isinstance(operand, Literal):
            wanted = "{" + ",".join(_TYPE_NAMES) + "}"
            raise self.wrong_type("attribute_type", "N" if isinstance(operand, Size) else wanted)
        self.types("attribute_type", (operand,), frozenset({"S"}))
        if operand.value["S"] not in _TYPE_NAMES:
            raise invalid(
                self.kind,
                f"Invalid attribute type name found; type: {operand.value['S']}, "
                "valid types: {" + ",".join(_TYPE_NAMES) + "}",
            )

    def _arguments(self, node: Node) -> tuple[Operand, ...]:
        operands = tuple(map(self.operand, node.args))
        self.count(node, len(operands))
        return operands


def _shown(value: AttributeValue) -> str:
    [(kind, content)] = value.items()
    return f"{{{kind}:{content}}}"
