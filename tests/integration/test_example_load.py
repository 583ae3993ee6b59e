"""The example's data set goes into a real engine, whole and untouched."""

from dataclasses import replace
from typing import Any

from dualwrite.core.items import same
from dualwrite.core.phases import Side
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.spec_file import load
from examples.ai_coordination_engine import dataset, tables


def renamed(migration: Migration, prefix: str) -> Migration:
    """The same migration under physical names of its own."""

    def side(table: MigratedTable, which: Side) -> Any:
        named = table.side(which)
        return replace(named, name=prefix + named.name)

    made = tuple(
        replace(table, old=side(table, Side.OLD), new=side(table, Side.NEW))
        for table in migration.tables
    )
    return Migration(migration.name, migration.separator, made, prefix + "control")


def test_the_old_tables_hold_the_data_set(boto: Any, table_prefix: str) -> None:
    """Every row arrives, the edge rows with each value as it was, and creating twice is safe."""
    migration = renamed(load(tables.SPEC), table_prefix)
    assert tables.create(boto, migration) == tables.create(boto, migration)
    assert len(tables.create(boto, migration, Side.NEW, streams=True)) == 5
    loaded = dataset.load(boto, migration, items=1_000)
    for table in migration.tables:
        pages = boto.get_paginator("scan").paginate(TableName=table.old.name, Select="COUNT")
        assert sum(page["Count"] for page in pages) == loaded.counts[table.name]
    assert sum(loaded.counts.values()) >= 1_000
    for edge in loaded.edge_rows:
        name = migration.by_name[edge.table].old.name
        held = boto.get_item(TableName=name, Key=edge.key)["Item"]
        assert same(held, dataset.for_boto(edge.item)), edge.label
