"""Parses ``migration.toml`` and its mapping files, once, into the frozen values of ``core.spec``.

The shape is pydantic's to judge, the meaning is ``core.spec_checks``'. All problems of a stage are
told together, one line each: file, [table] and field, what is wrong, how to mend it.
"""

import csv
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic import ValidationError as ShapeError
from pydantic_core import ErrorDetails

from dualwrite.core.derivation import SEPARATOR
from dualwrite.core.endpoints import endpoint_problem
from dualwrite.core.errors import SpecError
from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.phases import Kind
from dualwrite.core.spec import (
    Derivation,
    IndexSpec,
    LookupHow,
    MigratedTable,
    Migration,
    ParentLookup,
    Place,
    TableSide,
    Template,
    Underivable,
    Unmappable,
    ValueMap,
)
from dualwrite.core.spec_checks import Fault, faults, mapping_faults, warnings

__all__ = ["load", "warnings"]

FAULTS_SHOWN_MAX = 50
"""A wrong mapping file may be wrong in each of its rows; nobody reads more lines than this."""
ROWS_MAX = 1_000_000
"""A mapping is held in memory by every process."""


def load(path: Path) -> Migration:
    """The migration that ``path`` describes; mapping files are relative to it.

    Raises SpecError: one line a problem, each naming file, table, field and the mend.
    """
    shape = _parse(path)
    found = _Found(path)
    if shape.migration.separator != SEPARATOR:
        found.add(
            path,
            Fault(
                "migration.separator",
                f"{shape.migration.separator!r} is not supported",
                f'leave it out or write "{SEPARATOR}", the only separator supported so far',
            ),
        )
    mappings = {name: _mapping(path, name, entry, found) for name, entry in shape.mappings.items()}
    for name, table in shape.tables.items():
        _shape_faults(path, name, table, mappings, found)
    found.stop_if_any()
    migration = Migration(
        name=shape.migration.name,
        separator=shape.migration.separator,
        tables=tuple(_table(name, entry, mappings) for name, entry in shape.tables.items()),
        control_table=shape.migration.control_table or f"dualwrite-{shape.migration.name}",
        old_place=shape.migration.old.frozen(),
        new_place=shape.migration.new.frozen(),
    )
    for fault in faults(migration):
        found.add(path, fault)
    found.stop_if_any()
    return migration


@dataclass
class _Found:
    """Problems collected so far."""

    path: Path
    lines: list[str] = field(default_factory=list)

    def add(self, path: Path, fault: Fault) -> None:
        self.lines.append(f"{path}: [{fault.where}] {fault.what}; {fault.mend}")

    def stop_if_any(self) -> None:
        if not self.lines:
            return
        shown = self.lines[:FAULTS_SHOWN_MAX]
        if len(self.lines) > len(shown):
            shown.append(f"{self.path}: and {len(self.lines) - len(shown)} more problems")
        raise SpecError("\n".join(shown))


# -- the shape of the file ------------------------------------------------------------------


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


_Name = Annotated[str, Field(min_length=1, max_length=255)]


class _Attribute(_Shape):
    """``"id"``, or ``{ name = "id", type = "N" }``."""

    name: _Name
    type: Literal["S", "N", "B"] = "S"


_KeyAttribute = Annotated[_Attribute, BeforeValidator(_named)]


class _Keys(_Shape):
    hash: _KeyAttribute
    range: _KeyAttribute | None = None


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


_Attributes = Annotated[list[_KeyAttribute], BeforeValidator(_listed)]


class _Index(_Shape):
    """The keys of a global index may have several attributes of each kind."""

    hash: Annotated[_Attributes, Field(min_length=1, max_length=4)]
    range: Annotated[_Attributes, Field(max_length=4)] = []
    kind: Literal["local", "global"] = "local"
    projection: Literal["ALL", "KEYS_ONLY"] | list[_Name] = "ALL"


class _Side(_Keys):
    name: str
    indexes: dict[_Name, _Index] = {}


