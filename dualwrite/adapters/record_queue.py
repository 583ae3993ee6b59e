"""The work queue in the control table: for a few machines without a broker.

A parcel is one record, removed when its work is acknowledged. Whoever works on it owns it by
compare-and-set and renews that; one that stands still on the observer's own clock is free again.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import groupby

from dualwrite.adapters.shared_listing import SharedListing
from dualwrite.core.errors import EngineError, StateConflict
from dualwrite.core.ports import Clock, Job, Lane, Parcel, Record, Records, Ticket
from dualwrite.core.records import WORK, QueuedWork, dump, load

RENEW_SECONDS = 1.0
SILENCE_SECONDS = 6.0
"""A claim that stood still this long on the observer's own clock is over."""
WRITES_MAX = 16
"""Records written at once."""
DEAD_MAX = 1_000
"""Dead letters kept; beyond, the newest are only counted."""


class TooMany(EngineError):
    """The lane of dead letters is full."""


class RecordQueue:
    """A ``WorkQueue`` over ``Records``."""

    def __init__(self, records: Records, clock: Clock, process_id: str) -> None:
        self._records = records
        self._clock = clock
        self._me = process_id
        self._put = 0
        self._held: dict[str, Record] = {}
        """Records this process owns, as it last wrote them."""
        self._renewed_at = clock.monotonic_seconds()
        self._seen: dict[str, tuple[int, float]] = {}
        """By name: the version last seen, and since when."""
        self._writing = asyncio.Semaphore(WRITES_MAX)
        self._lanes = {lane: SharedListing(records, clock, WORK, f"{lane.value}/") for lane in Lane}

    async def put(self, lane: Lane, parcels: Sequence[Parcel]) -> tuple[Ticket, ...]:
        works = [QueuedWork(parcel.key, parcel.body) for parcel in parcels]
        return tuple(await asyncio.gather(*(self._store(lane, work) for work in works)))

    async def _store(self, lane: Lane, work: QueuedWork) -> Ticket:
        digest = sha256(work.key.encode()).hexdigest()[:24]
        self._put += 1
        number = self._clock.wall_ms() * 1_000_000 + self._put % 1_000_000
        name = f"{lane.value}/{digest}/{number:022d}-{self._me}"
        async with self._writing:
            await self._records.write(WORK, name, dump(work), expected=0)
        return Ticket(name, number)

    async def take(self, lane: Lane, most: int) -> tuple[Job, ...]:
        await self._renew()
        if most <= 0:
            return ()
        found = await self._lanes[lane].look()
        self._observe(lane, found)
        # Only the oldest parcel of a key may be worked on: one worker a key, in order.
        oldest = [next(group) for _, group in groupby(found, _key_of)]
        free = [record for record in oldest if self._is_free(record)]
        # Others begin elsewhere in the lane, so that few reach for the same record.
        start = int(sha256(self._me.encode()).hexdigest(), 16) % max(1, len(free))
        wanted = (free[start:] + free[:start])[:most]
        claimed = await asyncio.gather(*(self._claim(lane, record) for record in wanted))
        return tuple(job for job in claimed if job is not None)

    async def ack(self, jobs: Sequence[Job]) -> None:
        await asyncio.gather(*(self._forget(job.ticket.place) for job in jobs))

    async def bury(self, parcel: Parcel, reason: str) -> None:
        dead = await self._records.list(WORK, f"{Lane.DEAD.value}/")
        if len(dead) >= DEAD_MAX:
            raise TooMany(f"{DEAD_MAX} dead letters wait already")
        await self._store(Lane.DEAD, QueuedWork(parcel.key, parcel.body, reason=reason))

    async def settled(self, lane: Lane, tickets: Collection[Ticket]) -> frozenset[Ticket]:
        left = {record.name for record in await self._lanes[lane].look()}
        return frozenset(ticket for ticket in tickets if ticket.place not in left)

    async def step_back(self, lane: Lane) -> None:
        await self._release([name for name in self._held if name.startswith(f"{lane.value}/")])

    async def close(self) -> None:
        await self._release(list(self._held))

    async def _release(self, names: Sequence[str]) -> None:
        """So that nobody need wait for it."""
        for record in [self._held.pop(name) for name in names]:
            try:
                released = replace(load(QueuedWork, record.value), owner="")
                await self._records.write(
                    WORK, record.name, dump(released), expected=record.version
                )
            except (EngineError, StateConflict):
                continue  # it is free after a while

    # -- claims -------------------------------------------------------------------------------

    def _is_free(self, record: Record) -> bool:
        if record.name in self._held:
            return False
        if not load(QueuedWork, record.value).owner:
            return True
        _, since = self._seen[record.name]
        return self._clock.monotonic_seconds() - since > SILENCE_SECONDS

    def _observe(self, lane: Lane, found: Sequence[Record]) -> None:
        now = self._clock.monotonic_seconds()
        others = {n: seen for n, seen in self._seen.items() if not n.startswith(f"{lane.value}/")}
        for record in found:
            version, since = self._seen.get(record.name, (0, now))
            since = since if version == record.version else now
            others[record.name] = (record.version, since)
        self._seen = others

    async def _claim(self, lane: Lane, record: Record) -> Job | None:
        work = load(QueuedWork, record.value)
        mine = replace(work, owner=self._me, counter=work.counter + 1)
        try:
            async with self._writing:
                held = await self._records.write(
                    WORK, record.name, dump(mine), expected=record.version
                )
        except (StateConflict, EngineError):
            return None  # another was faster; or it is free again after a while
        self._held[record.name] = held
        ticket = Ticket(record.name, int(record.name.rsplit("/", 1)[1].split("-")[0]))
        return Job(lane, Parcel(work.key, work.body), ticket, held.version)

    async def _renew(self) -> None:
        now = self._clock.monotonic_seconds()
        if now - self._renewed_at < RENEW_SECONDS:
            return
        self._renewed_at = now
        await asyncio.gather(*(self._renew_one(name) for name in tuple(self._held)))

    async def _renew_one(self, name: str) -> None:
        held = self._held.get(name)
        if held is None:
            return
        work = load(QueuedWork, held.value)
        wanted = replace(work, counter=work.counter + 1)
        try:
            async with self._writing:
                renewed = await self._records.write(WORK, name, dump(wanted), expected=held.version)
        except StateConflict:
            self._held.pop(name, None)  # it is done, or another's by now
        except EngineError:
            return
        else:
            if name in self._held:
                self._held[name] = renewed

    async def _forget(self, name: str) -> None:
        """Remove a record this process owns; one that another has taken over stays his."""
        for _ in range(3):
            held = self._held.get(name)
            if held is None:
                return
            try:
                async with self._writing:
                    await self._records.delete(WORK, name, expected=held.version)
            except StateConflict:
                if self._held.get(name) is held:
                    self._held.pop(name, None)
                    return
                continue  # a renewal came between
            self._held.pop(name, None)
            return


def _key_of(record: Record) -> str:
    return record.name.rsplit("/", 1)[0]
