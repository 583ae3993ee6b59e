"""Dirty keys: coalesced, proven by pairs of records, due when no counterpart comes."""

from itertools import count

from consumers.changes import Change
from consumers.dirty import DirtyKeys
from consumers.pace import Pace
from consumers.prefix import Mark
from dualwrite.core.dirty_keys import dirty_key
from dualwrite.core.items import Item, key_of
from dualwrite.core.phases import Side
from dualwrite.core.stamps import FLOOR
from dualwrite.core.transform import Row, row_from_client
from tests.consumer_harness import a_migration, note

NOTES = a_migration("").by_name["notes"]
PACE = Pace()


class Streams:
    """Writes records of one key into both streams, and keeps their marks."""

    def __init__(self) -> None:
        self.keys = DirtyKeys(NOTES, PACE)
        self.marks: list[Mark] = []
        self._numbers = count(1)

    def offer(self, side: Side, old: Item | None, new: Item | None, now: float = 0.0) -> bool:
        mark = Mark(str(next(self._numbers)), 0)
        self.marks.append(mark)
        item = new or old
        assert item is not None
        keys = key_of(item, NOTES.side(side).keys)
        change = Change(mark.sequence, 0, keys, old, new)
        dirty = dirty_key(NOTES, keys, side)
        return self.keys.offer(Side.OLD, side, change, mark, dirty, now=now)

    def due(self, now: float) -> int:
        return len(list(self.keys.due(now)))

    def done(self) -> list[bool]:
        return [mark.done for mark in self.marks]


def row(title: str, operation: int) -> Row:
    made = row_from_client(NOTES, note(1, title=title), Side.OLD)
    assert isinstance(made, Row)
    return made.stamped(f"0000000000001.00000.000001.writer-1.{operation:08x}")


def test_two_records_of_one_write_prove_the_key() -> None:
    """Same stamp, equal images: clean, whichever came first."""
    for first in Side:
        streams = Streams()
        one = row("a", 1)
        assert not streams.offer(first, None, one.stored(first))
        assert streams.offer(first.other, None, one.stored(first.other))
        assert streams.done() == [True, True]
        assert len(streams.keys) == 0


def test_only_the_newest_of_each_side_counts() -> None:
    """An older write's counterpart proves nothing once the leader went on; then all are proven
    at once."""
    streams = Streams()
    one, two = row("a", 1), row("b", 2)
    streams.offer(Side.OLD, None, one.stored(Side.OLD))
    streams.offer(Side.OLD, one.stored(Side.OLD), two.stored(Side.OLD))
    assert not streams.offer(Side.NEW, None, one.stored(Side.NEW))
    assert not any(streams.done())
    assert streams.offer(Side.NEW, one.stored(Side.NEW), two.stored(Side.NEW))
    assert all(streams.done())


def test_one_stamp_over_different_images_proves_nothing() -> None:
    """The stream compare catches what the expression evaluator got wrong."""
    streams = Streams()
    streams.offer(Side.OLD, None, row("a", 1).stored(Side.OLD))
    assert not streams.offer(Side.NEW, None, row("b", 1).stored(Side.NEW))
    assert streams.due(PACE.match_seconds) == 1


def test_two_removals_of_one_image_prove_the_key() -> None:
    """Of different images they do not: somebody removed what the other did not have."""
    streams = Streams()
    one, two = row("a", 1), row("b", 2)
    streams.offer(Side.OLD, one.stored(Side.OLD), None)
    assert streams.offer(Side.NEW, one.stored(Side.NEW), None)
    streams.offer(Side.OLD, one.stored(Side.OLD), None)
    assert not streams.offer(Side.NEW, two.stored(Side.NEW), None)


def test_without_a_counterpart_a_key_is_due_after_a_wait() -> None:
    """Longer where the other side's stream is known to be behind."""
    streams = Streams()
    streams.offer(Side.OLD, None, row("a", 1).stored(Side.OLD), now=10.0)
    assert streams.due(10.0) == 0
    streams.keys.lagging.add(Side.NEW)
    assert streams.due(10.0 + PACE.match_seconds) == 0
    streams.keys.lagging.clear()
    [entry] = streams.keys.due(10.0 + PACE.match_seconds)
    assert streams.done() == [False]
    streams.keys.settle(entry)
    assert streams.done() == [True]


def test_a_key_made_dirty_again_while_it_is_looked_at_is_looked_at_again() -> None:
    """Its newer record is not covered by a reading that began before."""
    streams = Streams()
    streams.offer(Side.OLD, None, row("a", 1).stored(Side.OLD))
    [entry] = streams.keys.due(1.0)
    streams.offer(Side.OLD, row("a", 1).stored(Side.OLD), row("b", 2).stored(Side.OLD), now=1.0)
    assert streams.due(9.0) == 0
    streams.keys.settle(entry)
    assert streams.done() == [True, False]
    assert streams.due(9.0) == 1


def test_a_key_that_could_not_be_looked_at_stays_dirty_with_all_its_records() -> None:
    """Given back, it comes again, together with what came meanwhile."""
    streams = Streams()
    streams.offer(Side.OLD, None, row("a", 1).stored(Side.OLD))
    [entry] = streams.keys.due(1.0)
    streams.offer(Side.OLD, row("a", 1).stored(Side.OLD), row("b", 2).stored(Side.OLD), now=1.0)
    streams.keys.give_back(entry, 2.0)
    assert streams.due(2.0) == 0
    [again] = streams.keys.due(2.0 + PACE.match_seconds)
    streams.keys.settle(again)
    assert all(streams.done())


def test_an_annotation_alone_needs_no_reading() -> None:
    """It changed nothing that anybody can see; with its copy it proves the key."""
    streams = Streams()
    bare = note(1, title="a")
    annotated = row("a", 1).stamped(FLOOR)
    streams.offer(Side.OLD, bare, annotated.stored(Side.OLD))
    assert streams.due(1.0) == 0
    assert streams.done() == [True]
    streams.offer(Side.OLD, bare, annotated.stored(Side.OLD))
    assert streams.offer(Side.NEW, None, annotated.stored(Side.NEW))


def test_where_too_many_wait_nobody_waits_longer() -> None:
    """Reading stops for keys that are not applied, so patience would be paid by all of them."""
    streams = Streams()
    streams.keys.lagging.add(Side.NEW)
    for number in range(PACE.unapplied_records_max // 2):
        bare = note(number)
        mark = Mark(str(number + 1), 0)
        keys = key_of(bare, NOTES.old.keys)
        change = Change(mark.sequence, 0, keys, None, bare)
        dirty = dirty_key(NOTES, keys, Side.OLD)
        streams.keys.offer(Side.OLD, Side.OLD, change, mark, dirty, now=0.0)
    assert streams.due(PACE.match_seconds) == PACE.unapplied_records_max // 2
