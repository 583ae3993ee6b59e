"""Whether names, keys and indexes of the physical tables can be."""

import re
from collections.abc import Iterator

from dualwrite.core.items import HIDDEN_PREFIX, KeySchema
from dualwrite.core.phases import Kind
from dualwrite.core.spec import MigratedTable, Migration, TableSide
from dualwrite.core.spec_checks.fault import Fault

LOCAL_INDEXES_MAX = 5
"""AWS quota: five local secondary indexes a table."""
GLOBAL_INDEXES_MAX = 20
"""AWS default quota."""

_TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}")


def name_faults(migration: Migration) -> Iterator[Fault]:
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


def side_faults(table: MigratedTable) -> Iterator[Fault]:
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
    elif len(set(keys.names)) < len(keys.names):
        yield Fault(where, "names one attribute twice among its keys", "name another attribute")


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
        if index.keys.more_hashes or index.keys.more_ranges:
            yield Fault(place, "a local index has one attribute of each kind", 'or kind = "global"')
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
