"""Parses updates and projections: UpdateExpression and ProjectionExpression."""

from collections.abc import Mapping

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions.ast import (
    Arithmetic,
    Attribute,
    IfNotExists,
    ListAppend,
    Literal,
    Path,
    Projection,
    SetAction,
    SetOperand,
    SetValue,
    Update,
    ValueAction,
)
from dualwrite.core.expressions.bind import Binder
from dualwrite.core.expressions.syntax import Node, Section, projection_syntax, update_syntax
from dualwrite.core.expressions.tokens import invalid
from dualwrite.core.items import AttributeValue

UPDATE = "UpdateExpression"
PROJECTION = "ProjectionExpression"

_ADDABLE = frozenset({"N", "SS", "NS", "BS"})
_DELETABLE = frozenset({"SS", "NS", "BS"})
_LONG_NAMES = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "BOOL": "BOOLEAN",
    "NULL": "NULL",
    "L": "LIST",
    "M": "MAP",
    "SS": "STRING_SET",
    "NS": "NUMBER_SET",
    "BS": "BINARY_SET",
}


def parse_update(
    text: str,
    names: Mapping[str, str] | None = None,
    values: Mapping[str, AttributeValue] | None = None,
) -> Update:
    """Parse an UpdateExpression. Raises ValidationError in DynamoDB's words."""
    return _Updates(UPDATE, names or {}, values or {}).update(update_syntax(text, UPDATE))


def parse_projection(text: str, names: Mapping[str, str] | None = None) -> Projection:
    """Parse a ProjectionExpression. Raises ValidationError in DynamoDB's words."""
    binder = Binder(PROJECTION, names or {}, {})
    paths = tuple(binder.path(node) for node in projection_syntax(text, PROJECTION))
    binder.keep_apart(paths)
    return Projection(paths)


class _Updates(Binder):
    def update(self, sections: tuple[Section, ...]) -> Update:
        paths = [[self.path(path) for path, _ in section.actions] for section in sections]
        self.keep_apart([path for group in paths for path in group])
        try:
            return self._actions(sections, paths)
        except ValidationError:
            # A placeholder that is not defined, anywhere, is said before any wrong operand.
            for section in sections:
                for _, node in section.actions:
                    if node is not None:
                        self._defined(node)
            raise

    def _actions(self, sections: tuple[Section, ...], paths: list[list[Path]]) -> Update:
        sets: list[SetAction] = []
        removes: list[Path] = []
        of_values: dict[str, list[ValueAction]] = {"ADD": [], "DELETE": []}
        # DynamoDB reports the last action's wrong operand first.
        for section, targets in zip(reversed(sections), reversed(paths), strict=True):
            for path, (_, node) in zip(reversed(targets), reversed(section.actions), strict=True):
                if node is None:
                    removes.append(path)
                elif section.word == "SET":
                    sets.append(SetAction(path, self._set_value(node)))
                else:
                    value = self._action_value(section.word, node)
                    of_values[section.word].append(ValueAction(path, value))
        return Update(
            tuple(reversed(sets)),
            tuple(reversed(removes)),
            tuple(reversed(of_values["ADD"])),
            tuple(reversed(of_values["DELETE"])),
        )

    def _defined(self, node: Node) -> None:
        """Raises for a placeholder that the request does not define."""
        if node.op == "path":
            self.path(node)
        elif node.op == "value":
            self.value(node)
        for inner in node.args:
            self._defined(inner)

    def _set_value(self, node: Node) -> SetValue:
        if node.op not in {"+", "-"}:
            return self._set_operand(node)
        left, right = (self._set_operand(inner) for inner in node.args)
        self.types(node.op, (left, right), frozenset({"N"}))
        return Arithmetic(node.op, left, right)

    def _set_operand(self, node: Node) -> SetOperand:
        if node.op == "path":
            return Attribute(self.path(node))
        if node.op == "value":
            return Literal(self.value(node))
        operands = tuple(self._set_operand(inner) for inner in node.args)
        self.count(node, len(operands))
        left, right = operands
        if node.word == "list_append":
            self.types(node.word, operands, frozenset({"L"}))
            return ListAppend(left, right)
        if not isinstance(left, Attribute):
            raise self.needs_path(node.word)
        self.distinct(node.word, operands)
        return IfNotExists(left.path, right)

    def _action_value(self, section: str, node: Node) -> AttributeValue:
        value = self.value(node)
        [kind] = value
        if kind not in (_ADDABLE if section == "ADD" else _DELETABLE):
            raise invalid(
                self.kind,
                "Incorrect operand type for operator or function; "
                f"operator: {section}, operand type: {_LONG_NAMES[kind]}, "
                f"typeSet: ALLOWED_FOR_{section}_OPERAND",
            )
        return value
