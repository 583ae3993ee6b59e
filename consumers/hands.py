"""Who reconciles the dirty keys: this process, or whichever the shared queue gives them to."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog

from consumers.pace import Pace
from consumers.reconcile import Reconciler, Result, Work
from dualwrite.core.dirty_keys import DirtyKey
from dualwrite.core.errors import EngineError
from dualwrite.core.phases import Side
from dualwrite.core.ports import Clock, Lane, Parcel, RepairQueue, Ticket, WorkQueue
from dualwrite.core.spec import MigratedTable

log = structlog.get_logger()


class Hands(Protocol):
    """Whatever brings dirty keys to rest."""

    async def settle(self, table: MigratedTable, works: Sequence[Work]) -> None:
        """Return once each key is clean, listed, or in the repair queue. Raises LeaseExpired,
        EngineError; then all of it is to be done again."""
        ...


class OwnHands:
    """Reconciles here and now."""

    def __init__(self, reconciler: Reconciler, repairs: RepairQueue) -> None:
        self._reconciler = reconciler
        self._repairs = repairs

    async def settle(self, table: MigratedTable, works: Sequence[Work]) -> None:
        results = await self._reconciler.reconcile_many(table, works)
        for work, result in zip(works, results, strict=True):
            if result is Result.FAILED:
                dirty = work.dirty
                await self._repairs.put(table.name, dirty.side, dirty.token, "reconcile failed")


class SharedHands:
    """Puts keys on the queue and waits until the workers have acknowledged them, so that no
    checkpoint passes a record whose key only the queue knows of. A queue that does not answer is
    asked again, and only what it lost is put in again: what comes twice delays all the rest."""

    def __init__(self, queue: WorkQueue, clock: Clock, pace: Pace) -> None:
        self._queue = queue
        self._clock = clock
        self._pace = pace

    async def settle(self, table: MigratedTable, works: Sequence[Work]) -> None:
        parcels = [parcel_of(table.name, work) for work in works]
        tickets = await self._queue.put(Lane.DIRTY, parcels)
        waiting = dict(zip(tickets, parcels, strict=True))
        moved_at = self._clock.monotonic_seconds()
        while waiting:
            await self._clock.sleep(self._pace.settle_seconds)
            try:
                now = self._clock.monotonic_seconds()
                done = await self._queue.settled(Lane.DIRTY, waiting)
                if not done and now - moved_at > self._pace.unsettled_seconds_max:
                    waiting = await self._without_loss(table, waiting)
                    moved_at = now
            except EngineError as error:
                log.warning("settled keys are not told", table=table.name, error=str(error))
                await self._clock.sleep(self._pace.control_seconds)
                continue
            if done:
                waiting = {one: parcel for one, parcel in waiting.items() if one not in done}
                moved_at = now

    async def _without_loss(
        self, table: MigratedTable, waiting: Mapping[Ticket, Parcel]
    ) -> dict[Ticket, Parcel]:
        """The same keys, each on the queue. Raises EngineError."""
        standing = await self._queue.standing(Lane.DIRTY, waiting)
        lost = [parcel for ticket, parcel in waiting.items() if ticket not in standing]
        log.warning("keys wait on the queue", table=table.name, n=len(waiting), lost=len(lost))
        tickets = await self._queue.put(Lane.DIRTY, lost)
        return {ticket: waiting[ticket] for ticket in standing} | dict(
            zip(tickets, lost, strict=True)
        )


def parcel_of(table: str, work: Work) -> Parcel:
    """A dirty key as a message: one key of a table is one key of the queue."""
    dirty = work.dirty
    body: dict[str, Any] = {"table": table, "side": dirty.side.value, "token": dirty.token}
    if work.follower_stamp is not None:
        body["follower_stamp"] = work.follower_stamp
    return Parcel(f"{table}/{dirty.side.value}/{dirty.token}", body)


def work_of(parcel: Parcel) -> tuple[str, Work]:
    """The inverse: a table's name and the work. Raises ValueError for what is no such message."""
    body = parcel.body
    try:
        table, token, side = body["table"], body["token"], Side(body["side"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("no dirty key") from error
    stamp = body.get("follower_stamp")
    if not isinstance(table, str) or not isinstance(token, str):
        raise ValueError("no dirty key")
    return table, Work(DirtyKey(side, token), stamp if isinstance(stamp, str) else None)
