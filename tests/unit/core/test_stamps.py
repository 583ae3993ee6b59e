"""Stamps order all writes to an item, whatever the clocks of the writers do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwrite.core.stamps import FLOOR, LOGICAL_MAX, HybridClock, Stamp

stamps = st.builds(
    Stamp,
    wall_ms=st.integers(0, 10**13 - 1),
    logical=st.integers(0, LOGICAL_MAX),
    epoch=st.integers(0, 999_999),
    writer=st.text("abcdefghijkmnpqrstuvwxyz0123456789", min_size=8, max_size=8),
    operation=st.integers(0, 2**32 - 1),
)


@given(stamps, stamps)
def test_text_order_is_stamp_order(left: Stamp, right: Stamp) -> None:
    """DynamoDB compares the texts, so they must compare as the stamps do."""
    assert (str(left) < str(right)) == (left < right)


@given(stamps)
def test_a_stamp_is_read_back(stamp: Stamp) -> None:
    """Nothing of a stamp is lost in its text, and all texts have one length."""
    assert Stamp.parse(str(stamp)) == stamp
    assert len(str(stamp)) == len(FLOOR)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1.2.3.writer00.4",
        FLOOR + ".",
        FLOOR[:-1],
        FLOOR.replace("floor", "f"),
        "+" + FLOOR[1:],
    ],
)
def test_a_text_of_another_form_is_no_stamp(text: str) -> None:
    """A stamp of another width would not compare by time, so it is not taken for one."""
    with pytest.raises(ValueError):  # noqa: PT011  # int() and unpacking have their own words
        Stamp.parse(text)


@given(stamps)
def test_the_floor_is_older_than_every_write(stamp: Stamp) -> None:
    """Whatever is copied unstamped gives way to any write since 1970's first milliseconds."""
    clock = HybridClock("writer01", lambda: stamp.wall_ms)
    assert clock.next(stamp.epoch) > FLOOR


@given(st.lists(st.one_of(st.integers(0, 10**12), stamps), min_size=1, max_size=30))
def test_a_clock_only_ever_rises(steps: list[int | Stamp]) -> None:
    """Each stamp is newer than all given out and all seen before, also if the wall clock jumps
    back."""
    wall = [0]
    clock = HybridClock("writer01", lambda: wall[0])
    newest = FLOOR
    for step in steps:
        if isinstance(step, int):
            wall[0] = step
        elif step.wall_ms < 10**13 - 1 and clock.observe(str(step)):
            newest = max(newest, str(step))
        given_out = clock.next(0)
        assert Stamp.parse(given_out) > Stamp.parse(newest)
        assert given_out > newest
        newest = given_out


def test_a_clock_that_stands_still_does_not_run_out() -> None:
    """More stamps in one millisecond than the counter holds borrow from the next one."""
    clock = HybridClock("writer01", lambda: 1_000)
    clock.observe(str(Stamp(1_000, LOGICAL_MAX - 1, 0, "writer02", 0)))
    first, second = Stamp.parse(clock.next(0)), Stamp.parse(clock.next(0))
    assert (first.wall_ms, first.logical) == (1_000, LOGICAL_MAX)
    assert (second.wall_ms, second.logical) == (1_001, 0)


def test_stamps_of_one_writer_are_unique() -> None:
    """The operation number tells apart what happened in the same instant."""
    clock = HybridClock("writer01", lambda: 5)
    assert len({clock.next(1) for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("writer", ["", "short", "much-too-long", "has.dot1"])
def test_a_writer_id_of_another_form_is_refused(writer: str) -> None:
    """It would break the fixed width."""
    with pytest.raises(ValueError, match="writer id"):
        HybridClock(writer, lambda: 0)


@pytest.mark.parametrize("ahead_ms", [-1_000, 0, 3_600_000])
def test_a_stamp_of_another_clock_moves_ours(ahead_ms: int) -> None:
    """Clocks of processes may differ a little; ours goes on past what it saw."""
    clock = HybridClock("writer00", lambda: 1_700_000_000_000)
    seen = str(Stamp(1_700_000_000_000 + ahead_ms, 7, 1, "writer01", 1))
    assert clock.observe(seen)
    assert clock.next(1) > seen


@pytest.mark.parametrize("text", ["zzz", "", "9999999999999.00000.000001.writer01.00000001"])
def test_what_no_clock_wrote_moves_ours_nowhere(text: str) -> None:
    """One item's foreign stamp does not drive all others' stamps out of their width."""
    clock = HybridClock("writer00", lambda: 1_700_000_000_000)
    assert not clock.observe(text)
    assert clock.next(1).startswith("1700000000000.00000.")
