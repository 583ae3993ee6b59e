"""When a reader may say that it stands at the tip of its shard.

No single page tells. AWS says of an empty one that "it might take multiple calls to get to a
portion of the shard that contains stream records", and a page with records may end in mid-shard as
well. So the tip is where pages go on being short, one after the other, without a record among them
that is old: an old one shows that the reader was behind when it asked. AWS gives no bound on how
many empty pages can lie between two records; ``Pace.tip_pages`` is the one that is assumed.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from consumers.pace import Pace

PAGE_RECORDS_MIN = 500
"""Some engines end a page here whatever was asked for."""


def is_short(records: Sequence[Any], pace: Pace) -> bool:
    """Whether the page did not end for its size."""
    if len(records) >= min(pace.page_records, PAGE_RECORDS_MIN):
        return False
    return not records or len(orjson.dumps(records)) < pace.tip_bytes_max


class Streak:
    """Short pages in a row, of one iterator and those that follow it."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._pages = 0

    def saw(self, *, short: bool, newest_age_seconds: float | None) -> bool:
        """Note a page; True where its request found the tip. ``newest_age_seconds`` is how old
        its newest record is, None where it has none."""
        old = newest_age_seconds is not None and newest_age_seconds > self._pace.tip_fresh_seconds
        self._pages = 0 if old or not short else min(self._pages + 1, self._pace.tip_pages)
        return self._pages >= self._pace.tip_pages

    def broken(self) -> None:
        """Reading goes on with another iterator, before which empty pages may lie again."""
        self._pages = 0
