"""The repair queue: one durable record for each key that may differ between the two sides."""

from collections.abc import Callable
from dataclasses import replace

from dualwrite.core.errors import EngineError, StateConflict, Unreachable
from dualwrite.core.phases import Side
from dualwrite.core.ports import Clock, Page, Record, Records, RepairQueue, WaitingRepair
from dualwrite.core.records import POISON, REPAIR, Repair, dump, load, repair_name

TRIES_MAX = 4
BACK_OFF_SECONDS = 0.05
"""Doubled with each further try; a caller waits at most about 0.4 s before it hears of failure."""


class Repairs(RepairQueue):
    """Keys that wait for repair. What ``put`` has returned from is durable.

    An entry is fenced by its record's version: a key that is put again while a worker handles
    it gets a new version, so the worker's ``done`` does not forget the newer trouble.
    """

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def put(self, table: str, side: Side, token: str, reason: str) -> None:
        """Remember a key that may differ; due at once. Raises EngineError where that failed."""
        now = self._clock.wall_ms()
        wanted = Repair(table, token, side.value, reason, 0, now, now)

        def over(held: Repair) -> Repair:
            return replace(held, reason=reason, next_ms=now)

        await self._store(REPAIR, wanted, over, look=False)

    async def poison(self, table: str, side: Side, token: str, reason: str) -> None:
        """List a key that cannot be made equal; nothing is written where it says so already.
        Raises EngineError where that failed.

        A repair of it that waits goes on waiting: whoever tries it takes it away.
        """
        now = self._clock.wall_ms()
        wanted = Repair(table, token, side.value, reason, 0, now, now)

        def over(held: Repair) -> Repair:
            return held if held.reason == reason else replace(held, reason=reason)

        await self._store(POISON, wanted, over, look=True)

    async def absolve(self, table: str, side: Side, token: str) -> None:
        """Forget a key's poison entry, for it has become clean; a waiting repair stays."""
        name = repair_name(table, side, token)
        found = await self._records.read(POISON, name)
        if found is not None:
            await self._forget(POISON, name, found.version)

    async def waiting(self, after: str = "") -> Page[WaitingRepair]:
        """The next few entries behind a name. Raises EngineError."""
        page = await self._records.page(REPAIR, "", after)
        return Page(tuple(_waiting(record) for record in page.entries), page.next)

    async def poisoned(self, after: str = "") -> Page[str]:
        """The next few names on the list of poison. Raises EngineError."""
        page = await self._records.page(POISON, "", after)
        return Page(tuple(record.name for record in page.entries), page.next)

    async def done(self, entry: WaitingRepair) -> None:
        """Forget an entry, unless its key was put again since it was read."""
        await self._forget(REPAIR, entry.name, entry.version)

    async def retry_later(self, entry: WaitingRepair, delay_seconds: float) -> None:
        """Count a failed attempt and wait, unless the key was put again since it was read."""
        later = replace(
            entry.repair,
            attempts=entry.repair.attempts + 1,
            next_ms=self._clock.wall_ms() + int(delay_seconds * 1000),
        )
        try:
            await self._records.write(REPAIR, entry.name, dump(later), expected=entry.version)
        except StateConflict:
            return

    async def _store(
        self, kind: str, wanted: Repair, over: Callable[[Repair], Repair], *, look: bool
    ) -> None:
        """Store ``wanted`` where nothing is, else what ``over`` makes of what stands there; it
        gives that back where nothing is to be written. ``look``: before the first try."""
        name = repair_name(wanted.table, Side(wanted.side), wanted.token)
        failure: EngineError | None = None
        found: Record | None = None
        for attempt in range(TRIES_MAX):
            try:
                if look:
                    found = await self._records.read(kind, name)
                held = None if found is None else load(Repair, found.value)
                value = wanted if held is None else over(held)
                if value is held:
                    return
                expected = 0 if found is None else found.version
                await self._records.write(kind, name, dump(value), expected=expected)
            except StateConflict:
                look = True
            except EngineError as error:
                failure = error
                await self._clock.sleep(BACK_OFF_SECONDS * 2**attempt)
            else:
                return
        raise failure or Unreachable(f"{wanted.table}: a repair entry kept changing under us")

    async def _forget(self, kind: str, name: str, version: int) -> None:
        try:
            await self._records.delete(kind, name, expected=version)
        except StateConflict:
            return


def _waiting(record: Record) -> WaitingRepair:
    return WaitingRepair(record.name, record.version, load(Repair, record.value))
