"""What was read without a gap since a moment is told by counts, not by clocks."""

import pytest

from dualwrite.core.coverage import gaps_of, unbroken
from dualwrite.core.ports import Record
from dualwrite.core.records import STREAM, StreamProgress, dump


def test_gaps_are_counted_by_side() -> None:
    """From the records of one table's streams."""
    streams = [
        Record(STREAM, f"boards/{side}", 1, dump(StreamProgress(0.0, 0, 0, gaps=gaps)))
        for side, gaps in (("old", 2), ("new", 0))
    ]
    assert gaps_of(streams) == {"old": 2, "new": 0}


@pytest.mark.parametrize(
    ("before", "now", "whole"),
    [
        ({"old": 1, "new": 0}, {"old": 1, "new": 0}, True),
        ({"old": 1, "new": 0}, {"old": 1}, True),
        ({"old": 0, "new": 0}, {"old": 0, "new": 1}, False),
        ({"old": 0}, {"old": 0, "new": 0}, False),
        ({}, {"old": 0}, False),
        ({"old": 0}, {}, False),
    ],
)
def test_a_gap_or_a_stream_that_was_not_read_breaks_it(
    before: dict[str, int], now: dict[str, int], whole: bool
) -> None:
    """Nothing is proven by streams of which nothing is known."""
    assert unbroken(before, now) is whole
