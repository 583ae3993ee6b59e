"""How a backfill is split, and how far it says it is."""

import pytest

from dualwrite.core.backfills import (
    SEGMENT_BYTES,
    SEGMENT_ITEMS,
    SEGMENTS_MAX,
    SEGMENTS_MIN,
    TableSize,
    progress_of,
    segment_name,
    segments_for,
    segments_prefix,
)
from dualwrite.core.records import BackfillOrder, Segment

ORDER = BackfillOrder("r", "run", 2, 0)


@pytest.mark.parametrize(
    ("size", "segments"),
    [
        (TableSize(), SEGMENTS_MIN),
        (TableSize(300, 1024), SEGMENTS_MIN),
        (TableSize(1_000, 40 * SEGMENT_BYTES + 1), 41),
        (TableSize(12 * SEGMENT_ITEMS, 0), 12),
        (TableSize(0, 10_000 * SEGMENT_BYTES), SEGMENTS_MAX),
    ],
)
def test_a_larger_table_has_more_segments(size: TableSize, segments: int) -> None:
    """By its bytes or its items, whichever asks for more, within bounds."""
    assert segments_for(size) == segments


def test_two_splits_have_no_segment_in_common() -> None:
    """So that no checkpoint of one can be read as the other's."""
    first, second = ORDER, BackfillOrder("r", "run", 3, 0, split=1)
    names = {segment_name("t", order, n) for order in (first, second) for n in range(3)}
    assert len(names) == 6
    assert not segment_name("t", second, 0).startswith(segments_prefix("t", first))


def test_all_segments_make_it_complete_and_none_makes_nothing() -> None:
    """An order whose segments nobody began yet is not complete."""
    done = Segment(done=True, scanned=5, copied=3, present=1, left=1, bytes=10)
    assert not progress_of(ORDER, []).complete
    assert not progress_of(ORDER, [done]).complete
    seen = progress_of(ORDER, [done, done])
    assert (seen.complete, seen.share, seen.eta_seconds) == (True, 1.0, 0.0)
    assert (seen.scanned, seen.copied, seen.present, seen.left, seen.bytes) == (10, 6, 2, 2, 20)
