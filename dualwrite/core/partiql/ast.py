"""What a parsed PartiQL statement says, its parameters still open."""

from dataclasses import dataclass
from typing import Literal

from dualwrite.core.expressions import Path
from dualwrite.core.items import AttributeValue


@dataclass(frozen=True, slots=True)
class Node:
    """One node of an expression as written.

    ``op`` is path, const, param, list, set, map, missing, call, a comparator, AND, OR, NOT, IN,
    BETWEEN, NULL, MISSING (the two of IS), +, - or neg. ``word`` is a function's name in small
    letters, ``names`` the keys of a map and ``number`` a parameter's place.
    """

    op: str
    args: "tuple[Node, ...]" = ()
    word: str = ""
    path: Path = ()
    value: AttributeValue | None = None
    names: tuple[str, ...] = ()
    number: int = 0


Returning = Literal["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"]


@dataclass(frozen=True, slots=True)
class Insert:
    """``INSERT INTO table VALUE {...}``."""

    table: str
    item: Node


@dataclass(frozen=True, slots=True)
class Change:
    """``UPDATE table SET ... REMOVE ... WHERE ... RETURNING ...``; a removal has no value."""

    table: str
    actions: tuple[tuple[Path, Node | None], ...]
    where: Node | None
    returning: Returning


@dataclass(frozen=True, slots=True)
class Remove:
    """``DELETE FROM table WHERE ... RETURNING ...``."""

    table: str
    where: Node | None
    returning: Returning


@dataclass(frozen=True, slots=True)
class Select:
    """``SELECT ... FROM table.index WHERE ... ORDER BY ...``; no paths mean all."""

    table: str
    index: str | None
    paths: tuple[Path, ...]
    where: Node | None
    order: tuple[tuple[str, bool], ...]
    """(attribute, whether it rises)."""


@dataclass(frozen=True, slots=True)
class Exists:
    """``EXISTS(SELECT ...)``, the condition check of a transaction."""

    select: Select

    @property
    def table(self) -> str:
        return self.select.table


Parsed = Insert | Change | Remove | Select | Exists


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and how many parameters it asks for."""

    parsed: Parsed
    parameters: int
    tokens: tuple[tuple[str, str], ...]
    """The statement without its spaces and comments: two that agree here are the same."""

    @property
    def table(self) -> str:
        return self.parsed.table

    @property
    def writes(self) -> bool:
        """Whether it belongs into a batch or transaction of writes."""
        return not isinstance(self.parsed, Select)
