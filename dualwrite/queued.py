"""What waits on the repair queue, for those who count it; however long it is, they hold little of
it at a time and leave others their turn."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from dualwrite.core.ports import Record, Records
from dualwrite.core.records import POISON, REPAIR, Repair, load


@dataclass(frozen=True, slots=True)
class Queued:
    """The repair queue of one table."""

    waiting: int
    """Keys that wait to be made equal."""
    oldest_ms: int
    """When the oldest of them was queued; 0 for none."""
    poison: int
    """Keys that wait for a person."""

    @property
    def count(self) -> int:
        """All of them."""
        return self.waiting + self.poison

    def age_seconds(self, now_ms: int) -> float:
        """How long the oldest that waits has done so, by the wall clock; 0 for none."""
        return max(0.0, (now_ms - (self.oldest_ms or now_ms)) / 1000)


async def pages(records: Records, kind: str, prefix: str = "") -> AsyncIterator[tuple[Record, ...]]:
    """A whole list, part by part. Raises EngineError."""
    after = ""
    while True:
        page = await records.page(kind, prefix, after)
        yield page.entries
        after = page.next
        if not after:
            return


async def queued(records: Records, table: str) -> Queued:
    """Count one table's queue. Raises EngineError."""
    waiting, oldest_ms = await waiting_repairs(records, table)
    # In this order: a key that is found to be poison is listed before its repair is forgotten.
    poison = 0
    async for entries in pages(records, POISON, f"{table}/"):
        poison += len(entries)
    return Queued(waiting, oldest_ms, poison)


async def waiting_repairs(records: Records, table: str) -> tuple[int, int]:
    """How many repairs wait, and since when the oldest does (0 for none). Raises EngineError."""
    waiting, oldest_ms = 0, 0
    async for entries in pages(records, REPAIR, f"{table}/"):
        for record in entries:
            first_ms = load(Repair, record.value).first_ms
            if first_ms:
                oldest_ms = min(oldest_ms or first_ms, first_ms)
            waiting += 1
    return waiting, oldest_ms
