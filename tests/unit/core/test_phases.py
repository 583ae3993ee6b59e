"""The square: one coordinate at a time, and the lead changes on the atomic edge alone."""

import pytest

from dualwrite.core.phases import NEXT, Kind, Mode, Phase, Side, drawing, is_flip, route

MOVES = [(kind, start, goal) for kind in Kind for start in NEXT[kind] for goal in NEXT[kind][start]]


@pytest.mark.parametrize(("kind", "start", "goal"), MOVES)
def test_the_leader_changes_only_on_the_atomic_edge(kind: Kind, start: Phase, goal: Phase) -> None:
    """Any two adjacent states may be live at once; that holds for one changed coordinate."""
    if kind is Kind.REKEY and start.leader is not goal.leader:
        assert (start.mode, goal.mode) == (Mode.ATOMIC, Mode.ATOMIC)
        assert is_flip(start, goal)
    else:
        assert not is_flip(start, goal)


@pytest.mark.parametrize(("kind", "start", "goal"), MOVES)
def test_every_move_has_its_way_back_until_done(kind: Kind, start: Phase, goal: Phase) -> None:
    """Rollback is walking back; only done is final."""
    assert (goal is Phase.DONE) == (start not in NEXT[kind][goal])


def test_a_whole_migration_is_one_walk() -> None:
    """From off to done through each state, in the order of the drawing."""
    assert route(Kind.REKEY, Phase.OFF, Phase.DONE) == (
        Phase.MIRROR_OLD,
        Phase.ATOMIC_OLD,
        Phase.ATOMIC_NEW,
        Phase.MIRROR_NEW,
        Phase.DONE,
    )
    assert route(Kind.IN_PLACE, Phase.OFF, Phase.DONE) == (Phase.MIRROR_OLD, Phase.DONE)


@pytest.mark.parametrize("kind", list(Kind))
def test_routes_follow_legal_moves(kind: Kind) -> None:
    """A walk is made of legal moves, none is needed to stay, and from done there is none."""
    for start in NEXT[kind]:
        for goal in NEXT[kind]:
            way = route(kind, start, goal)
            if start is goal:
                assert way == ()
            elif start is Phase.DONE:
                assert way is None
            else:
                assert way is not None
                assert way[-1] is goal
                for here, there in zip((start, *way), way, strict=False):
                    assert there in NEXT[kind][here]


def test_an_in_place_table_has_no_atomic_state() -> None:
    """There is no second table to write in one transaction."""
    assert route(Kind.IN_PLACE, Phase.OFF, Phase.ATOMIC_OLD) is None


def test_sides_have_each_other() -> None:
    """old and new are places; each is the other's other."""
    assert (Side.OLD.other, Side.NEW.other) == (Side.NEW, Side.OLD)


@pytest.mark.parametrize("kind", list(Kind))
def test_the_drawing_shows_the_table(kind: Kind) -> None:
    """Each legal move is one arrow, and nothing else is."""
    arrows = [line for line in drawing(kind).splitlines() if "-->" in line]
    assert len(arrows) == sum(len(goals) for goals in NEXT[kind].values())
    assert sum(line.endswith(": flip") for line in arrows) == (2 if kind is Kind.REKEY else 0)
