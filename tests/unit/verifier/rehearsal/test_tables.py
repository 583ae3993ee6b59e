"""The final comparison finds every way in which new can differ from T(old)."""

import asyncio
from typing import Any

import pytest

from dualwrite.core.items import Item, key_token
from dualwrite.core.phases import Side
from dualwrite.core.spec import Migration
from dualwrite.core.transform import Row, row_from_client
from dualwrite.spec_file import load
from examples.ai_coordination_engine.tables import SPEC
from verifier.rehearsal.tables import Differences, Dump, differences, dump, plain

TENANT = "acme-corp-prod"


@pytest.fixture(scope="module")
def migration() -> Migration:
    return load(SPEC)


def texts(**values: str) -> Item:
    return {name: {"S": text} for name, text in values.items()}


COORDINATION = texts(endpoint_id=TENANT, coordination_uuid="c", coordination_name="x")
AGENT = texts(session_uuid="s", session_agent_uuid="a", coordination_uuid="c")


def pair(migration: Migration, item: Item) -> tuple[str, Item, Item]:
    """A coordination as both sides should hold it, and its token."""
    table = migration.by_name["coordinations"]
    row = row_from_client(table, item, Side.OLD)
    assert isinstance(row, Row)
    stamped = row.stamped("0000000000001.00000.000001.writer00.00000001")
    return key_token(item, table.old.keys), stamped.stored(Side.OLD), stamped.stored(Side.NEW)


def compared(
    migration: Migration, old: dict[str, Item], new: dict[str, Item], strays: int = 0
) -> Differences:
    names = {table.name: {} for table in migration.tables}
    return differences(
        migration,
        Dump({**names, "coordinations": old}, {**names, "coordinations": new}, strays),
        Side.NEW,
    )


def test_equal_tables_are_equal(migration: Migration) -> None:
    """Stamps may differ; nothing else does."""
    token, old, new = pair(migration, COORDINATION)
    found = compared(migration, {token: old}, {token: new | {"dw_stamp": {"S": "other"}}})
    assert found.different == 0
    assert found.compared == 1


@pytest.mark.parametrize(
    ("kept", "change", "verdict"),
    [
        ("new", {"coordination_name": {"S": "y"}}, "different"),
        ("new", {"part_id": {"S": "y"}}, "different"),
        ("new", {"surplus": {"N": "1"}}, "different"),
        ("old", {}, "extra"),
        ("only new", {}, "missing"),
    ],
)
def test_each_difference_has_its_name(
    migration: Migration, kept: str, change: Item, verdict: str
) -> None:
    """Other contents, a row that only old has, and a row that only new has; new leads."""
    token, old, new = pair(migration, COORDINATION)
    olds = {} if kept == "only new" else {token: old}
    news = {} if kept == "old" else {token: new | change}
    assert compared(migration, olds, news).verdicts[verdict] == 1


def test_a_row_of_new_that_no_old_key_maps_to_is_extra(migration: Migration) -> None:
    """It cannot be paired, and is not overlooked for that."""
    assert compared(migration, {}, {}, strays=1).verdicts["extra"] == 1


def test_a_row_left_on_old_is_no_difference_but_named(migration: Migration) -> None:
    """What new cannot hold stays on old, with its reason."""
    item = texts(endpoint_id="not#mapped", coordination_uuid="c")
    token = key_token(item, migration.by_name["coordinations"].old.keys)
    found = compared(migration, {token: item}, {})
    assert found.different == 0
    assert found.problems == {("coordinations", token): "separator"}


def test_in_place_rows_are_derived_from_their_parents(migration: Migration) -> None:
    """Attributes that are missing or wrong are different, a parent's tenant is looked up."""
    token, old, new = pair(migration, COORDINATION)
    right = AGENT | texts(
        partition_key="aws-prod-us-east-1#acme-corp",
        endpoint_id="aws-prod-us-east-1",
        part_id="acme-corp",
    )
    orphan = texts(session_uuid="s", session_agent_uuid="a", coordination_uuid="nobody's")
    names: dict[str, dict[str, Item]] = {table.name: {} for table in migration.tables}
    key = key_token(AGENT, migration.by_name["session_agents"].old.keys)
    wrong = right | texts(part_id="another")
    for item, different, problem in (
        (right, 0, None),
        (AGENT, 1, None),
        (wrong, 1, None),
        (orphan, 0, "orphan"),
    ):
        agents = {key: item}
        found = differences(
            migration,
            Dump(
                {**names, "coordinations": {token: old}, "session_agents": agents},
                {**names, "coordinations": {token: new}, "session_agents": agents},
            ),
            Side.OLD,
        )
        assert found.different == different
        assert found.problems.get(("session_agents", key)) == problem


def test_plain_rows_are_free_of_what_the_service_adds(migration: Migration) -> None:
    """Hidden attributes everywhere, derived ones where they are added in place."""
    _, old, _ = pair(migration, COORDINATION)
    agent = AGENT | texts(partition_key="p", endpoint_id="e", part_id="q", dw_stamp="x")
    rows = plain(migration, {"coordinations": {"1": old}, "session_agents": {"2": agent}})
    assert rows == {"coordinations": {"1": COORDINATION}, "session_agents": {"2": AGENT}}


class Pages:
    """A table of two pages for each name it knows."""

    def __init__(self, tables: dict[str, list[Item]]) -> None:
        self._tables = tables

    async def call(self, operation: str, request: Any) -> dict[str, Any]:
        assert operation == "Scan"
        assert request["ConsistentRead"]
        items = self._tables.get(request["TableName"], [])
        if "ExclusiveStartKey" in request:
            return {"Items": items[1:]}
        return {"Items": items[:1], "LastEvaluatedKey": {"any": {"S": "key"}}}


def test_a_dump_reads_all_pages_and_pairs_by_the_old_key(migration: Migration) -> None:
    """Rows of new stand under the token of the old key they came from; strays are counted."""
    token, old, new = pair(migration, COORDINATION)
    stray = texts(partition_key="un#mapped", coordination_uuid="c")
    pages = Pages({"ace-coordinations": [old], "ace-coordinations-v2": [new, stray]})
    read = asyncio.run(dump(pages, migration, (Side.OLD, Side.NEW)))
    assert read.old["coordinations"] == {token: old}
    assert read.new["coordinations"] == {token: new}
    assert read.strays == 1
