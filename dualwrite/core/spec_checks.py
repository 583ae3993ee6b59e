"""Whether a migration, well formed as it is, can be carried out: one small check a rule."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from string import Formatter

from dualwrite.core.items import KeySchema
from dualwrite.core.phases import Kind
from dualwrite.core.spec import (
    LookupHow,
    MigratedTable,
    Migration,
    ParentLookup,
    TableSide,
    Template,
    ValueMap,
)
from dualwrite.core.transform import HASH_BYTES_MAX, PART_BYTES_MAX, SEPARATOR

LOCAL_INDEXES_MAX = 5
"""AWS quota: five local secondary indexes a table."""
GLOBAL_INDEXES_MAX = 20
"""AWS default quota."""
HIDDEN_PREFIX = "dw_"

_TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}")


@dataclass(frozen=True, slots=True)
class Fault:
    """One problem: ``where`` is a dotted path in the file, or a line."""

    where: str
    what: str
    mend: str


def faults(migration: Migration) -> tuple[Fault, ...]:
    """Everything that keeps the migration from being carried out; empty: none."""
    found = [*_name_faults(migration)]
    for table in migration.tables:
        found += _side_faults(table)
        found += _derivation_faults(table)
        found += _template_faults(table)
        found += _key_faults(table)
        for number, lookup in enumerate(table.derivation.lookups):
            found += _lookup_faults(migration, table, number, lookup)
        if table.kind is Kind.IN_PLACE:
            found += _in_place_faults(table)
    return tuple(found)


def warnings(migration: Migration) -> tuple[str, ...]:
    """What works and is of no use, one sentence each."""
    found = []
    for table in migration.tables:
        templates = dict(table.derivation.templates)
        template = templates.get(table.new.keys.hash.name)
        for index in table.new.indexes:
            attribute = index.keys.range
            if template and index.local and attribute and attribute.name in template.fields:
                found.append(
                    f"tables.{table.name}.new.indexes.{index.name}: {attribute.name} is one value "
                    f"within each partition of {table.new.name}, so this index finds nothing that "
                    f"{table.new.keys.hash.name} alone does not"
                )
    return tuple(found)


# -- mappings -------------------------------------------------------------------------------


def mapping_faults(mapping: ValueMap) -> Iterator[Fault]:
    """What keeps the rows of a mapping from being a one-to-one map between usable ids."""
    if len(set(mapping.gives)) != len(mapping.gives):
        yield Fault(f"mappings.{mapping.name}.gives", "names a column twice", "name each once")
    first: dict[tuple[str, ...], str] = {}
    for old_id, parts in mapping.forward.items():
        where = f"row {old_id!r}"
        if not old_id:
            yield Fault("row ''", "the old id is empty", "remove the row")
        if len(old_id.encode()) > HASH_BYTES_MAX:
            yield Fault(where[:60], f"the old id is over {HASH_BYTES_MAX} bytes", "remove the row")
        for name, part in zip(mapping.gives, parts, strict=True):
            problem = _part_fault(part)
            if problem is not None:
                yield Fault(where, f"{name} {problem}", "give another value")
        other = first.setdefault(parts, old_id)
        if other != old_id:
            yield Fault(
                where,
                f"gives the same {', '.join(mapping.gives)} as {other!r}: there is no way back",
                "give each old id values of its own",
            )
        identical = len(set(parts)) == 1 and parts[0] != old_id
        if mapping.identity_fallback and identical and parts[0] not in mapping.forward:
            yield Fault(
                where,
                f"gives what the identity fall-back gives to {parts[0]!r}: there is no way back",
                f"add a row for {parts[0]!r}, or give other values",
            )


def _part_fault(part: str) -> str | None:
    if not part:
        return "is empty"
    if SEPARATOR in part:
        return f"holds the separator {SEPARATOR!r}"
    if len(part.encode()) > PART_BYTES_MAX:
        return f"is over {PART_BYTES_MAX} bytes"
    return None


# -- names ----------------------------------------------------------------------------------


def _name_faults(migration: Migration) -> Iterator[Fault]:
    owners: dict[str, str] = {}
    names = [("migration.control_table", migration.control_table)]
    for table in migration.tables:
        names.append((f"tables.{table.name}.old.name", table.old.name))
        if table.kind is Kind.REKEY:
            names.append((f"tables.{table.name}.new.name", table.new.name))
    for where, name in names:
        if not _TABLE_NAME.fullmatch(name):
            yield Fault(
                where,
                f"{name!r} is no DynamoDB table name",
                "use 3 to 255 of the characters a-z, A-Z, 0-9, _ . -",
            )
        owner = owners.setdefault(name, where)
        if owner != where:
            yield Fault(
                where,
                f"{name!r} is used by {owner} too",
                "give each physical table a name of its own",
            )


def _side_faults(table: MigratedTable) -> Iterator[Fault]:
    sides = [("old", table.old)]
    if table.kind is Kind.REKEY:
        sides.append(("new", table.new))
    for word, side in sides:
        where = f"tables.{table.name}.{word}"
        yield from _keys_faults(where, side.keys)
        yield from _index_faults(where, side)
    hidden = {*table.derivation.names, *table.attributes, *table.old.keys.names}
    hidden |= {*table.new.keys.names, table.derivation.source or ""}
    for name in sorted(hidden):
        if name.startswith(HIDDEN_PREFIX):
            yield Fault(
                f"tables.{table.name}",
                f"attribute {name!r} begins with {HIDDEN_PREFIX}, which is kept for the service",
                "rename it",
            )
    types = {attribute.name: attribute.type for attribute in table.old.keys.attributes}
    for attribute in table.new.keys.attributes:
        before = types.get(attribute.name, attribute.type)
        if attribute.name not in table.derivation.names and before != attribute.type:
            yield Fault(
                f"tables.{table.name}.new",
                f"{attribute.name} is {attribute.type} here and {before} in old",
                "give it one type: values are carried as they are",
            )


def _keys_faults(where: str, keys: KeySchema) -> Iterator[Fault]:
    if keys.range is not None and keys.range.name == keys.hash.name:
        yield Fault(f"{where}.range", "is the hash key too", "name another attribute")


def _index_faults(where: str, side: TableSide) -> Iterator[Fault]:
    for index in side.indexes:
        place = f"{where}.indexes.{index.name}"
        yield from _keys_faults(place, index.keys)
        if not index.local:
            continue
        if index.keys.hash != side.keys.hash:
            yield Fault(
                f"{place}.hash",
                f"a local index has the table's hash key, {side.keys.hash.name}",
                'write that, or kind = "global"',
            )
        if index.keys.range is None:
            yield Fault(f"{place}.range", "a local index needs a range key", "add it")
    local = sum(index.local for index in side.indexes)
    if local > LOCAL_INDEXES_MAX:
        yield Fault(
            f"{where}.indexes", f"{local} local indexes", f"DynamoDB allows {LOCAL_INDEXES_MAX}"
        )
    if len(side.indexes) - local > GLOBAL_INDEXES_MAX:
        yield Fault(
            f"{where}.indexes",
            f"{len(side.indexes) - local} global indexes",
            f"DynamoDB allows {GLOBAL_INDEXES_MAX}",
        )


# -- derivation -----------------------------------------------------------------------------


def _derivation_faults(table: MigratedTable) -> Iterator[Fault]:
    rule, where = table.derivation, f"tables.{table.name}.derive"
    gives = set(rule.mapping.gives) if rule.mapping else set()
    if rule.mapping is None and rule.source is not None:
        yield Fault(f"{where}.source", "is read by a mapping only", "add mapping, or remove it")
    if rule.mapping is None and rule.lookups:
        yield Fault(f"{where}.lookups", "serve a mapping only", "add mapping, or remove them")
    if rule.mapping is not None and rule.source is None and not rule.lookups:
        yield Fault(f"{where}.mapping", "nothing says which id to map", "add source or lookups")
    for name, _ in rule.templates:
        if name in gives:
            yield Fault(
                f"{where}.templates.{name}", "the mapping gives it too", "derive it in one way"
            )
    if table.kind is Kind.IN_PLACE and not rule.names:
        yield Fault(where, "an in-place table without derived attributes", "remove the table")
    typed = {
        attribute.name: attribute.type
        for side in (table.old, table.new)
        for keys in (side.keys, *(index.keys for index in side.indexes))
        for attribute in keys.attributes
    }
    texts = {*rule.names, *(field for _, template in rule.templates for field in template.fields)}
    for name in sorted(texts | ({rule.source} if rule.source else set())):
        if typed.get(name, "S") != "S":
            yield Fault(
                where,
                f"{name} is a key of type {typed[name]}, and derivations work on strings",
                "only S is supported so far",
            )


def _template_faults(table: MigratedTable) -> Iterator[Fault]:
    rule = table.derivation
    known = {*table.old.keys.names, *table.attributes}
    known |= set(rule.mapping.gives) if rule.mapping else set()
    known |= {rule.source} if rule.source else set()
    for name, template in rule.templates:
        where = f"tables.{table.name}.derive.templates.{name}"
        yield from _template_text_faults(where, template)
        for field in template.fields:
            if field not in known:
                yield Fault(
                    where,
                    f"{{{field}}} is neither given by the mapping nor a key nor a declared "
                    "attribute of the old table",
                    f'correct it, or add attributes = ["{field}"]',
                )
        if rule.mapping is None or not set(template.fields) <= set(rule.mapping.gives):
            continue
        for old_id, parts in rule.mapping.forward.items():
            filled = template.fill(dict(zip(rule.mapping.gives, parts, strict=True)))
            if len(filled.encode()) > HASH_BYTES_MAX:
                yield Fault(
                    where,
                    f"with the mapping's row {old_id!r} it is over {HASH_BYTES_MAX} bytes",
                    "give shorter values",
                )


def _template_text_faults(where: str, template: Template) -> Iterator[Fault]:
    if not template.fields:
        yield Fault(where, "has no field in braces", 'write e.g. "{endpoint_id}#{part_id}"')
    if len(set(template.fields)) != len(template.fields):
        yield Fault(where, "names a field twice", "name each once")
    for number, (literal, name, format_text, conversion) in enumerate(
        Formatter().parse(template.text)
    ):
        if name is None:
            continue
        if format_text or conversion or not name or re.search(r"[.\[\]]", name):
            yield Fault(where, f"{{{name}}} is not a plain name", "write {name}, nothing more")
        if number and SEPARATOR not in literal:
            yield Fault(
                where,
                f"{{{name}}} is not parted by {SEPARATOR!r} from the field before it",
                "part them: composed values must be told apart again",
            )


def _key_faults(table: MigratedTable) -> Iterator[Fault]:
    """A key must be told from the other side's key alone, in both directions."""
    where = f"tables.{table.name}.new"
    for name in table.new.keys.names:
        lacking = _needed_for(table, name) - set(table.old.keys.names)
        if name not in table.derivation.names and name in lacking:
            yield Fault(
                where,
                f"key {name} is neither a key of the old table nor derived",
                "derive it by mapping or template: other attributes may change",
            )
        elif lacking:
            yield Fault(
                where,
                f"key {name} is derived from {', '.join(sorted(lacking))}, no part of the old key",
                "a key must be told from the key alone",
            )
    told = _told_by_new_key(table)
    for name in table.old.keys.names:
        if name not in told:
            yield Fault(
                where,
                f"the old key's {name} cannot be told from the new key",
                "two old rows would meet under one new key; put it into the new key",
            )


