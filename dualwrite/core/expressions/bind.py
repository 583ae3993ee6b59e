"""What all kinds of expression share: names and values are looked up, operands are judged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dualwrite.core.expressions.ast import Attribute, Literal, Operand, Path, SetOperand, Size
from dualwrite.core.expressions.syntax import Node
from dualwrite.core.expressions.tokens import invalid
from dualwrite.core.items import AttributeValue

PATH_STEPS_MAX = 32
"""DynamoDB takes document paths of up to 32 levels below the first name."""
LIST_INDEX_MAX = 2**31 - 1
_OPERANDS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
    "if_not_exists": 2,
    "list_append": 2,
}


@dataclass(frozen=True, slots=True)
class Binder:
    """One expression's parameter name (for messages), and the request's placeholders."""

    kind: str
    names: Mapping[str, str]
    values: Mapping[str, AttributeValue]

    # -- leaves ------------------------------------------------------------------------------

    def path(self, node: Node) -> Path:
        for step in node.path:
            if isinstance(step, int) and step > LIST_INDEX_MAX:
                raise invalid(
                    self.kind, f"List index is not within the allowable range; index: [{step}]"
                )
        if len(node.path) > PATH_STEPS_MAX:
            raise invalid(
                self.kind,
                f"The document path has too many nesting levels; nesting levels: {len(node.path)}",
            )
        return tuple(self.step(step) for step in node.path)

    def step(self, step: str | int) -> str | int:
        if isinstance(step, int) or step[0] != "#":
            return step
        name = self.names.get(step)
        if name is None:
            raise invalid(
                self.kind,
                "An expression attribute name used in the document path is not defined; "
                f"attribute name: {step}",
            )
        return name

    def value(self, node: Node) -> AttributeValue:
        value = self.values.get(node.word)
        if value is None:
            raise invalid(
                self.kind,
                "An expression attribute value used in expression is not defined; "
                f"attribute value: {node.word}",
            )
        return value

    def keep_apart(self, paths: Iterable[Path]) -> None:
        """No path may be a part of another, or step into a list where another has a map."""
        seen: list[Path] = []
        conflict: tuple[Path, Path] | None = None
        by_name: dict[str | int, list[Path]] = {}
        for path in paths:
            rivals = by_name.setdefault(path[0], [])
            for rival in rivals:
                common = min(len(path), len(rival))
                if path[:common] == rival[:common]:
                    raise self._clash("overlap", rival, path)
                conflict = conflict or _conflict(rival, path)
            rivals.append(path)
            seen.append(path)
        if conflict:
            raise self._clash("conflict", *conflict)

    # -- errors ------------------------------------------------------------------------------

    def _clash(self, how: str, one: Path, two: Path) -> Exception:
        return invalid(
            self.kind,
            f"Two document paths {how} with each other; must remove or rewrite one of these "
            f"paths; path one: {_listed(one)}, path two: {_listed(two)}",
        )

    def count(self, node: Node, count: int) -> None:
        if count != _OPERANDS[node.word]:
            raise invalid(
                self.kind,
                "Incorrect number of operands for operator or function; "
                f"operator or function: {node.word}, number of operands: {count}",
            )

    def types(
        self, operator: str, operands: Iterable[Operand | SetOperand], allowed: frozenset[str]
    ) -> None:
        for operand in operands:
            if isinstance(operand, Literal):
                [kind] = operand.value
            elif isinstance(operand, Size):
                kind = "N"
            else:
                continue
            if kind not in allowed:
                raise self.wrong_type(operator, kind)

    def distinct(self, operator: str, operands: tuple[Operand | SetOperand, ...]) -> None:
        first = operands[0]
        if isinstance(first, Attribute) and first in operands[1:]:
            raise invalid(
                self.kind,
                "The first operand must be distinct from the remaining operands for this "
                f"operator or function; operator: {operator}, first operand: "
                f"{_listed(first.path)}",
            )

    def wrong_type(self, operator: str, kind: str) -> Exception:
        return invalid(
            self.kind,
            "Incorrect operand type for operator or function; "
            f"operator or function: {operator}, operand type: {kind}",
        )

    def needs_path(self, name: str) -> Exception:
        return invalid(
            self.kind,
            f"Operator or function requires a document path; operator or function: {name}",
        )

    def misused(self, name: str) -> Exception:
        return invalid(
            self.kind,
            f"The function is not allowed to be used this way in an expression; function: {name}",
        )


def _conflict(one: Path, two: Path) -> tuple[Path, Path] | None:
    for left, right in zip(one, two, strict=False):
        if isinstance(left, int) != isinstance(right, int):
            return one, two
        if left != right:
            return None
    return None


def _listed(path: Path) -> str:
    return "[" + ", ".join(f"[{s}]" if isinstance(s, int) else s for s in path) + "]"
