"""Pages of a sweep take about as long on a slow engine as on a fast one."""

import pytest

from verifier.page_size import ITEMS_MAX, ITEMS_MIN, PAGE_SECONDS, PageSize


@pytest.mark.parametrize("items_per_second", [500.0, 4_000.0, 40_000.0])
def test_pages_come_to_take_their_time(items_per_second: float) -> None:
    """Whatever the engine's pace is, within a few pages one takes between a fourth and all of what
    is meant, or is as small or large as may be."""
    size = PageSize()
    for _ in range(20):
        asked = size.items
        size.took(asked, asked, asked / items_per_second)
    seconds = size.items / items_per_second
    assert seconds <= PAGE_SECONDS or size.items == ITEMS_MIN
    assert seconds >= PAGE_SECONDS / 4 or size.items == ITEMS_MAX


def test_a_page_that_ended_for_another_reason_does_not_make_the_next_one_larger() -> None:
    """The last page of a segment is quick because little was left."""
    size = PageSize()
    before = size.items
    size.took(before, 3, 0.001)
    assert size.items == before


def test_scans_that_run_side_by_side_shrink_it_once() -> None:
    """Four pages that were asked for at one size and took too long say one thing."""
    size = PageSize()
    asked = size.items
    for _ in range(4):
        size.took(asked, asked, 1.0)
    assert size.items == asked // 2
