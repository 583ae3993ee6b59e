"""Dirty keys over the shared queue: nothing is settled that no worker acknowledged."""

import asyncio
from dataclasses import replace
from random import Random
from typing import cast

import pytest

from consumers.effort import Effort
from consumers.hands import OwnHands, SharedHands, parcel_of, work_of
from consumers.pace import Pace
from consumers.reconcile import Work
from consumers.worker import REST_SECONDS_MAX, Worker
from dualwrite.core.dirty_keys import DirtyKey
from dualwrite.core.errors import LeaseExpired
from dualwrite.core.phases import Side
from dualwrite.core.ports import Lane, Parcel
from dualwrite.core.spec import MigratedTable
from tests.consumer_harness import a_migration
from tests.fakes.clock import VirtualClock
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.work_queue import MemoryLanes, MemoryQueue

MIGRATION = a_migration("")
NOTES = MIGRATION.by_name["notes"]
PACE = Pace()


def work(number: int) -> Work:
    return Work(DirtyKey(Side.OLD, f'[["S","acme-prod"],["S","n{number}"]]'), "stamp")


class Told:
    """Hands that write down what they are told to do; the first ``fails`` times they cannot."""

    def __init__(self, fails: int = 0, error: Exception | None = None) -> None:
        self.fails = fails
        self.error = error or LeaseExpired("no lease")
        self.works: list[Work] = []

    async def settle(self, table: MigratedTable, works: list[Work]) -> None:
        assert table is NOTES
        if self.fails:
            self.fails -= 1
            raise self.error
        self.works += works


def a_worker(lanes: MemoryLanes, hands: Told, clock: VirtualClock, pace: Pace = PACE) -> Worker:
    return Worker(
        MemoryQueue(lanes, "worker"),
        MIGRATION,
        cast(OwnHands, hands),
        clock,
        MemoryMetrics(),
        Effort(clock, Random(1), pace),
        pace,
    )


def test_a_key_survives_its_journey() -> None:
    """A message is the key, its table and what made it dirty, and nothing else."""
    parcel = parcel_of("notes", work(1))
    assert work_of(parcel) == ("notes", work(1))
    assert set(parcel.body) == {"table", "side", "token", "follower_stamp"}


ERRORS = [LeaseExpired("no lease"), KeyError("a mistake of ours")]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_keys_are_settled_once_a_worker_has_done_them(error: Exception) -> None:
    """Also where the worker has to try again, as its lease had run out or it met a mistake."""

    async def go() -> None:
        clock, lanes, hands = VirtualClock(), MemoryLanes(), Told(2, error)
        shared = SharedHands(MemoryQueue(lanes), clock, PACE)
        working = asyncio.create_task(a_worker(lanes, hands, clock).run())
        await clock.drive(shared.settle(NOTES, [work(1), work(2)]))
        working.cancel()
        assert hands.works == [work(1), work(2)]

    asyncio.run(go())


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_worker_that_cannot_work_leaves_it_to_others(error: Exception) -> None:
    """One that has lost its engine, but not its queue, holds up nobody for long."""

    async def go() -> None:
        clock, lanes = VirtualClock(), MemoryLanes()
        shared = SharedHands(MemoryQueue(lanes), clock, PACE)
        broken = asyncio.create_task(a_worker(lanes, Told(10**9, error), clock).run())
        settling = asyncio.create_task(shared.settle(NOTES, [work(1)]))
        await clock.advance(PACE.step_back_seconds / 2)
        hands = Told()
        working = asyncio.create_task(a_worker(lanes, hands, clock).run())
        await clock.drive(_of(settling), seconds_max=PACE.step_back_seconds * 4)
        broken.cancel()
        working.cancel()
        assert hands.works == [work(1)]

    asyncio.run(go())


def test_a_worker_that_was_cut_off_for_days_works_again() -> None:
    """It rests ever longer, up to a bound, and no number of rests is too high."""

    async def go() -> None:
        clock, lanes, hands = VirtualClock(), MemoryLanes(), Told(fails=10**9)
        pace = replace(PACE, step_back_seconds=1.0, apply_seconds=REST_SECONDS_MAX)
        await MemoryQueue(lanes).put(Lane.DIRTY, [parcel_of("notes", work(1))])
        working = asyncio.create_task(a_worker(lanes, hands, clock, pace).run())
        await clock.advance(1_100 * 2 * REST_SECONDS_MAX)
        hands.fails = 0
        await clock.until(lambda: bool(hands.works))
        working.cancel()
        assert hands.works == [work(1)]

    asyncio.run(go())


def test_what_the_queue_lost_is_put_in_again() -> None:
    """Nobody has to sweep for it: the key is done though every topic was lost."""

    async def go() -> None:
        clock, lanes, hands = VirtualClock(), MemoryLanes(), Told()
        shared = SharedHands(MemoryQueue(lanes), clock, PACE)
        settling = asyncio.create_task(shared.settle(NOTES, [work(1)]))
        await clock.advance(1.0)
        lanes.wipe()
        working = asyncio.create_task(a_worker(lanes, hands, clock).run())
        await clock.drive(_of(settling), seconds_max=PACE.unsettled_seconds_max * 2)
        working.cancel()
        assert hands.works == [work(1)]

    asyncio.run(go())


def test_what_waits_on_the_queue_is_not_put_in_again() -> None:
    """However long nobody works, and though the queue is away for a while: a line that grows with
    its own slowness never ends."""

    async def go() -> None:
        clock, lanes, hands = VirtualClock(), MemoryLanes(), Told()
        shared = SharedHands(MemoryQueue(lanes), clock, PACE)
        settling = asyncio.create_task(shared.settle(NOTES, [work(1), work(2)]))
        await clock.advance(PACE.unsettled_seconds_max * 3)
        lanes.away = True
        await clock.advance(PACE.unsettled_seconds_max * 3)
        lanes.away = False
        await clock.advance(PACE.unsettled_seconds_max * 3)
        assert not settling.done()
        assert len(lanes.waiting[Lane.DIRTY]) == 2
        working = asyncio.create_task(a_worker(lanes, hands, clock).run())
        await clock.drive(_of(settling))
        working.cancel()
        assert hands.works == [work(1), work(2)]

    asyncio.run(go())


async def _of(task: "asyncio.Task[None]") -> None:
    await task


@pytest.mark.parametrize(
    "body", [{}, {"table": "gone", "side": "old", "token": "[]"},
             {"table": "notes", "side": "up", "token": "[]"},
             {"table": "notes", "side": "old", "token": "no json"}],
)  # fmt: skip
def test_what_nobody_understands_is_buried_and_blocks_nobody(body: dict[str, str]) -> None:
    """It lies with the dead letters with a reason; the key behind it is worked on."""

    async def go() -> None:
        clock, lanes, hands = VirtualClock(), MemoryLanes(), Told()
        queue = MemoryQueue(lanes)
        tickets = await queue.put(Lane.DIRTY, [Parcel("bad", body), parcel_of("notes", work(1))])
        working = asyncio.create_task(a_worker(lanes, hands, clock).run())
        await clock.until(lambda: set(tickets) <= lanes.done)
        working.cancel()
        assert hands.works == [work(1)]
        assert lanes.dead == [(Parcel("bad", body), "no dirty key of this migration")]

    asyncio.run(go())