class _Lookup(_Shape):
    table: str
    how: Literal["key", "hash", "index"]
    match: Annotated[dict[_Name, _Name], Field(min_length=1)]


class _Derive(_Shape):
    source: _Name | None = None
    mapping: str | None = None
    templates: dict[_Name, str] = {}
    lookups: list[_Lookup] = []


class _Table(_Shape):
    kind: Literal["rekey", "in-place"]
    attributes: list[_Name] = []
    underivable: Literal["hold", "carry"] = "hold"
    unmappable: Literal["hold", "leave"] = "hold"
    old: _Side
    new: _Side | None = None
    derive: _Derive = _Derive()


class _Mapping(_Shape):
    file: str
    old: _Name
    gives: Annotated[list[_Name], Field(min_length=1)]
    fallback: Literal["refuse", "identity"] = "refuse"


def _engine(url: str) -> str:
    problem = endpoint_problem(url)
    if problem is not None:
        raise ValueError(f"{url!r} {problem}")
    return url.rstrip("/")


class _Place(_Shape):
    """Where one side is; all of it may be left out."""

    endpoint: Annotated[str, AfterValidator(_engine)] | None = None
    region: _Name | None = None
    profile: _Name | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] | None = None

    def frozen(self) -> Place:
        return Place(self.endpoint, self.region, self.profile, self.timeout_seconds)


class _Header(_Shape):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    separator: str = SEPARATOR
    control_table: str | None = None
    old: _Place = _Place()
    new: _Place = _Place()


class _File(_Shape):
    migration: _Header
    mappings: dict[_Name, _Mapping] = {}
    tables: Annotated[dict[_Name, _Table], Field(min_length=1)]


def _parse(path: Path) -> _File:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"{path}: does not exist; give the path of migration.toml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read ({error}); it must be a UTF-8 file") from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: is not TOML: {error}; correct it there") from None
    try:
        return _File.model_validate(data)
    except ShapeError as error:
        found = _Found(path)
        for problem in error.errors(include_url=False):
            found.add(path, _shape_fault(problem))
        found.stop_if_any()
        raise


_MENDS = {
    "missing": "add it",
    "extra_forbidden": "remove it, or correct its spelling",
    "literal_error": "choose one of those",
    "string_type": 'write a string, in "quotes"',
}


def _shape_fault(problem: ErrorDetails) -> Fault:
    where = ".".join(str(part) for part in problem["loc"]) or "the file"
    text = problem["msg"]
    what = text[:1].lower() + text[1:]
    return Fault(where, what, _MENDS.get(problem["type"], "correct it"))


def _shape_faults(
    path: Path,
    name: str,
    table: _Table,
    mappings: Mapping[str, ValueMap],
    found: _Found,
) -> None:
    """What must hold before the frozen values can be put together at all."""
    where = f"tables.{name}"
    if table.kind == "rekey" and table.new is None:
        fault = Fault(
            f"{where}.new", "a rekey table is copied into a second one", "add the new table"
        )
        found.add(path, fault)
    if table.kind == "in-place" and table.new is not None:
        fault = Fault(
            f"{where}.new",
            "an in-place table has no second one",
            'remove it, or write kind = "rekey"',
        )
        found.add(path, fault)
    wanted = table.derive.mapping
    if wanted is not None and wanted not in mappings:
        fault = Fault(
            f"{where}.derive.mapping",
            f"there is no mapping {wanted!r}",
            f"add [mappings.{wanted}], or name one of: {', '.join(mappings) or 'none yet'}",
        )
        found.add(path, fault)
    for target, text in table.derive.templates.items():
        try:
            _ = Template(text).fields
        except ValueError as error:
            fault = Fault(
                f"{where}.derive.templates.{target}",
                f"{text!r} cannot be read: {error}",
                'write fields in braces, such as "{endpoint_id}#{part_id}"',
            )
            found.add(path, fault)


# -- mapping files --------------------------------------------------------------------------


