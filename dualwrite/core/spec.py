"""The migration as frozen values. ``dualwrite.spec_file`` parses them from ``migration.toml``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.phases import Kind, Side


class LookupHow(StrEnum):
    """How a parent row is found from its child's attributes."""

    KEY = "key"
    """GetItem: the child names the parent's whole key."""
    HASH = "hash"
    """Query with Limit 1: the child names the parent's hash key only."""
    INDEX = "index"
    """An index built from one scan of the parent table; a value held twice proves nothing."""


class Underivable(StrEnum):
    """What becomes of a row whose derived attributes cannot be made but whose key can."""

    HOLD = "hold"
    """It is reported and closes the gates until the operator declares what to do."""
    CARRY = "carry"
    """It is carried as it is, without the derived attributes, and reported."""


class Unmappable(StrEnum):
    """What becomes of a row whose key has no place in the new table, or which is too large."""

    HOLD = "hold"
    LEAVE = "leave"
    """It stays on the old table only, and is reported."""


@dataclass(frozen=True)
class Template:
    """``"{endpoint_id}#{part_id}"``: text put together from other attributes."""

    text: str

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names in braces, as they are written: a name may hold what Python's formats give a
        meaning to, such as a colon or a dot. Raises ValueError for a brace without its other."""
        return tuple(name for _, name in self.pieces if name)

    @cached_property
    def pieces(self) -> tuple[tuple[str, str], ...]:
        """(literal, name) in order, one of the two empty; doubled braces are literal ones. Raises
        ValueError as ``fields`` does."""
        pieces, position = [], 0
        while position < len(self.text):
            found = _PIECE.match(self.text, position)
            if found is None:
                at = position + 1
                raise ValueError(f"a brace stands alone, or holds no name, at character {at}")
            twice, name, literal = found.groups(default="")
            pieces.append((literal or twice[:1], name))
            position = found.end()
        return tuple(pieces)

    @cached_property
    def _format(self) -> str:
        return "".join(
            "{}" if name else literal.replace("{", "{{").replace("}", "}}")
            for literal, name in self.pieces
        )

    def fill(self, values: Mapping[str, str]) -> str:
        return self._format.format(*[values[name] for name in self.fields])

    def split(self, text: str, separator: str) -> dict[str, str] | None:
        """The fields that ``fill`` made ``text`` of; None where it has another form.

        No field holds the separator, and the spec parts any two fields by one.
        """
        found = _form(self, separator).fullmatch(text)
        return None if found is None else dict(zip(self.fields, found.groups(), strict=True))


_PIECE = re.compile(r"(?P<twice>\{\{|\}\})|\{(?P<name>[^{}]+)\}|(?P<literal>[^{}]+)")


@lru_cache(maxsize=256)
def _form(template: Template, separator: str) -> re.Pattern[str]:
    part = f"([^{re.escape(separator)}]*)"
    return re.compile(
        "".join(part if name else re.escape(literal) for literal, name in template.pieces)
    )


@dataclass(frozen=True)
class ValueMap:
    """An explicit, injective mapping: old id -> the values of ``gives``, in that order."""

    name: str
    gives: tuple[str, ...]
    forward: Mapping[str, tuple[str, ...]]
    identity_fallback: bool = False
    """Declared by the operator: an unmapped id gives itself for each of ``gives``."""

    @cached_property
    def backward(self) -> Mapping[tuple[str, ...], str]:
        return {parts: old for old, parts in self.forward.items()}


@dataclass(frozen=True)
class ParentLookup:
    """Where a row without a source attribute of its own finds it."""

    table: str
    """Logical name of the parent table; the answer is that table's own source attribute."""
    how: LookupHow
    match: tuple[tuple[str, str], ...]
    """(attribute of the parent, attribute of the child) pairs."""


