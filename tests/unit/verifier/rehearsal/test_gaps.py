"""Gaps at a flip are measured against those of ordinary moments only."""

from dualwrite.core.phases import Side
from verifier.rehearsal.gaps import Flip, Window, flip_gaps, percentile


def every(step: float, start: float, end: float) -> list[float]:
    return [start + step * i for i in range(int((end - start) / step))]


FLIP = Flip(Side.NEW, Window(50.0, 53.0))


def test_a_pause_inside_the_flip_is_the_gap() -> None:
    """The longest silence that touches the window counts, in milliseconds."""
    acked = every(0.01, 0.0, 51.0) + every(0.01, 51.4, 100.0)
    [gap] = flip_gaps(acked, [FLIP], [])
    assert 400 <= gap.gap_ms <= 420
    assert 9 <= gap.ordinary_p999_ms <= 11
    assert not gap.within_goal
    assert gap.direction == "new"


def test_a_pause_that_reaches_into_the_window_counts_whole() -> None:
    """A gap is not cut at the window's edge, at either end."""
    acked = every(0.01, 0.0, 49.0) + every(0.01, 50.5, 52.8) + every(0.01, 54.0, 100.0)
    [gap] = flip_gaps(acked, [FLIP], [])
    assert 1490 <= gap.gap_ms <= 1520


def test_unusual_moments_do_not_flatter_the_flip() -> None:
    """A pause while something was killed makes the ordinary figure no larger."""
    acked = every(0.01, 0.0, 20.0) + every(0.01, 22.0, 100.0)
    [flattered] = flip_gaps(acked[:3000], [FLIP], [])
    [gap] = flip_gaps(acked, [FLIP], [Window(19.5, 22.5)])
    assert gap.ordinary_p999_ms < 11
    assert flattered.gap_ms > gap.gap_ms
    assert gap.within_goal


def test_a_blow_inside_a_flip_stays_in_its_gap_but_is_not_its_own() -> None:
    """The figure hides nothing; what is the flip's own is told beside it."""
    acked = every(0.01, 0.0, 51.0) + every(0.01, 52.4, 52.8) + every(0.01, 53.2, 100.0)
    [gap] = flip_gaps(acked, [FLIP], [Window(50.9, 52.2)])
    assert gap.gap_ms > 1390
    assert 390 <= gap.own_gap_ms <= 430


def test_a_busy_engine_is_ordinary_but_not_calm() -> None:
    """The calm figure leaves out what a backfill slows down; the ordinary one does not."""
    acked = every(0.01, 0.0, 20.0) + every(0.2, 20.0, 40.0) + every(0.01, 40.0, 100.0)
    [gap] = flip_gaps(acked, [FLIP], [], [Window(19.0, 41.0)])
    assert gap.ordinary_p999_ms > 190
    assert gap.calm_p999_ms < 11


def test_no_write_at_all_is_the_whole_window() -> None:
    """Silence from end to end is no small gap."""
    [gap] = flip_gaps([], [FLIP], [])
    assert gap.gap_ms == 3000
    assert gap.writes == 0
    assert not gap.within_goal


def test_items_of_one_call_are_one_acknowledgement() -> None:
    """The items of a batch end at one time and make no gaps of nought."""
    acked = [time for time in every(0.1, 0.0, 100.0) for _ in range(25)]
    [gap] = flip_gaps(acked, [FLIP], [])
    assert 99 <= gap.ordinary_p999_ms <= 101


def test_percentiles_are_by_nearest_rank() -> None:
    """No value is made up between two that were measured."""
    values = [float(n) for n in range(1, 1001)]
    assert percentile(values, 0.999) == 999.0
    assert percentile(values, 1.0) == 1000.0
    assert percentile(values, 0.5) == 500.0
    assert percentile([], 0.5) == 0.0
