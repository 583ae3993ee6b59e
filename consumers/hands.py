"""Who reconciles the dirty keys: this process, or whichever the shared queue gives them to."""

from collections.abc import Sequence
from typing import Any, Protocol

from consumers.keys import DirtyKey
from consumers.pace import Pace
from consumers.reconcile import Reconciler, Result, Work
from dualwrite.core.errors import EngineError
from dualwrite.core.phases import Side
from dualwrite.core.ports import Clock, Lane, Parcel, RepairQueue, WorkQueue
from dualwrite.core.spec import MigratedTable


class NotDone(EngineError):
    """Work that was put on the queue is not done in time; it is put there again."""


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
    checkpoint passes a record whose key only the queue knows of."""

    def __init__(self, queue: WorkQueue, clock: Clock, pace: Pace) -> None:
        self._queue = queue
        self._clock = clock
        self._pace = pace

    async def settle(self, table: MigratedTable, works: Sequence[Work]) -> None:
        parcels = [parcel_of(table.name, work) for work in works]
        waiting = set(await self._queue.put(Lane.DIRTY, parcels))
        moved_at = self._clock.monotonic_seconds()
        while waiting:
            await self._clock.sleep(self._pace.settle_seconds)
            now = self._clock.monotonic_seconds()
            done = await self._queue.settled(Lane.DIRTY, waiting)
            if done:
                waiting -= done
                moved_at = now
            elif now - moved_at > self._pace.unsettled_seconds_max:
                raise NotDone(f"{len(waiting)} dirty keys of {table.name}")


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
