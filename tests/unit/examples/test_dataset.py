"""The example's data set is what the seed asks for, the same each time, and its edges are known."""

from collections import Counter, defaultdict
from functools import cache
from typing import Any

import pytest

from dualwrite.core.compare import transformed
from dualwrite.core.derivation import Missing, Problem, Question, Reason
from dualwrite.core.items import key_token, size_bytes
from dualwrite.core.phases import Kind, Side
from dualwrite.core.room import fits
from dualwrite.core.spec import LookupHow
from dualwrite.core.transform import Row
from dualwrite.spec_file import load
from examples.ai_coordination_engine import dataset, shapes, tables
from examples.ai_coordination_engine.edge_rows import EdgeRow, Expected, edge_rows

MIGRATION = load(tables.SPEC)
EDGES = edge_rows()


@cache
def default_rows() -> tuple[tuple[str, Any], ...]:
    return tuple(dataset.rows(MIGRATION))


@cache
def by_table() -> dict[str, list[Any]]:
    held = defaultdict(list)
    for table, item in default_rows():
        held[table].append(item)
    return dict(held)


def ordinary() -> dict[str, list[Any]]:
    """All rows but the edge rows."""
    edges = {(edge.table, str(edge.key)) for edge in EDGES}
    return {
        table: [item for item in held if (table, str(shapes.key_of(table, item))) not in edges]
        for table, held in by_table().items()
    }


def text(item: Any, name: str) -> str:
    return str(item[name]["S"])


def test_equal_seeds_give_equal_rows() -> None:
    """A rehearsal can be repeated; another seed is another data set with the same edges."""
    first, again = (tuple(dataset.rows(MIGRATION, 7, 2_000)) for _ in range(2))
    assert first == again
    other = tuple(dataset.rows(MIGRATION, 8, 2_000))
    assert other != first
    assert other[: len(EDGES)] == first[: len(EDGES)]


@pytest.mark.parametrize("items", [300, 2_000, 20_000])
def test_the_size_is_what_was_asked_for(items: int) -> None:
    """As many rows as asked, and at most the rest of one session more; every table has some."""
    counts = Counter(table for table, _ in dataset.rows(MIGRATION, 1, items))
    assert items <= sum(counts.values()) < items + 32
    assert counts.keys() == {table.name for table in MIGRATION.tables}


def test_no_key_stands_twice() -> None:
    """Otherwise a batch would be refused, and the counts would lie."""
    for name, held in by_table().items():
        keys = MIGRATION.by_name[name].old.keys
        assert len({key_token(item, keys) for item in held}) == len(held)


