"""Which keys are listed as poison, as this process knows it; so that what has become clean is
taken off the list."""

from bisect import bisect_left, bisect_right, insort

from dualwrite.core.dirty_keys import DirtyKey
from dualwrite.core.ports import RepairStore
from dualwrite.core.records import repair_name

PAGES_MAX = 5
"""Pages of the list that one look reads, so that it costs the same however long the list is."""


class Poison:
    """A view of the poison entries, renewed a part at a time. It is as old as a round through the
    list takes: one look for a short list, and one more for each thousand entries or so."""

    def __init__(self, repairs: RepairStore) -> None:
        self._repairs = repairs
        self._names: list[str] = []
        """In order, so that a part is exchanged, found and counted without a look at the rest."""
        self._added: set[str] = set()
        """What was listed here since the queue was last asked: its answer may be older."""
        self._after = ""
        self._whole = False

    async def look(self) -> None:
        """Read on in the list; the first time to its end. Raises EngineError."""
        pages = 0
        while pages < PAGES_MAX or not self._whole:
            pages += 1
            self._added = set()
            page = await self._repairs.poisoned(self._after)
            begin = bisect_right(self._names, self._after)
            end = bisect_right(self._names, page.next) if page.next else len(self._names)
            self._names[begin:end] = page.entries
            for name in self._added:
                self._note(name)
            self._after = page.next
            if not page.next:
                self._whole = True
                return

    def lists(self, table: str, dirty: DirtyKey) -> bool:
        """Whether a key is known to be listed."""
        return bool(self._names) and self._has(repair_name(table, dirty.side, dirty.token))

    def count(self, table: str) -> int:
        """How many keys of a table are known to be listed."""
        # "0" is what comes after "/".
        return bisect_left(self._names, f"{table}0") - bisect_left(self._names, f"{table}/")

    async def add(self, table: str, dirty: DirtyKey, reason: str) -> None:
        """List a key with its reason; one that stands there with it costs a read and no write.

        The view is not believed here: the key may have been taken off the list since. Raises
        EngineError.
        """
        await self._repairs.poison(table, dirty.side, dirty.token, reason)
        name = repair_name(table, dirty.side, dirty.token)
        self._note(name)
        self._added.add(name)

    async def clear(self, table: str, dirty: DirtyKey, *, ask: bool = False) -> None:
        """Take a key off the list; with ``ask`` also if it is not known to stand there.

        Raises EngineError.
        """
        if not (ask or self.lists(table, dirty)):
            return
        await self._repairs.absolve(table, dirty.side, dirty.token)
        name = repair_name(table, dirty.side, dirty.token)
        if self._has(name):
            del self._names[bisect_left(self._names, name)]
        self._added.discard(name)

    def _has(self, name: str) -> bool:
        at = bisect_left(self._names, name)
        return at < len(self._names) and self._names[at] == name

    def _note(self, name: str) -> None:
        if not self._has(name):
            insort(self._names, name)
