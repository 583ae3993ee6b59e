"""Which streams a migration reads."""

from consumers.sources import sources_of
from consumers.streams.shards import StreamName
from dualwrite.core.phases import Side
from tests.consumer_harness import a_migration


def test_both_sides_are_read_but_of_an_in_place_table_the_only_one() -> None:
    """Each stream is named with the physical table that has it."""
    assert sources_of(a_migration("p-")) == {
        StreamName("notes", Side.OLD): "p-notes",
        StreamName("notes", Side.NEW): "p-notes-v2",
        StreamName("tasks", Side.OLD): "p-tasks",
        StreamName("tasks", Side.NEW): "p-tasks-v2",
        StreamName("steps", Side.OLD): "p-steps",
    }