@dataclass(frozen=True)
class Derivation:
    """How the new design's attributes come from a row of the old one."""

    source: str | None
    """The old attribute that holds the old id; None where only look-ups give it."""
    mapping: ValueMap | None
    templates: tuple[tuple[str, Template], ...]
    lookups: tuple[ParentLookup, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The attributes the new dialect has and derives."""
        gives = self.mapping.gives if self.mapping else ()
        return (*gives, *(name for name, _ in self.templates))

    @cached_property
    def filled_from(self) -> frozenset[str]:
        """What templates look at beside what the mapping gives."""
        fields = {field for _, template in self.templates for field in template.fields}
        return frozenset(fields.difference(self.mapping.gives if self.mapping else ()))

    @property
    def from_id_alone(self) -> bool:
        """Whether the old id decides all of them: no template looks at anything else."""
        return not self.filled_from

    @cached_property
    def known(self) -> dict[str, Any]:
        """What old ids were found to give, where they decide it alone: a memo of ``derive``."""
        return {}


@dataclass(frozen=True)
class IndexSpec:
    """One secondary index; ``local`` where it shares the table's hash key."""

    name: str
    keys: KeySchema
    local: bool = True
    projected: tuple[str, ...] | None = None
    """The attributes it holds beside keys; None for all."""

    @property
    def whole(self) -> bool:
        """Whether it holds all that an item does, what is hidden too."""
        return self.projected is None


@dataclass(frozen=True)
class Place:
    """Where one side's tables are, and how long its engine may take to answer. What is None, the
    process was told for both sides."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    """Of the shared AWS files, where this side needs credentials of its own."""
    timeout_seconds: float | None = None

    @property
    def where(self) -> tuple[str | None, str | None, str | None]:
        """What two sides must have in common for one transaction to span them."""
        return self.endpoint_url, self.region, self.profile

    def over(self, other: "Place") -> "Place":
        """This one, where it says something, else the other."""
        return Place(
            self.endpoint_url or other.endpoint_url,
            self.region or other.region,
            self.profile or other.profile,
            self.timeout_seconds or other.timeout_seconds,
        )


HOME = Place()


@dataclass(frozen=True)
class TableSide:
    """One physical table."""

    name: str
    keys: KeySchema
    indexes: tuple[IndexSpec, ...] = ()

    @cached_property
    def index_keys(self) -> tuple[str, ...]:
        """The attributes that are keys of an index and none of the table."""
        names = (name for index in self.indexes for name in index.keys.names)
        return tuple(dict.fromkeys(name for name in names if name not in self.keys.names))

    def index(self, name: str) -> IndexSpec | None:
        return next((index for index in self.indexes if index.name == name), None)

    def has_global(self, name: str | None) -> bool:
        """Whether an index of that name is a global one."""
        index = None if name is None else self.index(name)
        return index is not None and not index.local

    @cached_property
    def local_indexes(self) -> tuple[IndexSpec, ...]:
        return tuple(index for index in self.indexes if index.local)


@dataclass(frozen=True)
class MigratedTable:
    """One table under migration. For an in-place table both sides are the same."""

    name: str
    kind: Kind
    old: TableSide
    new: TableSide
    derivation: Derivation
    underivable: Underivable = Underivable.HOLD
    unmappable: Unmappable = Unmappable.HOLD
    attributes: frozenset[str] = frozenset()
    """Old attributes, beside keys and source, that derivations use or that in-place must keep."""

    @property
    def sides(self) -> tuple[Side, ...]:
        """Where its items stand: an in-place table has one place, named as old."""
        return (Side.OLD,) if self.kind is Kind.IN_PLACE else (Side.OLD, Side.NEW)

    def side(self, side: Side) -> TableSide:
        return self.old if side is Side.OLD else self.new

    @cached_property
    def shortened(self) -> Mapping[Side, tuple[KeyAttribute, ...]]:
        """Key attributes of each design that the other one keeps, with less room for their values:
        a range key's where it was a hash key."""
        return {
            dialect: tuple(
                attribute
                for attribute in self.side(dialect).keys.attributes
                if attribute in self.side(dialect.other).keys.attributes
                and attribute.name not in self.swapped
                and self.side(dialect.other).keys.bytes_max(attribute)
                < self.side(dialect).keys.bytes_max(attribute)
            )
            for dialect in Side
        }

    @cached_property
    def swapped(self) -> frozenset[str]:
        """Attributes whose value depends on the dialect: each side stores its own at the top and
        the other dialect's in ``dw_other``. Empty for an in-place table, which only adds names."""
        if self.kind is Kind.IN_PLACE:
            return frozenset()
        dropped = set(self.old.keys.names) - set(self.new.keys.names)
        return frozenset({*self.derivation.names, *dropped})

    @cached_property
    def key_is_derived(self) -> bool:
        """Whether a key of either design holds an attribute whose value depends on the dialect."""
        return not self.swapped.isdisjoint((*self.old.keys.names, *self.new.keys.names))

    @cached_property
    def alike(self) -> bool:
        """Whether a partition holds the same rows in both designs: each hash key is told by the
        other one alone."""
        rule, old, new = self.derivation, self.old.keys.hash.name, self.new.keys.hash.name
        if new not in rule.names:
            return old == new
        template = dict(rule.templates).get(new)
        made_of = {new} if template is None else set(template.fields)
        gives = set(rule.mapping.gives) if rule.mapping else set()
        if gives.isdisjoint(made_of):
            return made_of == {old}
        return made_of == gives and rule.source == old

    @cached_property
    def sources(self) -> frozenset[str]:
        """What old-dialect attributes the derived ones are made from: the source, template fields,
        and what parents are looked up by."""
        rule = self.derivation
        names = rule.filled_from | {childs for lookup in rule.lookups for _, childs in lookup.match}
        return names | {rule.source} if rule.source else names


@dataclass(frozen=True)
class Migration:
    """Everything ``migration.toml`` says."""

    name: str
    separator: str
    tables: tuple[MigratedTable, ...]
    control_table: str
    old_place: Place = HOME
    """Where the control table, and whatever is in no migration, are too."""
    new_place: Place = HOME
    digest: str = ""
    """Of all that rows are made by. Processes whose digests differ would make different ones."""
    by_physical: Mapping[str, tuple[MigratedTable, Side]] = field(init=False, repr=False)
    by_name: Mapping[str, MigratedTable] = field(init=False, repr=False)

    @property
    def apart(self) -> bool:
        """Whether the sides are where no transaction spans both."""
        return self.old_place.where != self.new_place.where

    @property
    def timeout_seconds_max(self) -> float:
        """The longest that a request to either side may take; the places must be whole."""
        return max(place.timeout_seconds or 0.0 for place in (self.old_place, self.new_place))

    @cached_property
    def only_new(self) -> frozenset[str]:
        """The physical tables that are on the new side alone."""
        return frozenset(table.new.name for table in self.tables if table.kind is Kind.REKEY)

    def __post_init__(self) -> None:
        physical: dict[str, tuple[MigratedTable, Side]] = {}
        for table in self.tables:
            physical[table.new.name] = (table, Side.NEW)
            physical[table.old.name] = (table, Side.OLD)
        object.__setattr__(self, "by_physical", physical)
        object.__setattr__(self, "by_name", {table.name: table for table in self.tables})
