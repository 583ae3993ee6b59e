"""The work queue in the control table: for a few machines without a broker.

A parcel is one record, removed when its work is acknowledged. Whoever works on it owns it by
compare-and-set and renews that; one that stands still on the observer's own clock is free again.
Work that waits there already is not stored twice, so the lane is no longer than there are keys.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import groupby

import structlog

from dualwrite.adapters.shared_listing import SharedListing
from dualwrite.core.errors import EngineError, StateConflict
from dualwrite.core.ports import Clock, Job, Lane, Parcel, Record, Records, Ticket
from dualwrite.core.records import WORK, QueuedWork, dump, load
from dualwrite.gathering import gathered

SILENCE_SECONDS = 6.0
"""A claim that stood still this long on the observer's own clock is over."""
RENEW_SECONDS = SILENCE_SECONDS / 3
"""Most work is done sooner, and is never renewed."""
WRITES_MAX = 16
"""Records written at once."""
DEAD_MAX = 1_000
"""About so many dead letters are kept; what comes later is only logged and counted."""
FULL_SECONDS = 60.0
"""Until a lane of dead letters that was full is looked at again: somebody may have emptied it."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Claim:
    """A record this process owns, as it last wrote it."""

    record: Record
    sent_at: float
    """When that write was sent."""
    done: bool = False
    """Acknowledged; only the removal of the record may be outstanding."""
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One write of a record at a time, lest a renewal and an acknowledgement fail each other."""


