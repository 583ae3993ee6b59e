"""What a parsed expression says: frozen values with all names and values resolved.

A path is a tuple such as ``("a", 0, "b")``: its first step names a top-level attribute, a string
is a step into a map and an integer one into a list.
"""

from dataclasses import dataclass

from dualwrite.core.items import AttributeValue

Path = tuple[str | int, ...]
"""A document path; never empty, and the first step is a string."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """The value at a path, used as an operand."""

    path: Path


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that the request brought along."""

    value: AttributeValue


@dataclass(frozen=True, slots=True)
class Size:
    """``size(operand)``."""

    operand: "Operand"


Operand = Attribute | Literal | Size


# -- conditions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left operator right``; the operator is one of = <> < <= > >=."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    """``operand BETWEEN low AND high``, both ends included."""

    operand: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class In:
    """``operand IN (choice, ...)``."""

    operand: Operand
    choices: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """attribute_exists, attribute_not_exists, attribute_type, begins_with or contains."""

    name: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Not:
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class And:
    """Two or more parts, none of which is an And."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Two or more parts, none of which is an Or."""

    parts: "tuple[Condition, ...]"


Condition = Comparison | Between | In | Function | Not | And | Or


# -- updates ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IfNotExists:
    """``if_not_exists(path, fallback)``."""

    path: Path
    fallback: "SetOperand"


@dataclass(frozen=True, slots=True)
class ListAppend:
    """``list_append(left, right)``."""

    left: "SetOperand"
    right: "SetOperand"


SetOperand = Attribute | Literal | IfNotExists | ListAppend


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``left + right`` or ``left - right``."""

    operator: str
    left: SetOperand
    right: SetOperand


SetValue = SetOperand | Arithmetic


@dataclass(frozen=True, slots=True)
class SetAction:
    """``path = value``."""

    path: Path
    value: SetValue


@dataclass(frozen=True, slots=True)
class ValueAction:
    """``path value`` of an ADD or DELETE section."""

    path: Path
    value: AttributeValue


@dataclass(frozen=True, slots=True)
class Update:
    """An update expression, by section."""

    sets: tuple[SetAction, ...] = ()
    removes: tuple[Path, ...] = ()
    adds: tuple[ValueAction, ...] = ()
    deletes: tuple[ValueAction, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every path the update writes."""
        return (
            *(action.path for action in self.sets),
            *self.removes,
            *(action.path for action in self.adds),
            *(action.path for action in self.deletes),
        )


@dataclass(frozen=True, slots=True)
class Projection:
    """The paths that a read returns, in the order of the text."""

    paths: tuple[Path, ...]


Expression = Condition | Update | Projection