def test_sizes_are_moderate_and_have_long_tails() -> None:
    """Medians as estimated in the seed, long tails, and few enough bytes for an embedded engine."""
    sizes = {table: sorted(size_bytes(item) for item in held) for table, held in ordinary().items()}
    medians = {table: held[len(held) // 2] for table, held in sizes.items()}
    assert 600 < medians["coordinations"] < 6_000
    assert 700 < medians["tasks"] < 6_000
    assert 200 < medians["task_schedules"] < 400
    assert 400 < medians["sessions"] < 3_000
    assert 500 < medians["session_agents"] < 3_000
    assert 300 < medians["session_runs"] < 500
    assert sizes["session_agents"][-1] > 20_000
    assert sum(map(sum, sizes.values())) < 60_000_000


def test_ordinary_rows_have_their_parents() -> None:
    """Each child finds its parents under its own tenant; only edge rows are orphans."""
    rows = ordinary()
    tenant = {
        text(row, "coordination_uuid"): text(row, "endpoint_id") for row in rows["coordinations"]
    }
    task = {text(row, "task_uuid"): text(row, "coordination_uuid") for row in rows["tasks"]}
    session = {
        text(row, "session_uuid"): text(row, "coordination_uuid") for row in rows["sessions"]
    }
    agents = {
        text(row, "session_agent_uuid"): text(row, "session_uuid") for row in rows["session_agents"]
    }
    for table in ("tasks", "task_schedules", "sessions", "session_runs"):
        for row in rows[table]:
            assert tenant[text(row, "coordination_uuid")] == text(row, "endpoint_id")
    for row in rows["task_schedules"]:
        assert task[text(row, "task_uuid")] == text(row, "coordination_uuid")
    for row in rows["session_agents"] + rows["session_runs"]:
        assert session[text(row, "session_uuid")] == text(row, "coordination_uuid")
    for row in rows["sessions"]:
        if "task_uuid" in row:
            assert task[text(row, "task_uuid")] == text(row, "coordination_uuid")
    for row in rows["session_runs"]:
        if "session_agent_uuid" in row:
            assert agents[text(row, "session_agent_uuid")] == text(row, "session_uuid")


def test_shares_are_as_in_the_seed() -> None:
    """50 tenants, the largest far ahead; two thirds conversations; procedures have 2 to 8
    agents."""
    rows = ordinary()
    per_tenant = Counter(text(row, "endpoint_id") for row in rows["coordinations"])
    assert len(per_tenant) == 50
    assert per_tenant.most_common(1)[0][1] == dataset.COORDINATIONS_MAX
    procedures = sum("task_uuid" in row for row in rows["sessions"])
    assert 0.25 < procedures / len(rows["sessions"]) < 0.42
    agents = Counter(text(row, "session_uuid") for row in rows["session_agents"])
    assert len(agents) == procedures
    assert set(agents.values()) <= set(range(2, 9))
    runs = Counter(text(row, "session_uuid") for row in rows["session_runs"])
    assert max(runs.values()) <= 30
    states = {text(row, "state") for row in rows["session_agents"]}
    assert states >= {"initial", "executing", "completed", "failed", "wait_for_user_input"}
    notes = [row["notes"] for row in rows["session_agents"] if "notes" in row]
    assert {"NULL": True} in notes


def test_every_asked_edge_is_there_once() -> None:
    """Labels are unique, each kind of outcome and reason occurs, and so does each legacy form."""
    labels = [edge.label for edge in EDGES]
    assert len(set(labels)) == len(labels)
    assert {edge.expected for edge in EDGES} == set(Expected)
    elsewhere = {Reason.EMPTY, Reason.CONTRADICTION, Reason.REFUSED}
    assert {edge.reason for edge in EDGES} >= set(Reason) - elsewhere
    told = "\n".join(labels)
    for words in (
        "not listed", "separator", "1,025", "2,048", "absent", "NULL", "empty", "deleted", "orphan",
        "two endpoints", "another endpoint_id", "assistant_id", "is a map", "is a list",
        "coordination_type", "of 2025-01", "of 2025-02", "fragment", "not ASCII", "38 digits",
        "sets and binary", "near 400 KB", "wrong types", "NULL beside absent", "empty strings",
    ):  # fmt: skip
        assert words in told
    for table in MIGRATION.tables:
        assert any(edge.table == table.name for edge in EDGES)


def test_no_edge_row_is_too_large_for_old() -> None:
    """They all fit on the old tables, with what local indexes hold of them: what breaks is the
    way to new."""
    assert all(fits(MIGRATION.by_name[edge.table].old, edge.item) for edge in EDGES)
    large = [edge for edge in EDGES if size_bytes(edge.item) > 100_000]
    assert Counter(edge.table for edge in large) == {"coordinations": 3, "sessions": 4}
    assert Counter(edge.expected for edge in large) == {Expected.LEFT: 4, Expected.DERIVED: 3}


# -- what becomes of the edge rows ----------------------------------------------------------


def answer(question: Question) -> str | Missing:
    """Look a parent up among the edge rows; one that has no id of its own asks its own parent."""
    found = set()
    for edge in EDGES:
        held = [edge.item.get(name, {}).get("S") for name, _ in question.match]
        if edge.table == question.table and held == [value for _, value in question.match]:
            found.add(old_id(edge.table, edge.item))
            if question.how is LookupHow.HASH:
                break
    if len(found) > 1:
        return Missing.AMBIGUOUS
    return found.pop() if found else Missing.ABSENT


def old_id(table: str, item: Any) -> str | Missing:
    own = item.get("endpoint_id", {}).get("S")
    if own:
        return str(own)
    for lookup in MIGRATION.by_name[table].derivation.lookups:
        match = tuple((theirs, text(item, ours)) for theirs, ours in lookup.match if ours in item)
        found = answer(Question(lookup.table, lookup.how, match))
        if not isinstance(found, Missing):
            return found
    return Missing.ABSENT


def outcome(edge: EdgeRow) -> Row | Problem:
    table = MIGRATION.by_name[edge.table]
    answers: dict[Question, str | Missing] = {}
    while isinstance(row := transformed(table, edge.item, Side.OLD, answers), Question):
        answers[row] = answer(row)
    return row


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.label)
def test_edge_rows_become_what_they_say(edge: EdgeRow) -> None:
    """T derives, carries or leaves each of them, and for the reason that the row names."""
    row = outcome(edge)
    if isinstance(row, Problem):
        assert (edge.expected, edge.reason) == (Expected.LEFT, row.reason)
    elif row.problem is not None:
        assert (edge.expected, edge.reason) == (Expected.CARRIED, row.problem.reason)
        assert row.seen(Side.OLD) == edge.item
    else:
        assert (edge.expected, edge.reason) == (Expected.DERIVED, None)
        assert row.new.keys() == {"endpoint_id", "part_id", "partition_key"}
        assert row.seen(Side.OLD) == edge.item


def test_derived_edge_rows_get_the_right_tenant() -> None:
    """A child's own id wins, then its session, then its coordination, then a run."""
    for words, part in (
        ("contradicts its coordination", "globex"),
        ("its session is asked before its coordination", "globex"),
        ("session deleted, its coordination knows", "acme-corp"),
        ("ambiguous coordination, a run of the session knows", "globex"),
        ("its session has no endpoint_id", "acme-corp"),
        ("agent: of 2025-02", "acme-corp"),
    ):
        [edge] = [edge for edge in EDGES if words in edge.label]
        row = outcome(edge)
        assert isinstance(row, Row)
        assert row.new["part_id"] == {"S": part}


# -- tables ---------------------------------------------------------------------------------


def test_the_old_tables_are_those_of_a_deployment() -> None:
    """Six tables as in the seed, all keys S, four local indexes, no stream unless asked for."""
    made = {request["TableName"]: request for request in tables.requests(MIGRATION, Side.OLD)}
    assert len(made) == 6
    for name, request in made.items():
        assert "StreamSpecification" not in request
        logical = name.removeprefix("ace-")
        assert [entry["AttributeName"] for entry in request["KeySchema"]] == [
            shapes.HASHES[logical],
            shapes.RANGES[logical],
        ]
    indexes = {
        name: [index["IndexName"] for index in request.get("LocalSecondaryIndexes", [])]
        for name, request in made.items()
    }
    assert indexes["ace-sessions"] == ["task_uuid-index", "user_id-index"]
    assert indexes["ace-session_runs"] == ["agent_uuid-index", "thread_uuid-index"]


def test_the_new_tables_are_those_of_the_spec() -> None:
    """One for each rekey table, with a stream when asked for; nothing for the in-place one."""
    made = list(tables.requests(MIGRATION, Side.NEW, streams=True))
    rekeyed = [table.new.name for table in MIGRATION.tables if table.kind is Kind.REKEY]
    assert [request["TableName"] for request in made] == rekeyed
    assert all(request["StreamSpecification"]["StreamEnabled"] for request in made)
