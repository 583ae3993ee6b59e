"""Reconcile: the one primitive that makes the two copies of a key equal.

Observe the follower, then read the leader, apply T, compare, and write the follower under "its
stamp is the one observed". In that order: a follower that did not change since before the leader
was read cannot have been overtaken. It may be run at any time, by anybody, as often as one likes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog

from consumers import requests
from consumers.effort import Effort
from consumers.poison import Poison
from consumers.quarantine import Quarantine
from consumers.writes import GuardedWrites
from dualwrite.core import guards, metric_names
from dualwrite.core.compare import (
    Comparison,
    Verdict,
    compare,
    compare_in_place,
)
from dualwrite.core.derivation import Problem, Reason
from dualwrite.core.dirty_keys import DirtyKey, places
from dualwrite.core.errors import RETRYABLE, EngineError, Refused
from dualwrite.core.items import Item, Key, key_from_token, key_token, stamp_of
from dualwrite.core.phases import Kind, Side, TableState, is_followed
from dualwrite.core.ports import Dynamo, Epochs, Metrics, Parents, Records
from dualwrite.core.spec import MigratedTable
from dualwrite.core.stamps import FLOOR, Stamp
from dualwrite.lookups import answered

TRIES_MAX = 5

log = structlog.get_logger()


class Result(StrEnum):
    """What became of one key."""

    CLEAN = "clean"
    CURED = "cured"
    LEFT = "left"
    """It cannot be made equal, or not wholly; it is listed with its reason."""
    IDLE = "idle"
    """The table's phase asks for nothing."""
    FAILED = "failed"
    """It kept changing, or the engine kept refusing; it may differ."""


@dataclass(frozen=True, slots=True)
class Work:
    """A dirty key, and what is known of how it became dirty."""

    dirty: DirtyKey
    follower_stamp: str | None = None
    """The stamp of the follower's record that made it dirty, where one did."""


