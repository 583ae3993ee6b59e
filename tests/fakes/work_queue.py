"""The ``WorkQueue`` port in memory; it passes the contract suite of the real ones."""

import asyncio
from collections.abc import Collection, Sequence
from itertools import count

from dualwrite.core.errors import Unreachable
from dualwrite.core.ports import Job, Lane, Parcel, Ticket


class MemoryLanes:
    """What all members of a memory queue share; ``away`` makes every call fail, ``wipe`` loses
    all that it held."""

    def __init__(self) -> None:
        self.away = False
        self.waiting: dict[Lane, dict[Ticket, Parcel]] = {lane: {} for lane in Lane}
        self.claims: dict[Ticket, tuple[int, str]] = {}
        self.numbers = count(1)
        self.done: set[Ticket] = set()
        self.dead: list[tuple[Parcel, str]] = []

    def wipe(self) -> None:
        self.waiting = {lane: {} for lane in Lane}
        self.claims.clear()


class MemoryQueue:
    """One member; ``close`` gives back what it took."""

    def __init__(self, lanes: MemoryLanes, name: str = "me") -> None:
        self._lanes = lanes
        self._name = name

    async def put(self, lane: Lane, parcels: Sequence[Parcel]) -> tuple[Ticket, ...]:
        await self._reached()
        tickets = tuple(Ticket(lane.value, next(self._lanes.numbers)) for _ in parcels)
        self._lanes.waiting[lane].update(zip(tickets, parcels, strict=True))
        return tickets

    async def take(self, lane: Lane, most: int) -> tuple[Job, ...]:
        await self._reached()
        jobs: list[Job] = []
        busy: set[str] = set()
        for ticket, parcel in self._lanes.waiting[lane].items():
            if len(jobs) >= most:
                break
            if parcel.key not in busy and ticket not in self._lanes.claims:
                claim = next(self._lanes.numbers)
                self._lanes.claims[ticket] = (claim, self._name)
                jobs.append(Job(lane, parcel, ticket, claim))
            busy.add(parcel.key)
        return tuple(jobs)

    async def ack(self, jobs: Sequence[Job]) -> None:
        await self._reached()
        for job in jobs:
            if self._lanes.claims.get(job.ticket) == (job.claim, self._name):
                del self._lanes.claims[job.ticket]
                del self._lanes.waiting[job.lane][job.ticket]
                self._lanes.done.add(job.ticket)

    async def bury(self, parcel: Parcel, reason: str) -> None:
        await self._reached()
        self._lanes.dead.append((parcel, reason))
        await self.put(Lane.DEAD, [parcel])

    async def settled(self, lane: Lane, tickets: Collection[Ticket]) -> frozenset[Ticket]:
        await self._reached()
        return frozenset(tickets) & self._lanes.done

    async def standing(self, lane: Lane, tickets: Collection[Ticket]) -> frozenset[Ticket]:
        await self._reached()
        return frozenset(tickets) & self._lanes.waiting[lane].keys()

    async def step_back(self, lane: Lane) -> None:
        await self.close()

    async def close(self) -> None:
        claims = self._lanes.claims
        for ticket in [t for t, (_, owner) in claims.items() if owner == self._name]:
            del claims[ticket]

    async def _reached(self) -> None:
        await asyncio.sleep(0)
        if self._lanes.away:
            raise Unreachable("the queue is away")