def _mapping(path: Path, name: str, entry: _Mapping, found: _Found) -> ValueMap:
    """One mapping; what is wrong with its file goes into ``found``."""
    file = path.parent / entry.file
    fallback = entry.fallback == "identity"
    value_map = ValueMap(name, tuple(entry.gives), {}, fallback)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            forward = _rows(file, entry, next(reader, []), reader, found)
    except FileNotFoundError:
        fault = Fault(f"mappings.{name}.file", f"{file} does not exist", "correct the path")
        found.add(path, fault)
        return value_map
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        fault = Fault(f"mappings.{name}.file", f"{file}: {error}", "give a UTF-8 CSV file")
        found.add(path, fault)
        return value_map
    value_map = ValueMap(name, value_map.gives, forward, fallback)
    for fault in mapping_faults(value_map):
        found.add(file, fault)
    return value_map


def _rows(
    file: Path, entry: _Mapping, header: list[str], rows: Iterable[list[str]], found: _Found
) -> dict[str, tuple[str, ...]]:
    wanted = (entry.old, *entry.gives)
    lacking = [column for column in wanted if column not in header]
    doubled = sorted({column for column in header if header.count(column) > 1})
    if lacking or doubled:
        what = (
            f"the header lacks {', '.join(lacking)}"
            if lacking
            else f"the header names {', '.join(doubled)} twice"
        )
        found.add(file, Fault("line 1", what, f"its columns must be {', '.join(wanted)}"))
        return {}
    places = [header.index(column) for column in wanted]
    forward: dict[str, tuple[str, ...]] = {}
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        where = f"line {number}"
        if number > ROWS_MAX:
            what = f"more than {ROWS_MAX} rows"
            found.add(file, Fault(where, what, "use a template instead of a mapping"))
            break
        if len(row) != len(header):
            what = f"has {len(row)} values, the header has {len(header)}"
            found.add(file, Fault(where, what, "give each column one value"))
            continue
        old_id, *parts = (row[place] for place in places)
        if old_id in forward:
            what = f"{entry.old} {old_id!r} stands twice"
            found.add(file, Fault(where, what, "keep one of the two rows"))
            continue
        forward[old_id] = tuple(parts)
    return forward


# -- frozen values --------------------------------------------------------------------------


def _table(name: str, shape: _Table, mappings: Mapping[str, ValueMap]) -> MigratedTable:
    old = _side(shape.old)
    new = old if shape.new is None else _side(shape.new)
    rule = shape.derive
    lookups = tuple(
        ParentLookup(lookup.table, LookupHow(lookup.how), tuple(lookup.match.items()))
        for lookup in rule.lookups
    )
    return MigratedTable(
        name=name,
        kind=Kind(shape.kind),
        old=old,
        new=new,
        derivation=Derivation(
            source=rule.source,
            mapping=None if rule.mapping is None else mappings[rule.mapping],
            templates=tuple((target, Template(text)) for target, text in rule.templates.items()),
            lookups=lookups,
        ),
        underivable=Underivable(shape.underivable),
        unmappable=Unmappable(shape.unmappable),
        attributes=frozenset(shape.attributes),
    )


def _side(shape: _Side) -> TableSide:
    indexes = tuple(
        IndexSpec(name, _index_keys(index), index.kind == "local", _projected(index))
        for name, index in shape.indexes.items()
    )
    return TableSide(shape.name, _keys(shape), indexes)


def _keys(shape: _Keys) -> KeySchema:
    range_key = None if shape.range is None else _attribute(shape.range)
    return KeySchema(_attribute(shape.hash), range_key)


def _index_keys(shape: _Index) -> KeySchema:
    hashes, ranges = tuple(map(_attribute, shape.hash)), tuple(map(_attribute, shape.range))
    return KeySchema(hashes[0], ranges[0] if ranges else None, hashes[1:], ranges[1:])


def _projected(shape: _Index) -> tuple[str, ...] | None:
    if shape.projection == "ALL":
        return None
    return () if shape.projection == "KEYS_ONLY" else tuple(shape.projection)


def _attribute(shape: _Attribute) -> KeyAttribute:
    return KeyAttribute(shape.name, shape.type)
