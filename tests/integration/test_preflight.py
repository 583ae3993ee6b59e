"""``dualwrite check`` against a real engine."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.control_table import ControlTable
from dualwrite.adapters.preflight import (
    Preflight,
    Report,
    Standing,
    create_request,
    side_findings,
    stream_view,
)
from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.phases import Kind, Phase, Side, TableState
from dualwrite.core.records import STATE, dump
from dualwrite.core.spec import (
    Derivation,
    IndexSpec,
    MigratedTable,
    Migration,
    TableSide,
    Template,
    ValueMap,
)
from tests.fakes.boto_dynamo import BotoDynamo


def keys(hash_name: str, range_name: str | None = None, kind: str = "S") -> KeySchema:
    return KeySchema(
        KeyAttribute(hash_name), KeyAttribute(range_name, kind) if range_name else None
    )


def migration_of(prefix: str) -> Migration:
    mapping = ValueMap("tenants", ("endpoint_id", "part_id"), {"a": ("p", "t")})
    derivation = Derivation(
        "endpoint_id", mapping, (("partition_key", Template("{endpoint_id}#{part_id}")),)
    )
    old = TableSide(
        f"{prefix}things",
        keys("endpoint_id", "thing_id"),
        (IndexSpec("kind-index", keys("endpoint_id", "kind")),),
    )
    new = TableSide(
        f"{prefix}things-v2",
        keys("partition_key", "thing_id"),
        (
            IndexSpec("part_id-index", keys("partition_key", "part_id")),
            IndexSpec("kind-index", keys("kind"), local=False),
        ),
    )
    place = TableSide(f"{prefix}places", keys("place_id", "at", "N"))
    tables = (
        MigratedTable("things", Kind.REKEY, old, new, derivation),
        MigratedTable("places", Kind.IN_PLACE, place, place, derivation),
    )
    return Migration("test", "#", tables, f"{prefix}control")


@pytest.fixture
def migration(table_prefix: str) -> Migration:
    return migration_of(table_prefix)


def preflight(boto: Any, migration: Migration) -> Preflight:
    return Preflight(BotoDynamo(boto), migration, SystemClock())


def create(boto: Any, side: TableSide, **changes: Any) -> None:
    request = create_request(side)
    del request["StreamSpecification"]
    boto.create_table(**request | changes)


def create_old(boto: Any, migration: Migration) -> None:
    for table in migration.tables:
        create(boto, table.old)


def said(report: Report, standing: Standing) -> set[tuple[str, str]]:
    return {
        (finding.table, finding.subject)
        for finding in report.findings
        if finding.standing is standing
    }


def test_check_names_what_lacks_and_changes_nothing(boto: Any, migration: Migration) -> None:
    """A look creates nothing; it names the new table, the streams and the control table."""
    create_old(boto, migration)
    before = boto.list_tables()["TableNames"]
    report = asyncio.run(preflight(boto, migration).check())
    things, places = migration.tables
    assert not report.ready
    assert said(report, Standing.MISSING) == {
        (things.old.name, "stream"),
        (things.new.name, "table"),
        (places.old.name, "stream"),
        (migration.control_table, "control table"),
    }
    assert said(report, Standing.WRONG) == set()
    assert boto.list_tables()["TableNames"] == before


def test_apply_makes_everything_ready_and_may_be_repeated(boto: Any, migration: Migration) -> None:
    """The new table gets the spec's keys and indexes, streams show both images, items stay."""
    create_old(boto, migration)
    item = {"endpoint_id": {"S": "a"}, "thing_id": {"S": "1"}, "kind": {"S": "k"}}
    boto.put_item(TableName=migration.tables[0].old.name, Item=item)
    first = asyncio.run(preflight(boto, migration).apply())
    again = asyncio.run(preflight(boto, migration).apply())
    assert first.ready
    assert len(first.applied) == 4
    assert again.ready
    assert again.applied == ()
    new = boto.describe_table(TableName=migration.tables[0].new.name)["Table"]
    assert [index["IndexName"] for index in new["LocalSecondaryIndexes"]] == ["part_id-index"]
    assert [index["IndexName"] for index in new["GlobalSecondaryIndexes"]] == ["kind-index"]
    assert new["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    for table in migration.tables:
        for side in (table.old, table.new):
            described = boto.describe_table(TableName=side.name)["Table"]
            assert stream_view(described) == "NEW_AND_OLD_IMAGES"
    assert boto.scan(TableName=migration.tables[0].old.name)["Items"] == [item]
    assert boto.scan(TableName=migration.tables[0].new.name)["Count"] == 0


def test_an_index_that_finds_nothing_is_told(boto: Any, migration: Migration) -> None:
    """A local index over a part of the hash key is a note, and no obstacle; one severity is told,
    not two."""
    create_old(boto, migration)
    report = asyncio.run(preflight(boto, migration).apply())
    notes = [entry for entry in report.findings if entry.standing is Standing.NOTE]
    assert len(notes) == 1
    assert "part_id-index" in notes[0].detail
    assert (notes[0].table, notes[0].subject) == ("the spec", "design")


def test_an_old_table_is_never_created(boto: Any, migration: Migration) -> None:
    """Where there is nothing to migrate from, nothing at all is made."""
    create(boto, migration.tables[1].old)
    report = asyncio.run(preflight(boto, migration).apply())
    assert said(report, Standing.WRONG) == {(migration.tables[0].old.name, "table")}
    assert report.applied == ()
    assert migration.tables[0].new.name not in boto.list_tables()["TableNames"]
    described = boto.describe_table(TableName=migration.tables[1].old.name)["Table"]
    assert stream_view(described) is None


def test_an_old_table_may_be_deleted_once_its_migration_is_done(
    boto: Any, migration: Migration
) -> None:
    """The service starts without it, and nobody creates it again."""
    create_old(boto, migration)
    asyncio.run(preflight(boto, migration).apply())
    things = migration.by_name["things"]
    records = ControlTable(BotoDynamo(boto), migration.control_table, clock=SystemClock())
    state = TableState("things", 9, Phase.MIRROR_NEW)
    asyncio.run(records.write(STATE, "things", dump(state), expected=0))
    boto.delete_table(TableName=things.old.name)
    assert not asyncio.run(preflight(boto, migration).check()).ready
    done = dump(replace(state, phase=Phase.DONE))
    asyncio.run(records.write(STATE, "things", done, expected=None))
    report = asyncio.run(preflight(boto, migration).apply())
    assert report.ready
    assert (things.old.name, "old table") in said(report, Standing.NOTE)
    assert things.old.name not in boto.list_tables()["TableNames"]


@pytest.mark.parametrize("wrong", ["old keys", "new keys", "index", "stream", "control"])
def test_what_stands_is_never_changed(boto: Any, migration: Migration, wrong: str) -> None:
    """A schema that is not the spec's is an error with its mend; apply then does nothing."""
    things = migration.tables[0]
    create(boto, migration.tables[1].old)
    if wrong == "old keys":
        create(boto, replace(things.old, keys=keys("endpoint_id", "thing_id", "N")))
        expected = (things.old.name, "keys")
    elif wrong == "index":
        create(boto, replace(things.old, indexes=()))
        expected = (things.old.name, "kind-index")
    elif wrong == "stream":
        keys_only = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
        create(boto, things.old, StreamSpecification=keys_only)
        expected = (things.old.name, "stream")
    else:
        create(boto, things.old)
    if wrong == "new keys":
        create(boto, TableSide(things.new.name, keys("other", "thing_id")))
        expected = (things.new.name, "keys")
    if wrong == "control":
        create(boto, TableSide(migration.control_table, keys("pk")))
        expected = (migration.control_table, "control table")
    report = asyncio.run(preflight(boto, migration).apply())
    assert expected in said(report, Standing.WRONG)
    assert report.applied == ()
    assert not report.ready
    assert all(entry.mend for entry in report.findings if entry.standing is Standing.WRONG)


def test_an_index_unknown_to_the_spec_is_noted(boto: Any, migration: Migration) -> None:
    """An index that the spec forgot is no obstacle, but the proxy will not know it."""
    things = migration.tables[0]
    more = replace(
        things.old,
        indexes=(*things.old.indexes, IndexSpec("extra-index", keys("endpoint_id", "extra"))),
    )
    create(boto, more)
    create(boto, migration.tables[1].old)
    report = asyncio.run(preflight(boto, migration).check())
    assert (things.old.name, "extra-index") in said(report, Standing.NOTE)


def test_an_index_holds_what_the_spec_says() -> None:
    """One that holds less than the spec says would be read for what it lacks."""
    whole = IndexSpec("kind-index", keys("endpoint_id", "kind"))
    table = migration_of("p-").tables[0]
    for said, real, standing in (
        (None, {"ProjectionType": "ALL"}, Standing.OK),
        (None, {"ProjectionType": "KEYS_ONLY"}, Standing.WRONG),
        ((), {"ProjectionType": "KEYS_ONLY"}, Standing.OK),
        (("a", "b"), {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["b", "a"]}, Standing.OK),
        (("a",), {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["b"]}, Standing.WRONG),
    ):
        old = replace(table.old, indexes=(replace(whole, projected=said),))
        described = create_request(old)
        described["LocalSecondaryIndexes"][0]["Projection"] = real
        findings = side_findings(replace(table, old=old), Side.OLD, described)
        [found] = [each for each in findings if each.subject == "kind-index"]
        assert found.standing is standing
