"""What proves that a reader stands at the tip of its shard."""

from consumers.pace import Pace
from consumers.streams.tips import Streak, is_short

PACE = Pace(tip_pages=3, tip_fresh_seconds=5.0, page_records=10, tip_bytes_max=100)


def seen(*ages: float | None) -> list[bool]:
    """What a reader may say after each of some short pages."""
    streak = Streak(PACE)
    return [streak.saw(short=True, newest_age_seconds=age) for age in ages]


def test_short_pages_in_a_row_are_the_tip() -> None:
    """Empty or not: a shard that is written all the time never gives an empty page."""
    assert seen(None, None, None, None) == [False, False, True, True]
    assert seen(0.5, 1.0, None, 2.0) == [False, False, True, True]


def test_an_old_record_shows_that_the_reader_was_behind() -> None:
    """However many short pages came before it."""
    assert seen(None, None, 60.0, None, None, None) == [False] * 5 + [True]
    assert seen(None, None, None, 5.1, None, None) == [False, False, True, False, False, False]


def test_a_page_that_ended_for_its_size_begins_anew() -> None:
    """More follows, and nobody knows how much."""
    streak = Streak(PACE)
    said = [streak.saw(short=short, newest_age_seconds=None) for short in (True, True, False, True)]
    assert said == [False] * 4


def test_another_iterator_begins_anew() -> None:
    """It may have to be moved over the same empty pages again."""
    streak = Streak(PACE)
    for _ in range(3):
        streak.saw(short=True, newest_age_seconds=None)
    streak.broken()
    assert not streak.saw(short=True, newest_age_seconds=None)


def test_a_page_may_end_for_its_records_or_its_bytes() -> None:
    """Either way it is not short."""
    assert is_short([], PACE)
    assert is_short([{"a": 1}] * 9, PACE)
    assert not is_short([{"a": 1}] * 10, PACE)
    assert not is_short([{"a": "x" * 100}], PACE)