class Reconciler:
    """Runs ``reconcile`` for single keys and for many; holds nothing between two calls."""

    def __init__(
        self,
        dynamo: Dynamo,
        records: Records,
        epochs: Epochs,
        parents: Parents,
        poison: Poison,
        metrics: Metrics,
        effort: Effort,
    ) -> None:
        self._dynamo = dynamo
        self._epochs = epochs
        self._writes = GuardedWrites(dynamo, epochs, effort)
        self._parents = parents
        self._poison = poison
        self._quarantine = Quarantine(records, metrics)
        self._metrics = metrics
        self._effort = effort

    async def reconcile(self, table: MigratedTable, work: Work) -> Result:
        """Make a key's two copies equal. Raises LeaseExpired; never EngineError."""
        result = await self._tried(table, work)
        self._metrics.add(metric_names.RECONCILES, table.name, result.value)
        return result

    async def reconcile_many(self, table: MigratedTable, works: Sequence[Work]) -> list[Result]:
        """The same for up to 100 keys, read in bulk. Raises LeaseExpired; never EngineError."""
        settled = await self._bulk_look(table, works)

        async def one(work: Work) -> Result:
            result = settled.get(work.dirty)
            return await self.reconcile(table, work) if result is None else result

        return await self._effort.together(one, works)

    async def _bulk_look(
        self, table: MigratedTable, works: Sequence[Work]
    ) -> Mapping[DirtyKey, Result]:
        """What bulk reads alone can settle: the keys that are clean."""
        if len(works) < 2 or table.kind is Kind.IN_PLACE:
            return {}
        state = self._epochs.enter(table.name)
        try:
            if not is_followed(table.kind, state.phase):
                return {work.dirty: Result.IDLE for work in works}
            found = await self._clean_ones(table, state.phase.leader, works)
            self._metrics.add(
                metric_names.RECONCILES, table.name, Result.CLEAN.value, amount=len(found)
            )
            return dict.fromkeys(found, Result.CLEAN)
        except EngineError as error:
            log.warning("bulk read failed", table=table.name, error=type(error).__name__)
            return {}
        finally:
            self._epochs.leave(state)

    async def _clean_ones(
        self, table: MigratedTable, leader: Side, works: Sequence[Work]
    ) -> list[DirtyKey]:
        found = {work.dirty: places(table, work.dirty) for work in works}
        asked = {dirty: place for dirty, place in found.items() if None not in place.values()}
        read: dict[Side, dict[str, Item | None]] = {}
        for side in (leader.other, leader):
            keys = [key for place in asked.values() if (key := place[side]) is not None]
            there = table.side(side)
            read[side] = await requests.get_items(self._dynamo, there.name, there.keys, keys)
        clean = []
        for dirty, place in asked.items():
            tokens = {side: key_token(place[side] or {}, table.side(side).keys) for side in Side}
            if any(tokens[side] not in read[side] for side in Side):
                continue  # left unprocessed by the engine
            mine, theirs = (read[side][tokens[side]] for side in (leader, leader.other))
            seen = await self._compared(table, leader, mine, theirs)
            if seen.is_clean and not self._poison.lists(table.name, dirty):
                clean.append(dirty)
        return clean

    # -- one key ------------------------------------------------------------------------------

    async def _tried(self, table: MigratedTable, work: Work) -> Result:
        for attempt in range(TRIES_MAX):
            if attempt:
                await self._effort.back_off(attempt)
            state = self._epochs.enter(table.name)
            try:
                result = await self._once(table, state, work)
            except Refused as error:
                if error.code not in RETRYABLE:
                    log.warning("reconcile was refused", table=table.name, code=error.code)
            except EngineError as error:
                log.info("reconcile tries again", table=table.name, error=type(error).__name__)
            else:
                if result is not None:
                    return result
            finally:
                self._epochs.leave(state)
        return Result.FAILED

    async def _once(self, table: MigratedTable, state: TableState, work: Work) -> Result | None:
        """One observation and its cure; None where the key changed meanwhile."""
        if not is_followed(table.kind, state.phase):
            return Result.IDLE
        if table.kind is Kind.IN_PLACE:
            return await self._in_place(table, state, work.dirty)
        leader = state.phase.leader
        place = places(table, work.dirty)
        follower_item = await self._read(table, leader.other, place[leader.other])
        leader_item = await self._read(table, leader, place[leader])
        seen = await self._compared(table, leader, leader_item, follower_item)
        if seen.annotation is not None and leader_item is not None:
            # First, for it tells at the least cost whether the leader still is as it was read.
            request = guards.annotation_request(table, leader, leader_item, seen.annotation)
            if not await self._writes.accepted(state, "UpdateItem", request):
                return None
        follower_key = place[leader.other]
        if seen.verdict is not Verdict.MATCH:
            if follower_key is None:
                problem = Problem(Reason.UNMAPPED, f"its key has no place on {leader.other.value}")
                await self._poison.add(table.name, work.dirty, reason_text(problem))
                return Result.LEFT
            if _is_straggler(state, work, leader_item, follower_item):
                await self._quarantine.keep(table.name, leader.other, follower_item, leader_item)
            try:
                if not await self._write_follower(state, table, follower_key, seen, follower_item):
                    return None
            except Refused as error:
                if error.code != "ValidationException":
                    raise
                await self._poison.add(table.name, work.dirty, reason_text(not_taken(leader.other)))
                return Result.LEFT
        nowhere = None in place.values()
        return await self._judged(table, work.dirty, seen, nowhere=nowhere)

    async def _in_place(
        self, table: MigratedTable, state: TableState, dirty: DirtyKey
    ) -> Result | None:
        key = key_from_token(dirty.token, table.old.keys)
        item = await requests.get_item(self._dynamo, table.old.name, key)
        seen = await self._compared_in_place(table, item)
        if seen.verdict is not Verdict.MATCH and item is not None and seen.wanted is not None:
            request = requests.cure_in_place_request(table, item, seen.wanted)
            if not await self._writes.accepted(state, "UpdateItem", request):
                return None
        return await self._judged(table, dirty, seen, nowhere=False)

    async def _judged(
        self, table: MigratedTable, dirty: DirtyKey, seen: Comparison, *, nowhere: bool
    ) -> Result:
        """List or unlist the key. ``nowhere``: T gives it no place on the other side, so that it
        was listed, by whichever process, for as long as its row was there."""
        if seen.problem is not None:
            await self._poison.add(table.name, dirty, reason_text(seen.problem))
            return Result.LEFT
        await self._poison.clear(table.name, dirty, ask=nowhere)
        return Result.CLEAN if seen.verdict is Verdict.MATCH else Result.CURED

    async def _read(self, table: MigratedTable, side: Side, key: Key | None) -> Item | None:
        if key is None:
            return None
        return await requests.get_item(self._dynamo, table.side(side).name, key)

    async def _compared(
        self, table: MigratedTable, leader: Side, mine: Item | None, theirs: Item | None
    ) -> Comparison:
        return await answered(self._parents, compare, table, leader, mine, theirs)

    async def _compared_in_place(self, table: MigratedTable, item: Item | None) -> Comparison:
        return await answered(self._parents, compare_in_place, table, item)

    async def _write_follower(
        self,
        state: TableState,
        table: MigratedTable,
        key: Key,
        seen: Comparison,
        observed: Item | None,
    ) -> bool:
        """Put or delete the follower's copy, if it still is as observed."""
        place = table.side(state.phase.leader.other)
        if observed is None and seen.wanted is not None:
            return await self._writes.put_absent(state, table, seen.wanted)
        guard = guards.unchanged_since(observed, place.keys.hash.name)
        request: dict[str, Any] = {"TableName": place.name, **guard.request()}
        if seen.wanted is None:
            request["Key"] = key
            return await self._writes.accepted(state, "DeleteItem", request)
        request["Item"] = seen.wanted
        return await self._writes.accepted(state, "PutItem", request)


def not_taken(side: Side) -> Problem:
    """What is wrong with an item that the engine refuses on that side."""
    return Problem(Reason.REFUSED, f"the {side.value} table takes no such item")


def reason_text(problem: Problem) -> str:
    """A problem as the repair queue words it."""
    return f"{problem.reason}: {problem.detail}"


def _is_straggler(
    state: TableState, work: Work, leader_item: Item | None, follower_item: Item | None
) -> bool:
    """Whether the follower holds a write that was sent under a lead that is over.

    Where the leader has no such item, an old stamp alone proves nothing: the item may have been
    deleted a moment ago and its mirrored delete be on the way. A stream record that brought just
    this stamp does.
    """
    text = stamp_of(follower_item)
    if text is None:
        return False
    leaders = stamp_of(leader_item)
    if leader_item is None:
        if work.follower_stamp != text:
            return False
    elif leaders is not None and leaders >= text:
        return False
    try:
        stamp = Stamp.parse(text)
    except ValueError:
        return False
    return text != FLOOR and stamp.epoch < state.lead_epoch
