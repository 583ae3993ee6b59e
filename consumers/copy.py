"""Copies scanned items, without ever overwriting what is newer.

Two writes: first the old item gets its hidden map and, where nobody stamped it yet, the floor
stamp, which is refused when it changed since the scan; then new gets the copy if it has none. Both
records carry one stamp, so the streams prove the key clean without reading it. A row that is
deleted in between leaves its copy behind, and the copy's own stream record is what removes it.

Where the engine allows, 25 items go in one batch of conditional statements; where the order asks
for it, many go in one transaction of the same conditional writes.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from consumers import requests, statements
from consumers.effort import Effort
from consumers.poison import Poison
from consumers.reconcile import Reconciler, Result, Work, not_taken, reason_text
from consumers.writes import GuardedWrites
from dualwrite.core import guards
from dualwrite.core.compare import Comparison, Verdict, compare, compare_in_place
from dualwrite.core.dirty_keys import DirtyKey, dirty_key
from dualwrite.core.errors import (
    RETRYABLE,
    THROTTLED,
    THROTTLED_PARTS,
    DualwriteError,
    EngineError,
    Refused,
)
from dualwrite.core.items import TRANSACTION_BYTES_MAX, Item, Key, key_of, key_token, size_bytes
from dualwrite.core.phases import Kind, Phase, Side, TableState
from dualwrite.core.ports import Dynamo, Epochs, Parents, RepairQueue
from dualwrite.core.settle import CONDITION_FALSE
from dualwrite.core.spec import MigratedTable
from dualwrite.core.vouching import vouch
from dualwrite.gathering import gathered
from dualwrite.lookups import answered

TRIES_MAX = 6
TRANSACTIONS_MAX = 3
"""Tries without those that keep the others from being written; then all go one by one."""

DUPLICATE = frozenset({"DuplicateItem", "DuplicateItemException"})
"""What an INSERT says where an item is; the engines word it differently."""


class Copied(StrEnum):
    """What became of one scanned item; the first three are fields of ``Segment``."""

    COPIED = "copied"
    PRESENT = "present"
    LEFT = "left"
    QUEUED = "queued"
    """It could not be settled now and stands in the repair queue."""
    THROTTLED = "throttled"
    """The engine has no capacity for it now; it may be written in part, and is to be done again."""


class NotNow(DualwriteError):
    """The table is no longer in mirror/old, the only phase in which a backfill runs."""


class Copier:
    """Copies items, one call each; any of them may be repeated."""

    def __init__(
        self,
        dynamo: Dynamo,
        epochs: Epochs,
        parents: Parents,
        repairs: RepairQueue,
        poison: Poison,
        reconciler: Reconciler,
        effort: Effort,
    ) -> None:
        self.in_statements = False
        """Whether conditional statements are known to show in the engine's streams."""
        self._dynamo = dynamo
        self._epochs = epochs
        self._writes = GuardedWrites(dynamo, epochs, effort)
        self._parents = parents
        self._repairs = repairs
        self._poison = poison
        self._reconciler = reconciler
        self._effort = effort

    async def copy_all(
        self, table: MigratedTable, items: Sequence[Item], *, in_one: bool = False
    ) -> list[Copied]:
        """Copy items in one transaction (``in_one``), or in statements; what that cannot settle,
        one by one, which may be repeated. Raises as ``copy``."""
        found: list[Copied | None] = [None] * len(items)
        if in_one and len(items) > 1:
            found = await self._in_one(table, items)
        elif self.in_statements and table.kind is Kind.REKEY:
            found = await self._in_statements(table, items)
        return [
            await self.copy(table, item) if one is None else one
            for item, one in zip(items, found, strict=True)
        ]

    async def settled(self, table: MigratedTable, items: Sequence[Item]) -> list[bool]:
        """Which of up to 100 items need no write, by one read of their copies: where one is, and
        old's item has its hidden map, a write would find just that. Raises EngineError."""
        keys: dict[int, Key] = {}
        for at, seen in enumerate(await self._all_compared(table, items)):
            if seen.problem is None and seen.wanted is not None and seen.annotation is None:
                keys[at] = key_of(seen.wanted, table.new.keys)
        schema = table.new.keys
        found = await requests.get_items(
            self._dynamo, table.new.name, schema, list(keys.values()), keys_only=True
        )
        return [
            at in keys and found.get(key_token(keys[at], schema)) is not None
            for at in range(len(items))
        ]

    async def _in_statements(
        self, table: MigratedTable, items: Sequence[Item]
    ) -> list[Copied | None]:
        """None for an item that has changed, cannot be mapped, or whose outcome is unknown."""
        found: list[Copied | None] = [None] * len(items)
        state = self._epochs.enter(table.name)
        try:
            if state.phase is not Phase.MIRROR_OLD:
                return found
            wanted: dict[int, Item] = {}
            annotating: dict[int, statements.Statement] = {}
            for at, seen in enumerate(await self._all_compared(table, items)):
                if seen.problem is not None or seen.wanted is None:
                    continue
                wanted[at] = seen.wanted
                if seen.annotation is not None:
                    annotating[at] = statements.annotate(table, items[at], seen.annotation)
            for at, code in (await self._executed(state, annotating)).items():
                if code:
                    del wanted[at]
                if code in THROTTLED_PARTS:
                    found[at] = Copied.THROTTLED
            inserting = {at: statements.insert(table, item) for at, item in wanted.items()}
            sending = self._executed(state, inserting)
            codes = await self._writes.heard(state, table, wanted.values(), sending)
            for at, code in codes.items():
                if not code:
                    found[at] = Copied.COPIED
                elif code in DUPLICATE:
                    found[at] = Copied.PRESENT
                elif code in THROTTLED_PARTS:
                    found[at] = Copied.THROTTLED
            put = [item for at, item in wanted.items() if found[at] is Copied.COPIED]
            await self._writes.check_copies(state, table, put)
            return found
        except EngineError as error:
            if _is_throttled(error):
                return [Copied.THROTTLED if one is None else one for one in found]
            return found  # all of it may be repeated
        finally:
            self._epochs.leave(state)

    async def _executed(
        self, state: TableState, batch: Mapping[int, statements.Statement]
    ) -> dict[int, str]:
        if not batch:
            return {}
        vouch(self._epochs, state)
        codes = await statements.executed(self._dynamo, list(batch.values()))
        return dict(zip(batch, codes, strict=True))

    async def _in_one(self, table: MigratedTable, items: Sequence[Item]) -> list[Copied | None]:
        """None for an item that is present, has changed, or cannot be mapped, and for all where
        they are too large together, or nobody knows what became of them."""
        found: list[Copied | None] = [None] * len(items)
        if sum(map(size_bytes, items)) > TRANSACTION_BYTES_MAX / 3:
            return found  # both sides of each item, and its conditions, count
        state = self._epochs.enter(table.name)
        try:
            if state.phase is not Phase.MIRROR_OLD:
                return found
            members: dict[int, list[dict[str, Any]]] = {}
            for at, seen in enumerate(await self._all_compared(table, items)):
                if seen.problem is None and seen.wanted is not None:
                    members[at] = _members(table, items[at], seen)
            for at in [at for at, writes in members.items() if not writes]:
                found[at] = Copied.PRESENT
                del members[at]
            for _ in range(TRANSACTIONS_MAX):
                if not members:
                    break
                failed = await self._transacted(table, state, members)
                if not failed:
                    return [Copied.COPIED if at in members else one for at, one in enumerate(found)]
                for at in failed:
                    del members[at]
        except EngineError as error:
            if _is_throttled(error):
                return [Copied.THROTTLED if at in members else one for at, one in enumerate(found)]
        finally:
            self._epochs.leave(state)
        return found

    async def _transacted(
        self,
        table: MigratedTable,
        state: TableState,
        members: Mapping[int, Sequence[Mapping[str, Any]]],
    ) -> set[int]:
        """Write the items of these places, or say whose conditions kept all from being written.
        Raises LeaseExpired, EngineError."""
        owners = [at for at, writes in members.items() for _ in writes]
        writes = [write for part in members.values() for write in part]
        put = [write["Put"]["Item"] for write in writes if "Put" in write]
        vouch(self._epochs, state)
        sending = self._dynamo.call("TransactWriteItems", {"TransactItems": writes})
        try:
            await self._writes.heard(state, table, put, sending)
        except Refused as error:
            reasons = error.fields.get("CancellationReasons") or ()
            failed = {
                at
                for at, reason in zip(owners, reasons, strict=False)
                if reason.get("Code") == CONDITION_FALSE
            }
            if not failed or _is_throttled(error):
                raise
            return failed
        await self._writes.check_copies(state, table, put)
        return set()

    async def copy(self, table: MigratedTable, item: Item) -> Copied:
        """Raises LeaseExpired, NotNow, or EngineError where not even the repair queue takes it."""
        dirty = dirty_key(table, item, Side.OLD)
        for attempt in range(TRIES_MAX):
            if attempt:
                await self._effort.back_off(attempt)
            state = self._epochs.enter(table.name)
            try:
                if state.phase is not Phase.MIRROR_OLD:
                    raise NotNow(f"table {table.name} is in {state.phase.value}")
                outcome = await self._once(table, state, item, dirty)
                break
            except Refused as error:
                if error.code in THROTTLED:
                    return Copied.THROTTLED
                if error.code in RETRYABLE:
                    continue
                if error.code != "ValidationException":
                    raise
                await self._poison.add(table.name, dirty, reason_text(not_taken(Side.NEW)))
                return Copied.LEFT
            except EngineError:
                continue  # both writes may be repeated
            finally:
                self._epochs.leave(state)
        else:
            outcome = None
        if outcome is None:
            return await self._by_reading(table, dirty)
        return outcome

    async def _once(
        self, table: MigratedTable, state: TableState, item: Item, dirty: DirtyKey
    ) -> Copied | None:
        """None where the item changed since it was scanned."""
        seen = await self._compared(table, item)
        if seen.problem is not None:
            await self._poison.add(table.name, dirty, reason_text(seen.problem))
        if table.kind is Kind.IN_PLACE:
            return await self._add(table, state, item, seen)
        if seen.wanted is None:
            return Copied.LEFT
        if seen.annotation is not None:
            request = guards.annotation_request(table, Side.OLD, item, seen.annotation)
            if not await self._writes.accepted(state, "UpdateItem", request):
                return None
        fresh = await self._writes.put_absent(state, table, seen.wanted)
        return Copied.COPIED if fresh else Copied.PRESENT

    async def _add(
        self, table: MigratedTable, state: TableState, item: Item, seen: Comparison
    ) -> Copied | None:
        if seen.problem is not None or seen.wanted is None:
            return Copied.LEFT
        if seen.verdict is Verdict.MATCH:
            return Copied.PRESENT
        request = requests.cure_in_place_request(table, item, seen.wanted)
        accepted = await self._writes.accepted(state, "UpdateItem", request)
        return Copied.COPIED if accepted else None

    async def _all_compared(self, table: MigratedTable, items: Sequence[Item]) -> list[Comparison]:
        """Side by side, so that the parents they ask for are read together. Raises EngineError."""
        return await gathered(self._compared(table, item) for item in items)

    async def _compared(self, table: MigratedTable, item: Item) -> Comparison:
        if table.kind is Kind.IN_PLACE:
            return await answered(self._parents, compare_in_place, table, item)
        return await answered(self._parents, compare, table, Side.OLD, item, None)

    async def _by_reading(self, table: MigratedTable, dirty: DirtyKey) -> Copied:
        match await self._reconciler.reconcile(table, Work(dirty)):
            case Result.CURED:
                return Copied.COPIED
            case Result.CLEAN:
                return Copied.PRESENT
            case Result.LEFT:
                return Copied.LEFT
        await self._repairs.put(table.name, dirty.side, dirty.token, "backfill failed")
        return Copied.QUEUED


def _members(table: MigratedTable, item: Item, seen: Comparison) -> list[dict[str, Any]]:
    """What one mapped item needs written, as members of a transaction."""
    assert seen.wanted is not None
    if table.kind is Kind.IN_PLACE:
        if seen.verdict is Verdict.MATCH:
            return []
        return [{"Update": requests.cure_in_place_request(table, item, seen.wanted)}]
    members = []
    if seen.annotation is not None:
        annotate = guards.annotation_request(table, Side.OLD, item, seen.annotation)
        members.append({"Update": annotate})
    return [*members, {"Put": requests.put_if_absent(table.new, seen.wanted)}]


def _is_throttled(error: EngineError) -> bool:
    """Whether an engine has too much to do for a call, or for a member of its transaction."""
    if not isinstance(error, Refused):
        return False
    reasons = error.fields.get("CancellationReasons") or ()
    codes = {reason.get("Code") for reason in reasons if isinstance(reason, Mapping)}
    return error.code in THROTTLED or bool(codes & THROTTLED_PARTS)
