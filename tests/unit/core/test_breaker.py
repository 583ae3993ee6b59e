"""The breaker before a follower: when it opens, how it is tried, when it closes."""

import pytest

from dualwrite.core.breaker import NEXT, Breaker, Event, Policy, State

POLICY = Policy(failures_max=3, pause_seconds=1.0, pause_seconds_max=5.0)


def longest(low: float, high: float) -> float:
    return high


def opened() -> Breaker:
    breaker = Breaker(longest, POLICY)
    assert [breaker.hear(well=False) for _ in range(3)] == [False, False, True]
    return breaker


def test_it_opens_only_after_failures_in_a_row() -> None:
    """One that goes well in between begins the count anew."""
    breaker = Breaker(longest, POLICY)
    for well in (False, False, True, False, False):
        breaker.hear(well=well)
    assert breaker.state is State.CLOSED
    assert breaker.hear(well=False)
    assert breaker.state is State.OPEN


def test_answers_from_before_it_opened_change_nothing() -> None:
    """Only a probe, sent after the pause, proves that the follower is back."""
    breaker = opened()
    assert not breaker.hear(well=True)
    assert not breaker.hear(well=False)
    assert (breaker.state, breaker.pause_seconds) == (State.OPEN, 1.0)


def test_one_probe_decides_and_pauses_grow_to_a_bound() -> None:
    """After each probe that fails it waits twice as long; one that goes well closes it, and the
    next time it begins with the short pause."""
    breaker = opened()
    pauses = []
    for _ in range(4):
        pauses.append(breaker.pause_seconds)
        assert breaker.move(Event.DUE)
        assert breaker.hear(well=False)
    assert pauses == [1.0, 2.0, 4.0, 5.0]
    breaker.move(Event.DUE)
    assert breaker.hear(well=True)
    assert breaker.state is State.CLOSED
    for _ in range(3):
        breaker.hear(well=False)
    assert breaker.pause_seconds == 1.0


def test_pauses_are_jittered() -> None:
    """Half of the pause at least, so that not all processes try at once."""
    breaker = Breaker(lambda low, high: low, POLICY)
    for _ in range(3):
        breaker.hear(well=False)
    assert breaker.pause_seconds == 0.5


@pytest.mark.parametrize("state", [State.OPEN, State.HALF_OPEN])
def test_a_follower_that_is_written_no_more_is_not_held_against_anybody(state: State) -> None:
    """The table has moved on: the breaker closes."""
    assert NEXT[state][Event.MOOT] is State.CLOSED
