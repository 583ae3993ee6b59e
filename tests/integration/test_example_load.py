"""The example's data set goes into a real engine, whole and untouched."""

import asyncio
from dataclasses import replace
from typing import Any

from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.parents import ParentRows
from dualwrite.core.compare import transformed
from dualwrite.core.derivation import Answers, Problem, Question
from dualwrite.core.items import same
from dualwrite.core.phases import Side
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.core.transform import Row
from dualwrite.lookups import answered
from dualwrite.spec_file import load
from examples.ai_coordination_engine import dataset, tables
from examples.ai_coordination_engine.edge_rows import EdgeRow, Expected
from tests.fakes.boto_dynamo import BotoDynamo
from tests.fakes.epochs import SetEpochs


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
    """Every row arrives, edge rows with each value as it was; creating twice is safe; and the
    parents found in the engine lead to what each edge row says becomes of it."""
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
    asyncio.run(_edge_rows_as_expected(boto, migration, loaded))


async def _edge_rows_as_expected(boto: Any, migration: Migration, loaded: dataset.Loaded) -> None:
    """The parents that a real engine holds lead to what each edge row says of itself."""
    parents = ParentRows(BotoDynamo(boto), migration, SetEpochs(), SystemClock())
    for edge in loaded.edge_rows:
        row = await answered(parents, _splitting(migration.by_name[edge.table], edge))
        problem = row if isinstance(row, Problem) else row.problem
        expected = Expected.DERIVED
        if problem is not None:
            expected = Expected.LEFT if isinstance(row, Problem) else Expected.CARRIED
        reason = None if problem is None else problem.reason
        assert (expected, reason) == (edge.expected, edge.reason), edge.label


def _splitting(table: MigratedTable, edge: EdgeRow) -> Any:
    def split(answers: Answers) -> Row | Question | Problem:
        return transformed(table, edge.item, Side.OLD, answers)

    return split
