"""The collector of a serving process leaves what is built alone, and still finds garbage."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from dualwrite.adapters import memory


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Give the tests that follow the collector they know."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


class Node:
    """May be part of a cycle."""

    def __init__(self) -> None:
        self.me = self


def test_what_was_built_is_not_walked_again() -> None:
    """It is out of the collector's sight."""
    memory.settle()
    assert gc.get_freeze_count() > 1_000
    assert len(gc.get_objects()) < gc.get_freeze_count()


def test_cycles_that_come_later_are_still_freed() -> None:
    """A leak of the hot path stays bounded."""
    memory.settle()
    first = weakref.ref(Node())
    for _ in range(memory.YOUNG_OBJECTS_MAX * 2):
        Node()
    assert first() is None
