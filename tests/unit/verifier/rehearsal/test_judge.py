"""The judge finds each seeded lie, on the side where it was told."""

from dataclasses import replace

import pytest

from dualwrite.core.items import Item
from dualwrite.core.phases import Side
from dualwrite.core.spec import Migration
from dualwrite.spec_file import load
from examples.ai_coordination_engine.tables import SPEC
from tests.unit.verifier.rehearsal.stories import KEY, TOKEN, entry, row
from verifier.rehearsal.history import Entry
from verifier.rehearsal.judge import Judgement, judge, judge_untouched


@pytest.fixture(scope="module")
def migration() -> Migration:
    return load(SPEC)


def judged(
    migration: Migration,
    entries: list[Entry],
    old: Item | None,
    new: Item | None,
    initial: Item | None = None,
) -> Judgement:
    def rows(item: Item | None) -> dict[str, dict[str, Item]]:
        return {"sessions": {TOKEN: item} if item else {}}

    sides = {Side.OLD: rows(old), Side.NEW: rows(new)}
    return judge(migration, entries, rows(initial), sides)


def counter(number: int, delta: int, outcome: str = "acked") -> Entry:
    return entry(number, "add", outcome, tag="", field="iteration_count", delta=delta)


def claim(number: int, outcome: str = "acked") -> Entry:
    return entry(number, "claim", outcome, field="claimed_by")


def test_a_write_lost_on_one_side_is_found_there(migration: Migration) -> None:
    """The follower is held to the same history as the leader."""
    entries = [entry(1, "put")]
    assert not judged(migration, entries, row("t1", 1), row("t1", 1)).faults
    found = judged(migration, entries, row("t1", 1), None)
    assert found.faults == {"lost": 1}
    assert found.examples[0].side == "new"
    assert judged(migration, entries, None, None).faults == {"lost": 2}


def test_a_deleted_row_on_one_side_is_found(migration: Migration) -> None:
    """A copy that the backfill brought back is resurrected, wherever it stands."""
    entries = [entry(1, "delete")]
    assert judged(migration, entries, None, row(), row()).faults == {"resurrected": 1}


@pytest.mark.parametrize(
    ("unknown", "explained"),
    [((), {8}), ((1,), {8, 9}), ((2,), {8, 9, 10}), ((1, 2), {*range(8, 12)})],
)
def test_a_counter_is_between_what_was_acknowledged_and_what_may_have_been(
    migration: Migration, unknown: tuple[int, ...], explained: set[int]
) -> None:
    """5 loaded and 3 acknowledged; what was refused does not count, what is unknown may."""
    entries = [counter(1, 1), counter(2, 2), counter(3, 9, "refused")]
    entries += [counter(4 + i, delta, "unknown") for i, delta in enumerate(unknown)]
    base = row() | {"iteration_count": {"N": "5"}}
    for value in range(5, 15):
        item = row() | {"iteration_count": {"N": str(value)}}
        found = judged(migration, entries, item, item, base)
        assert found.faults == ({} if value in explained else {"counter": 2})


def test_a_decrement_that_was_lost_is_found(migration: Migration) -> None:
    """Unknown decrements widen the range downwards only."""
    base = row() | {"iteration_count": {"N": "5"}}
    entries = [counter(1, -1), counter(2, -1, "unknown")]
    for value, right in ((5, False), (4, True), (3, True), (2, False)):
        item = row() | {"iteration_count": {"N": str(value)}}
        assert bool(judged(migration, entries, item, item, base).faults) is not right


def test_one_claimant_wins(migration: Migration) -> None:
    """Two winners, another holder than the winner, and a holder that nobody is, are found."""
    mine, yours = ({"claimed_by": {"S": tag}} | row() for tag in ("t1", "t2"))
    winner = [claim(1), claim(2, "refused")]
    assert not judged(migration, winner, mine, mine).faults
    assert judged(migration, winner, mine, yours).faults == {"claim": 1}
    assert judged(migration, [claim(1), claim(2)], mine, mine).faults == {"claim": 1}
    assert judged(migration, winner, row(), row()).faults == {"claim": 2}
    maybe = [claim(1, "unknown"), claim(2, "refused")]
    assert not judged(migration, maybe, mine, mine).faults
    assert not judged(migration, maybe, row(), row()).faults
    assert judged(migration, maybe, yours, yours).faults == {"claim": 2}


def test_half_a_transaction_is_found(migration: Migration) -> None:
    """A transaction of unknown outcome may have been applied or not, but not in part."""
    other = {"coordination_uuid": "c", "session_uuid": "other"}
    first = entry(1, "put", "unknown", group="g")
    second = entry(2, "put", "unknown", group="g", key=other)
    whole = {TOKEN: row("t1", 1), '[["S","c"],["S","other"]]': row("t2", 1)}
    half = {TOKEN: row("t1", 1)}
    for rows, torn in ((whole, 0), ({}, 0), (half, 1)):
        found = judge(migration, [first, second], {}, {Side.OLD: {"sessions": rows}})
        assert found.faults["torn-transaction"] == torn
    later = [first, second, entry(3, "delete", key=other)]
    found = judge(migration, later, {}, {Side.OLD: {"sessions": half}})
    assert not found.faults


def test_what_a_client_found_strange_is_counted(migration: Migration) -> None:
    """Violations that clients noticed themselves are faults too; plain reads are not."""
    strange = replace(entry(1, "violation"), note="showed a hidden attribute")
    look = entry(2, "look", key={})
    found = judged(migration, [strange, look], None, None)
    assert found.faults == {"unlike-a-plain-table": 1}
    assert found.examples[0].detail == "showed a hidden attribute"


def test_an_untouched_row_may_not_change(migration: Migration) -> None:
    """Rows without a writer keep what they said; those with one are judged by their history."""
    before = {"sessions": {TOKEN: row()}}
    changed = {"sessions": {TOKEN: row() | {"status": {"S": "other"}}}}
    for after, faults in ((before, {}), (changed, {"changed-untouched": 1}), ({}, {"lost": 1})):
        assert judge_untouched(migration, [], before, after, Side.OLD).faults == faults
    touched = [entry(1, "update")]
    assert not judge_untouched(migration, touched, before, changed, Side.OLD).faults
    assert touched[0].key == KEY


def test_an_in_place_table_is_judged_once(migration: Migration) -> None:
    """It has one physical table, so that one fault is not counted twice."""
    key = {"session_uuid": "s", "session_agent_uuid": "a"}
    entries = [entry(1, "put", table="session_agents", key=key)]
    empty: dict[str, dict[str, Item]] = {"session_agents": {}}
    found = judge(migration, entries, {}, {Side.OLD: empty, Side.NEW: empty})
    assert found.faults == {"lost": 1}
