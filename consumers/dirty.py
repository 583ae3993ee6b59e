"""Dirty keys of one table, coalesced; and the cheap path that proves a key clean without a read.

For each key the newest record of either side is kept. When those two carry one stamp and equal
images, then both sides were equal after all records seen so far, and any later one makes the key
dirty again: so the key is clean. What finds no counterpart in time is reconciled by reading.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from consumers.changes import Change
from consumers.pace import Pace
from consumers.prefix import Mark
from dualwrite.core.compare import Comparison, compare
from dualwrite.core.dirty_keys import DirtyKey
from dualwrite.core.items import stamp_of
from dualwrite.core.phases import Side
from dualwrite.core.spec import MigratedTable


@dataclass(slots=True, eq=False)
class Entry:
    """One dirty key with the records that made it so."""

    dirty: DirtyKey
    since: float
    marks: list[Mark] = field(default_factory=list)
    latest: dict[Side, Change] = field(default_factory=dict)
    visible: bool = False
    """Whether any of the records changed more than hidden attributes."""
    bypass: bool = False


class DirtyKeys:
    """The keys of one table that are not known to be clean. No I/O, no clock of its own."""

    def __init__(self, table: MigratedTable, pace: Pace) -> None:
        self._table = table
        self._pace = pace
        self._entries: dict[DirtyKey, Entry] = {}
        self._urgent: deque[DirtyKey] = deque()
        self._busy: set[DirtyKey] = set()
        self.lagging: set[Side] = set()
        """Sides whose stream this process reads and is behind on: counterparts come late."""

    def __len__(self) -> int:
        return len(self._entries) + len(self._busy)

    def offer(
        self,
        leader: Side,
        side: Side,
        change: Change,
        mark: Mark,
        dirty: DirtyKey,
        *,
        now: float,
        provable: bool = True,
        bypass: bool = False,
    ) -> bool:
        """Note a record; True where it proved its key clean and all its records are done.

        Not ``provable``: the key has to be read whatever the images say.
        """
        entry = self._entries.get(dirty)
        if entry is None:
            entry = self._entries[dirty] = Entry(dirty, now)
        entry.marks.append(mark)
        entry.latest[side] = change
        entry.visible = entry.visible or not change.only_annotates or not provable
        if bypass and not entry.bypass:
            entry.bypass = True
            self._urgent.append(dirty)
        if provable and self._proved(leader, entry):
            del self._entries[dirty]
            _finish(entry)
            return True
        return False

    def hurry(self, dirty: DirtyKey) -> None:
        """No counterpart will come for this key: it is due at once."""
        self._urgent.append(dirty)

    def due(self, now: float) -> Iterator[Entry]:
        """Take out keys whose time has come, one by one; each must be settled or given back.

        A key that is being reconciled already waits for that, however dirty it is.
        """
        for _ in range(len(self._urgent)):
            dirty = self._urgent.popleft()
            if dirty in self._busy:
                self._urgent.append(dirty)
            elif dirty in self._entries:
                yield self._take(dirty)
        # Where so many wait that reading has to stop for them, patience only costs time.
        crowded = 2 * len(self._entries) >= self._pace.unapplied_records_max
        patient = self.lagging and not crowded
        wait = self._pace.match_lagging_seconds if patient else self._pace.match_seconds
        ripe = []
        for dirty, entry in self._entries.items():
            if now - entry.since < wait:
                break
            if dirty not in self._busy:
                ripe.append(dirty)
        for dirty in ripe:
            if not self._entries[dirty].visible:
                _finish(self._entries.pop(dirty))
                continue
            yield self._take(dirty)

    def settle(self, entry: Entry) -> None:
        """The key is clean, or queued for repair: its records are applied."""
        self._busy.discard(entry.dirty)
        _finish(entry)

    def give_back(self, entry: Entry, now: float) -> None:
        """The key could not be looked at: it is dirty as before, and due after another wait."""
        self._busy.discard(entry.dirty)
        newer = self._entries.pop(entry.dirty, None)
        if newer is not None:
            entry.marks += newer.marks
            entry.latest.update(newer.latest)
            entry.bypass = entry.bypass or newer.bypass
        entry.since = now
        self._entries[entry.dirty] = entry

    def _take(self, dirty: DirtyKey) -> Entry:
        self._busy.add(dirty)
        return self._entries.pop(dirty)

    def _proved(self, leader: Side, entry: Entry) -> bool:
        mine, theirs = entry.latest.get(leader), entry.latest.get(leader.other)
        if mine is None or theirs is None:
            return False
        if mine.new is None or theirs.new is None:
            return mine.new is theirs.new and stamp_of(mine.old) == stamp_of(theirs.old)
        stamp = stamp_of(mine.new)
        if stamp is None or stamp != stamp_of(theirs.new):
            return False
        seen = compare(self._table, leader, mine.new, theirs.new)
        return isinstance(seen, Comparison) and seen.is_clean


def _finish(entry: Entry) -> None:
    for mark in entry.marks:
        mark.done = True
