"""What commands mean for each table, and in which rounds the tables move."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwrite.control.commands import CommandFailed
from dualwrite.control.moves import Change, ahead, flip_ahead, goals_of, next_round
from dualwrite.core.phases import NEXT, Kind, Phase, TableState, is_flip
from dualwrite.core.records import Command
from tests.unit.control.scene import MIGRATION

NAMES = ("moved", "also", "stays")
IN_PLACE = (Phase.OFF, Phase.MIRROR_OLD, Phase.DONE)


def states(moved: Phase, also: Phase, stays: Phase = Phase.MIRROR_OLD) -> dict[str, TableState]:
    phases = zip(NAMES, (moved, also, stays), strict=True)
    return {name: TableState(name, 5, phase) for name, phase in phases}


def rounds(command: Command, start: Mapping[str, TableState]) -> list[tuple[Change, ...]]:
    """Every round of a command, played to its end."""
    now = dict(start)
    goals = goals_of(command, MIGRATION, now)
    played: list[tuple[Change, ...]] = []
    while changes := next_round(command, MIGRATION, goals, now):
        assert len(played) < 10, "the rounds never end"
        played.append(changes)
        now |= {change.table.name: change.after for change in changes}
    for name, goal in goals.items():
        assert now[name].phase.value == goal
    return played


@given(
    st.sampled_from(list(Phase)),
    st.sampled_from(list(Phase)),
    st.sampled_from(IN_PLACE),
    st.sampled_from([("advance", ""), ("flip", ""), ("rollback", "")])
    | st.sampled_from(list(Phase)).map(lambda phase: ("advance", phase.value)),
)
def test_every_round_makes_legal_single_steps(
    moved: Phase, also: Phase, stays: Phase, asked: tuple[str, str]
) -> None:
    """One coordinate of a table changes a round, its epoch rises by one, and a flip is recorded;
    only a flip or a rollback ever gives the lead back to old."""
    verb, argument = asked
    try:
        played = rounds(Command(verb, "*", argument, "why"), states(moved, also, stays))
    except CommandFailed:
        return
    for change in (change for changes in played for change in changes):
        before, after = change.before, change.after
        assert after.phase in NEXT[change.table.kind][before.phase]
        assert after.epoch == before.epoch + 1
        assert after.lead_epoch == (after.epoch if change.flips else before.lead_epoch)
        if change.flips and verb == "advance":
            assert after.phase is Phase.ATOMIC_NEW


def test_tables_that_lag_catch_up_before_all_flip_together() -> None:
    """A flip is one round for all tables, wherever they begin."""
    start = states(Phase.MIRROR_OLD, Phase.ATOMIC_OLD)
    played = rounds(Command("flip", "*", "", "why"), start)
    assert [[change.table.name for change in changes] for changes in played] == [
        ["moved"],
        ["moved", "also"],
    ]
    assert all(change.flips for change in played[1])


def test_the_end_is_one_round_for_all_tables() -> None:
    """In-place tables join early and wait for the others at the end."""
    start = states(Phase.OFF, Phase.OFF, Phase.OFF)
    played = rounds(Command("advance", "*", "done", "why"), start)
    assert [len(changes) for changes in played] == [3, 2, 2, 2, 3]
    assert {change.after.phase for change in played[-1]} == {Phase.DONE}


def test_an_advance_moves_the_tables_that_are_behind() -> None:
    """Those that stand further on wait."""
    start = states(Phase.MIRROR_OLD, Phase.ATOMIC_NEW)
    [changes] = rounds(Command("advance", "*", "", "why"), start)
    assert [(change.table.name, change.after.phase) for change in changes] == [
        ("moved", Phase.ATOMIC_OLD)
    ]


def test_the_ends_give_all_reads_to_the_one_table_that_is_left() -> None:
    """Off reads old, done reads new, and neither compares."""
    start = states(Phase.MIRROR_NEW, Phase.MIRROR_OLD)
    start = {name: replace(state, read_share=40, shadow_share=3) for name, state in start.items()}
    [done] = rounds(Command("advance", "moved", "", "why"), start)
    [off] = rounds(Command("advance", "also", "off", "why"), start)
    assert (done[0].after.read_share, done[0].after.shadow_share) == (100, 0)
    assert (off[0].after.read_share, off[0].after.shadow_share) == (0, 0)


def test_in_place_tables_neither_flip_nor_share_reads() -> None:
    """They have one table and one leader."""
    start = states(Phase.ATOMIC_OLD, Phase.ATOMIC_OLD)
    for verb, argument in (("flip", ""), ("rollback", ""), ("reads", "5")):
        with pytest.raises(CommandFailed, match="in place"):
            goals_of(Command(verb, "stays", argument, "why"), MIGRATION, start)
        if verb != "rollback":
            goals = goals_of(Command(verb, "*", argument, "why"), MIGRATION, start)
            assert set(goals) == {"moved", "also"}


def test_the_way_forward_ends_at_done() -> None:
    """From every phase, by legal moves."""
    assert ahead(Kind.REKEY, Phase.ATOMIC_OLD) == (
        Phase.ATOMIC_NEW,
        Phase.MIRROR_NEW,
        Phase.DONE,
    )
    assert ahead(Kind.IN_PLACE, Phase.OFF) == (Phase.MIRROR_OLD, Phase.DONE)
    assert ahead(Kind.REKEY, Phase.DONE) == ()


def test_a_flip_some_steps_away_is_found() -> None:
    """With the phase it will start from, and the epoch of now."""
    here = TableState("moved", 5, Phase.MIRROR_NEW)
    assert flip_ahead(here, "atomic/old") == replace(here, phase=Phase.ATOMIC_NEW)
    assert flip_ahead(replace(here, phase=Phase.ATOMIC_NEW), "atomic/old") is None
    assert flip_ahead(here, "done") is None


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"phase": Phase.ATOMIC_OLD}, ("mirror/old", "atomic/old")),
        ({"read_share": 25}, ("reads 1 %", "reads 25 %")),
        ({"shadow_share": 5}, ("shadow 0 %", "shadow 5 %")),
    ],
)
def test_a_change_is_worded_for_the_audit(after: dict[str, object], words: tuple[str, str]) -> None:
    """By the coordinate that changes."""
    before = TableState("moved", 5, Phase.MIRROR_OLD, read_share=1)
    change = Change(MIGRATION.by_name["moved"], before, replace(before, **after))  # type: ignore[arg-type]
    assert change.words == words
    assert not is_flip(change.before.phase, change.after.phase)
