"""Each row has one writer or many, and everybody knows which."""

from collections import defaultdict
from random import Random

import pytest

from dualwrite.core.items import Item, key_token
from dualwrite.core.spec import Migration
from dualwrite.spec_file import load
from examples.ai_coordination_engine.dataset import edge_rows, rows
from examples.ai_coordination_engine.tables import SPEC
from examples.ai_coordination_engine.workload import Plan, estates, tenants
from tests.unit.verifier.rehearsal.stories import entry
from verifier.rehearsal.casting import CLAIMS, Cast, cast, hot_rows, sites_of
from verifier.rehearsal.history import Recorder

PROCESSES = 4


@pytest.fixture(scope="module")
def migration() -> Migration:
    return load(SPEC)


@pytest.fixture(scope="module")
def edge(migration: Migration) -> set[tuple[str, str]]:
    return {
        (row.table, key_token(row.key, migration.by_name[row.table].old.keys))
        for row in edge_rows()
    }


@pytest.fixture(scope="module")
def loaded(migration: Migration, edge: set[tuple[str, str]]) -> dict[str, dict[str, Item]]:
    tables: dict[str, dict[str, Item]] = defaultdict(dict)

    def add(table: str, item: Item) -> None:
        tables[table][key_token(item, migration.by_name[table].old.keys)] = item

    for table, item in rows(migration, seed=5, items=3000):
        add(table, item)
    for table, item in hot_rows(sites_of(migration, tables, edge)):
        add(table, item)
    return tables


@pytest.fixture(scope="module")
def roles(
    migration: Migration, loaded: dict[str, dict[str, Item]], edge: set[tuple[str, str]]
) -> Cast:
    return cast(migration, loaded, edge, PROCESSES, Random(5))


def test_no_row_has_two_owners(roles: Cast) -> None:
    """The judge follows one writer a key, so no row is given away twice, or shared as well."""
    owned = [row for mine in roles.owned for row in mine]
    assert len(owned) == len(set(owned))
    shared = {row[:4] for row in (*roles.counters, *roles.claims)}
    assert not shared & set(owned)
    assert len(roles.owned) == PROCESSES
    assert all(roles.owned)


def test_sessions_are_given_away_whole(roles: Cast, loaded: dict[str, dict[str, Item]]) -> None:
    """Whoever owns a session owns all its runs and agents, so that he can count them."""
    for mine in roles.owned:
        sessions = {row[3] for row in mine if row[0] == "sessions"}
        for table in ("session_runs", "session_agents"):
            of_mine = {row[3] for row in mine if row[0] == table}
            names = {"session_runs": "run_uuid", "session_agents": "session_agent_uuid"}
            there = {
                item[names[table]]["S"]
                for item in loaded[table].values()
                if item["session_uuid"]["S"] in sessions
            }
            assert of_mine == there


def test_edge_rows_belong_to_nobody(
    roles: Cast, migration: Migration, edge: set[tuple[str, str]]
) -> None:
    """They must end as the data set declares, so no client touches them."""
    for mine in roles.owned:
        for table, _, hash_value, range_value in mine:
            keys = migration.by_name[table].old.keys
            key = dict(zip(keys.names, ({"S": hash_value}, {"S": range_value}), strict=True))
            assert (table, key_token(key, keys)) not in edge


def test_everybody_shares_counters_and_claims(roles: Cast) -> None:
    """Tables whose keys change, whose values change, and the one in place have shared rows."""
    assert {row[0] for row in roles.counters} == {"coordinations", "sessions", "session_agents"}
    assert len(roles.claims) == CLAIMS


def test_new_code_takes_over_what_old_code_left(
    roles: Cast, migration: Migration, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After a restart in the new dialect a process owns what its predecessor left, once each:
    deleted rows are gone, new ones are there, and what is unknown is not counted on."""
    history = tmp_path_factory.mktemp("history") / "w0.jsonl"
    mine = roles.owned[0]
    sessions = [row for row in mine if row[0] == "sessions"]
    _, tenant, coordination, gone = sessions[0]
    doubtful = sessions[1]
    key = {"coordination_uuid": coordination, "session_uuid": gone}
    fresh = {"coordination_uuid": coordination, "session_uuid": "fresh"}
    doubt = {"coordination_uuid": doubtful[2], "session_uuid": doubtful[3]}
    with Recorder(history) as recorder:
        recorder.add(
            [
                entry(1, "delete", tenant=tenant, key=key),
                entry(2, "put", tenant=tenant, key=fresh),
                entry(3, "update", "unknown", tenant=doubtful[1], key=doubt),
            ]
        )
    plan = Plan(
        worker="w0n", spec="", endpoints=(), dialect="new", seed=1, writes_per_second=1.0,
        history="", sites=roles.sites, counters=roles.counters, claims=roles.claims,
        owned=mine, resume=[str(history)],
    )  # fmt: skip
    talks = [talk for estate in estates(plan, tenants(migration)) for talk in estate.conversations]
    uuids = [talk.uuid for talk in talks]
    assert sorted(uuids) == sorted({row[3] for row in sessions} - {gone} | {"fresh"})
    assert [talk.uuid for talk in talks if not talk.certain] == [doubtful[3]]