def _needed_for(table: MigratedTable, name: str) -> set[str]:
    """Old attributes that give the new key attribute ``name``."""
    rule = table.derivation
    gives = set(rule.mapping.gives) if rule.mapping else set()
    source = {rule.source or "a look-up"}
    if name in gives:
        return source
    template = dict(rule.templates).get(name)
    if template is None:
        return {name}
    fields = set(template.fields)
    return (fields - gives) | (source if fields & gives else set())


def _told_by_new_key(table: MigratedTable) -> set[str]:
    rule = table.derivation
    templates = dict(rule.templates)
    told: set[str] = set()
    for name in table.new.keys.names:
        if name in templates:
            told |= set(templates[name].fields)
        else:
            told.add(name)
    if rule.mapping is not None:
        gives = set(rule.mapping.gives)
        whole = gives <= told
        told -= gives
        if whole and rule.source:
            told.add(rule.source)
    return told


# -- look-ups and in-place ------------------------------------------------------------------


def _lookup_faults(
    migration: Migration, table: MigratedTable, number: int, lookup: ParentLookup
) -> Iterator[Fault]:
    where = f"tables.{table.name}.derive.lookups[{number}]"
    parent = migration.by_name.get(lookup.table)
    if parent is None:
        yield Fault(
            f"{where}.table",
            f"there is no table {lookup.table!r}",
            f"name one of: {', '.join(migration.by_name)}",
        )
        return
    if parent.derivation.source is None:
        yield Fault(
            f"{where}.table",
            f"{parent.name} has no source of its own to answer with",
            "look up a table that declares derive.source",
        )
    names = {parents_name for parents_name, _ in lookup.match}
    keys = parent.old.keys
    if lookup.how is LookupHow.KEY and names != set(keys.names):
        yield Fault(
            f"{where}.match",
            f"a look-up by key names the parent's whole key: {', '.join(keys.names)}",
            'name those, or write how = "index"',
        )
    if lookup.how is LookupHow.HASH and names != {keys.hash.name}:
        yield Fault(
            f"{where}.match",
            f"a look-up by hash names the parent's hash key: {keys.hash.name}",
            'name that, or write how = "index"',
        )
    for attribute in keys.attributes:
        if attribute.name in names and attribute.type != "S":
            yield Fault(
                f"{where}.match", f"{attribute.name} is no string", "only S is supported so far"
            )


def _in_place_faults(table: MigratedTable) -> Iterator[Fault]:
    """In place only ever adds names: what the old dialect reads must keep its value."""
    rule = table.derivation
    read = {*table.attributes, *table.old.keys.names}
    read |= {index_name for index in table.old.indexes for index_name in index.keys.names}
    read |= {rule.source} if rule.source else set()
    for name in rule.names:
        if name not in read or _keeps_value(table, name):
            continue
        yield Fault(
            f"tables.{table.name}.derive",
            f"{name} has two meanings: the old application reads it, and here it would get "
            "another value in the same rows",
            'write kind = "rekey" with unchanged keys and a new name, or derive another name',
        )


def _keeps_value(table: MigratedTable, name: str) -> bool:
    """Whether a mapping gives the source itself back, in each row."""
    mapping = table.derivation.mapping
    if mapping is None or name not in mapping.gives or name != table.derivation.source:
        return False
    place = mapping.gives.index(name)
    return all(parts[place] == old_id for old_id, parts in mapping.forward.items())