class RecordQueue:
    """A ``WorkQueue`` over ``Records``."""

    def __init__(self, records: Records, clock: Clock, process_id: str) -> None:
        self._records = records
        self._clock = clock
        self._me = process_id
        self._put = 0
        self._held: dict[str, _Claim] = {}
        self._renewing = asyncio.Lock()
        self._seen: dict[str, tuple[int, float]] = {}
        """By name: the version last seen, and since when."""
        self._writing = asyncio.Semaphore(WRITES_MAX)
        self._lanes = {lane: SharedListing(records, clock, WORK, f"{lane.value}/") for lane in Lane}
        self._full_until = float("-inf")

    async def put(self, lane: Lane, parcels: Sequence[Parcel]) -> tuple[Ticket, ...]:
        if not parcels:
            return ()
        newest = {_key_of(record): record for record in await self._lanes[lane].look()}
        return tuple(await gathered(self._once(lane, parcel, newest) for parcel in parcels))

    async def _once(self, lane: Lane, parcel: Parcel, newest: Mapping[str, Record]) -> Ticket:
        """Store a parcel unless its key's newest one is the same and nobody's yet: whoever claims
        that begins its work after this was asked for."""
        wanted = QueuedWork(parcel.key, parcel.body)
        waiting = newest.get(_line(lane, parcel.key))
        if waiting is not None:
            found = load(QueuedWork, waiting.value)
            if not found.owner and (found.key, found.body) == (wanted.key, wanted.body):
                return _ticket(waiting)
        return await self._store(lane, wanted)

    async def _store(self, lane: Lane, work: QueuedWork) -> Ticket:
        self._put += 1
        number = self._clock.wall_ms() * 1_000_000 + self._put % 1_000_000
        name = f"{_line(lane, work.key)}/{number:022d}-{self._me}"
        async with self._writing:
            return _ticket(await self._records.write(WORK, name, dump(work), expected=0))

    async def take(self, lane: Lane, most: int) -> tuple[Job, ...]:
        await self._renew()
        if most <= 0 or self._due():
            # A claim that is not renewed in time becomes another's: none is added to those.
            return ()
        found = await self._lanes[lane].look()
        self._observe(lane, found)
        # Only the oldest parcel of a key may be worked on: one worker a key, in order.
        oldest = [next(group) for _, group in groupby(found, _key_of)]
        free = [record for record in oldest if self._is_free(record)]
        # Others begin elsewhere in the lane, so that few reach for the same record.
        start = int(sha256(self._me.encode()).hexdigest(), 16) % max(1, len(free))
        wanted = (free[start:] + free[:start])[:most]
        begun = self._clock.monotonic_seconds()
        jobs: list[Job] = []
        while wanted and self._clock.monotonic_seconds() - begun < RENEW_SECONDS:
            some, wanted = wanted[:WRITES_MAX], wanted[WRITES_MAX:]
            claimed = await asyncio.gather(*(self._claim(lane, record) for record in some))
            jobs += [job for job in claimed if job is not None]
        return tuple(jobs)

    async def ack(self, jobs: Sequence[Job]) -> None:
        claims = [self._held[job.ticket.place] for job in jobs if job.ticket.place in self._held]
        for claim in claims:
            claim.done = True
        await gathered(self._tend(claim) for claim in claims)

    async def bury(self, parcel: Parcel, reason: str) -> None:
        if self._clock.monotonic_seconds() < self._full_until:
            return
        if len(await self._lanes[Lane.DEAD].look()) >= DEAD_MAX:
            log.warning("no more dead letters are kept", kept=DEAD_MAX)
            self._full_until = self._clock.monotonic_seconds() + FULL_SECONDS
            return
        await self._store(Lane.DEAD, QueuedWork(parcel.key, parcel.body, reason=reason))

    async def settled(self, lane: Lane, tickets: Collection[Ticket]) -> frozenset[Ticket]:
        return frozenset(tickets) - await self.standing(lane, tickets)

    async def standing(self, lane: Lane, tickets: Collection[Ticket]) -> frozenset[Ticket]:
        left = {record.name for record in await self._lanes[lane].look()}
        return frozenset(ticket for ticket in tickets if ticket.place in left)

    async def step_back(self, lane: Lane) -> None:
        await self._release([name for name in self._held if name.startswith(f"{lane.value}/")])

    async def close(self) -> None:
        await self._release(list(self._held))

    async def _release(self, names: Sequence[str]) -> None:
        """So that nobody need wait for it."""
        await gathered(self._give_back(self._held.pop(name)) for name in names)

    async def _give_back(self, claim: _Claim) -> None:
        async with claim.writing, self._writing:
            released = replace(load(QueuedWork, claim.record.value), owner="")
            with suppress(EngineError, StateConflict):  # it is free after a while
                await self._records.write(
                    WORK, claim.record.name, dump(released), expected=claim.record.version
                )

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
                sent_at = self._clock.monotonic_seconds()
                held = await self._records.write(
                    WORK, record.name, dump(mine), expected=record.version
                )
        except (StateConflict, EngineError):
            return None  # another was faster; or it is free again after a while
        self._held[record.name] = _Claim(held, sent_at)
        return Job(lane, Parcel(work.key, work.body), _ticket(record), held.version)

    def _due(self) -> list[_Claim]:
        """Claims that should be renewed, or whose record should be gone by now."""
        now = self._clock.monotonic_seconds()
        return [one for one in self._held.values() if now - one.sent_at >= RENEW_SECONDS]

    async def _renew(self) -> None:
        async with self._renewing:
            with suppress(EngineError):  # what failed stays due
                await gathered(self._tend(claim) for claim in self._due())

    async def _tend(self, claim: _Claim) -> None:
        """Renew a claim, or remove its record if its work is done. Raises EngineError; then it
        stays due. A record that another has taken over stays his."""
        name = claim.record.name
        async with claim.writing, self._writing:
            if self._held.get(name) is not claim:
                return
            try:
                if claim.done:
                    await self._records.delete(WORK, name, expected=claim.record.version)
                    self._held.pop(name, None)
                    return
                sent_at = self._clock.monotonic_seconds()
                work = load(QueuedWork, claim.record.value)
                claim.record = await self._records.write(
                    WORK, name, dump(replace(work, counter=work.counter + 1)),
                    expected=claim.record.version,
                )  # fmt: skip
                claim.sent_at = sent_at
            except StateConflict:
                self._held.pop(name, None)


def _line(lane: Lane, key: str) -> str:
    """Where the parcels of a key stand, oldest first."""
    return f"{lane.value}/{sha256(key.encode()).hexdigest()[:24]}"


def _key_of(record: Record) -> str:
    return record.name.rsplit("/", 1)[0]


def _ticket(record: Record) -> Ticket:
    return Ticket(record.name, int(record.name.rsplit("/", 1)[1].split("-")[0]))
