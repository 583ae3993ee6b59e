"""Which keys are listed as poison, as this process knows it; so that what is listed already costs
no write, and what has become clean is taken off the list."""

from collections.abc import Iterable

from consumers.keys import DirtyKey
from dualwrite.core.phases import Side
from dualwrite.core.ports import RepairStore, WaitingRepair


class Poison:
    """A view of the poison entries, renewed whenever the repair queue is listed."""

    def __init__(self, repairs: RepairStore) -> None:
        self._repairs = repairs
        self._known: dict[tuple[str, DirtyKey], str] = {}
        self._added: dict[tuple[str, DirtyKey], str] = {}
        """What was listed here since the queue was last asked: its answer may be older."""

    def asking(self) -> None:
        """The queue is about to be listed."""
        self._added = {}

    def refresh(self, entries: Iterable[WaitingRepair]) -> None:
        """Take over what the queue said."""
        listed = {
            (entry.repair.table, _key(entry)): entry.repair.reason
            for entry in entries
            if entry.repair.poison
        }
        self._known = listed | self._added

    def lists(self, table: str, dirty: DirtyKey) -> bool:
        """Whether a key is known to be listed."""
        return (table, dirty) in self._known

    async def add(self, table: str, dirty: DirtyKey, reason: str) -> None:
        """List a key with its reason. Raises EngineError."""
        if self._known.get((table, dirty)) == reason:
            return
        await self._repairs.poison(table, dirty.side, dirty.token, reason)
        self._known[table, dirty] = self._added[table, dirty] = reason

    async def clear(self, table: str, dirty: DirtyKey, *, ask: bool = False) -> None:
        """Take a key off the list; with ``ask`` also if it is not known to stand there.

        Raises EngineError.
        """
        if ask or (table, dirty) in self._known:
            await self._repairs.absolve(table, dirty.side, dirty.token)
            self._known.pop((table, dirty), None)
            self._added.pop((table, dirty), None)


def _key(entry: WaitingRepair) -> DirtyKey:
    return DirtyKey(Side(entry.repair.side), entry.repair.token)
