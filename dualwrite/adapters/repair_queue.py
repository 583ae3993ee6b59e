"""The repair queue: one durable record for each key that may differ between the two sides."""

from dataclasses import replace
from hashlib import sha256

from dualwrite.core.errors import EngineError, StateConflict, Unreachable
from dualwrite.core.phases import Side
from dualwrite.core.ports import Clock, Record, Records, RepairQueue, WaitingRepair
from dualwrite.core.records import REPAIR, Repair, dump, load

DIGEST_LENGTH = 32
TRIES_MAX = 4
BACK_OFF_SECONDS = 0.05
"""Doubled with each further try; a caller waits at most about 0.4 s before it hears of failure."""


def repair_name(table: str, side: Side, token: str) -> str:
    """The record's name: one for each key, whatever the key's length."""
    return f"{table}/{sha256((side + token).encode()).hexdigest()[:DIGEST_LENGTH]}"


class Repairs(RepairQueue):
    """Keys that wait for repair. What ``put`` has returned from is durable.

    An entry is fenced by its record's version: a key that is put again while a worker handles
    it gets a new version, so the worker's ``done`` does not forget the newer trouble.
    """

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def put(self, table: str, side: Side, token: str, reason: str) -> None:
        """Remember a key that may differ; due at once. Raises EngineError where that failed.

        A poison entry becomes due again: its key was written since it was judged.
        """
        await self._store(table, side, token, reason, poison=False)

    async def poison(self, table: str, side: Side, token: str, reason: str) -> None:
        """List a key that cannot be made equal; nothing is written where it says so already."""
        await self._store(table, side, token, reason, poison=True)

    async def absolve(self, table: str, side: Side, token: str) -> None:
        """Forget a key's poison entry, for it has become clean; a waiting repair stays."""
        name = repair_name(table, side, token)
        found = await self._records.read(REPAIR, name)
        if found is None or not load(Repair, found.value).poison:
            return
        await self._forget(name, found.version)

    async def waiting(self, table: str | None = None) -> tuple[WaitingRepair, ...]:
        """All entries of a table, or of all tables, poison ones too."""
        found = await self._records.list(REPAIR, "" if table is None else f"{table}/")
        return tuple(_waiting(record) for record in found)

    async def list(self, table: str | None = None) -> tuple[Repair, ...]:
        """The entries as people read them."""
        return tuple(entry.repair for entry in await self.waiting(table))

    async def due(self, table: str | None = None) -> tuple[WaitingRepair, ...]:
        """Entries to be tried now, the longest due first; poison is never among them."""
        now = self._clock.wall_ms()
        entries = [
            entry
            for entry in await self.waiting(table)
            if not entry.repair.poison and entry.repair.next_ms <= now
        ]
        return tuple(sorted(entries, key=lambda entry: entry.repair.next_ms))

    async def done(self, entry: WaitingRepair) -> None:
        """Forget an entry, unless its key was put again since it was read."""
        await self._forget(entry.name, entry.version)

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
        self, table: str, side: Side, token: str, reason: str, *, poison: bool
    ) -> None:
        name = repair_name(table, side, token)
        failure: EngineError | None = None
        found: Record | None = None
        for attempt in range(TRIES_MAX):
            now = self._clock.wall_ms()
            wanted = Repair(table, token, side.value, reason, 0, now, now, poison)
            try:
                if found is not None:
                    before = load(Repair, found.value)
                    if poison and before.poison and before.reason == reason:
                        return
                    wanted = replace(wanted, first_ms=before.first_ms)
                    if not poison:
                        wanted = replace(wanted, attempts=before.attempts)
                expected = 0 if found is None else found.version
                await self._records.write(REPAIR, name, dump(wanted), expected=expected)
            except StateConflict:
                found = await self._records.read(REPAIR, name)
            except EngineError as error:
                failure = error
                await self._clock.sleep(BACK_OFF_SECONDS * 2**attempt)
            else:
                return
        raise failure or Unreachable(f"{table}: a repair entry kept changing under our hands")

    async def _forget(self, name: str, version: int) -> None:
        try:
            await self._records.delete(REPAIR, name, expected=version)
        except StateConflict:
            return


def _waiting(record: Record) -> WaitingRepair:
    return WaitingRepair(record.name, record.version, load(Repair, record.value))
