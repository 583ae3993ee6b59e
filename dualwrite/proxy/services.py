"""What every handler of the proxy works with, and the few things they all do with it."""

from asyncio import CancelledError
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

import structlog

from dualwrite.core import metric_names
from dualwrite.core.assembling import Action
from dualwrite.core.errors import (
    CutOff,
    EngineError,
    LeaseExpired,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from dualwrite.core.guards import restamp_request
from dualwrite.core.items import STAMP, Item, Key, key_token, stamp_of
from dualwrite.core.phases import Side, TableState
from dualwrite.core.plan import call_of
from dualwrite.core.ports import (
    BigTransactionLog,
    Clock,
    Dynamo,
    Epochs,
    Metrics,
    Parents,
    RepairQueue,
)
from dualwrite.core.repeats import probe_of, repeat_of, sort_of_operation, sort_of_write
from dualwrite.core.requests import Wish
from dualwrite.core.settle import (
    Applied,
    Failed,
    Outcome,
    Unknown,
    condition_failed,
    judge_repeated,
    old_item,
    single_error,
    unknown_error,
    unreachable_error,
    unreached_error,
)
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.core.stamps import HybridClock
from dualwrite.core.vouching import REQUEST_MARGIN_SECONDS, may_follow, vouch
from dualwrite.proxy.health import NO_SIDE, Health
from dualwrite.proxy.messages import Answer

log = structlog.get_logger()

TRIES_MAX = 12
"""Tries of one write against newer stamps, moved bases and transaction conflicts."""
BACKOFF_SECONDS = 0.004
BACKOFF_SECONDS_MAX = 0.2
CONFIRM_SECONDS_MAX = 2.0
"""How long an answer waits for a lease that has just run out: nearly always it is renewed."""
CONFIRM_POLL_SECONDS = 0.05

States = Mapping[str, TableState]
"""By table, the states under which a request is served."""


class Engine(Dynamo, Protocol):
    """The engine behind the proxy: calls in DynamoDB JSON, and requests passed as they came."""

    async def forward(
        self, headers: tuple[tuple[bytes, bytes], ...], target: str, body: bytes
    ) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Services:
    """The proxy's ports, bundled."""

    engine: Engine
    migration: Migration
    epochs: Epochs
    parents: Parents
    repairs: RepairQueue
    big_transactions: BigTransactionLog
    clock: Clock
    metrics: Metrics
    stamps: HybridClock
    random: Random
    health: Health
    follower: Dynamo
    """The engine again, over connections of their own and with less patience: a follower that
    hangs keeps no leader waiting."""

    def vouch(self, states: Iterable[TableState]) -> None:
        """The same as ``core.vouching.vouch``, of all tables that a request is about."""
        for state in states:
            vouch(self.epochs, state)

    async def confirm(self, states: Iterable[TableState]) -> None:
        """Raise ClientError, for nobody can tell, unless what was begun under these states was
        carried out while their leader led: asked before a client is told of it. This process may
        have been stopped in the middle of a send, and a write that comes to what follows by then
        is undone."""
        for state in states:
            live = self.live(state.table) or await self._live_again(state.table)
            if live is None or not may_follow(state.epoch, live.epoch):
                raise unknown_error()

    def live(self, table: str) -> TableState | None:
        """A table's state now; None while the lease has run out: then nobody here knows."""
        try:
            return self.epochs.current(table)
        except LeaseExpired:
            return None

    async def _live_again(self, table: str) -> TableState | None:
        """The same once the lease is renewed; None where that takes too long."""
        deadline = self.clock.monotonic_seconds() + CONFIRM_SECONDS_MAX
        live = None
        while live is None and self.clock.monotonic_seconds() < deadline:
            await self.clock.sleep(CONFIRM_POLL_SECONDS)
            live = self.live(table)
        return live

    async def pause(self, attempt: int) -> None:
        """Back off with full jitter before the next try."""
        bound = min(BACKOFF_SECONDS * 2**attempt, BACKOFF_SECONDS_MAX)
        await self.clock.sleep(self.random.uniform(0, bound))


def side_label(services: Services, request: Mapping[str, Any]) -> str:
    """The side whose budget pays for a repeat of this request."""
    found = services.migration.by_physical.get(request.get("TableName", ""))
    return NO_SIDE if found is None else found[1].value


async def call(services: Services, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """One engine call for a client, a read again where no answer came; raises ClientError in the
    form the client expects."""
    tries = None
    started = services.clock.monotonic_seconds()
    while True:
        try:
            return await services.engine.call(operation, request)
        except Refused as refused:
            raise single_error(refused) from refused
        except (Unreachable, OutcomeUnknown) as error:
            if tries is None:
                sort = sort_of_operation(operation)
                tries = services.health.tries(side_label(services, request), sort, started)
            if await tries.again(error):
                continue
            if isinstance(error, Unreachable):
                raise unreached_error(error) from error
            raise unknown_error() from error
        except CancelledError as error:
            raise unknown_error() from error


async def forward(
    services: Services, headers: tuple[tuple[bytes, bytes], ...], target: str, body: bytes
) -> Answer:
    """Pass a request on as it came, a read again where no answer comes; raises EngineError. An
    answer is passed on whatever it says: an SDK has its own patience with a 5xx."""
    started = services.clock.monotonic_seconds()
    try:
        return await services.engine.forward(headers, target, body)
    except (Unreachable, OutcomeUnknown) as error:
        sort = sort_of_operation(target.rpartition(".")[2])
        tries = services.health.tries(NO_SIDE, sort, started)
        last: EngineError = error
    while await tries.again(last):
        try:
            return await services.engine.forward(headers, target, body)
        except (Unreachable, OutcomeUnknown) as error:
            last = error
    raise last


async def attempt(
    services: Services,
    action: Action,
    operation: str | None = None,
    *,
    engine: Dynamo | None = None,
) -> Outcome | Refused:
    """Send one write; ``operation`` where the action does not tell it, ``engine`` where it is not
    the leaders'. A refused condition is left to the caller to judge.

    A handler that is cut off, because this process stops, has an unknown outcome like any other,
    so that its key is queued for repair.
    """
    try:
        sender = engine or services.engine
        return Applied(await sender.call(operation or call_of(action), action))
    except Refused as refused:
        return refused if condition_failed(refused) else Failed(refused)
    except Unreachable as unreachable:
        return Failed(unreachable)
    except OutcomeUnknown as unknown:
        return Unknown(unknown)
    except CancelledError:
        return Unknown(CutOff("this process stops"))


async def attempt_stamped(
    services: Services, wish: Wish, state: TableState, action: Action, stamp: str, *, told: bool
) -> Outcome | Refused:
    """Send a leader's guarded write, again where its repeat tells what became of it; ``told`` as
    ``sort_of_write`` has it.

    Where it is not known to have arrived, it is sent again only when it cannot arrive any more: it
    would bring back what somebody deletes after the repeat. Raises LeaseExpired before anything was
    sent.
    """
    services.vouch((state,))
    started = services.clock.monotonic_seconds()
    result = await attempt(services, action)
    if not isinstance(result, Unknown | Failed):
        return result
    doubt: Unknown | None = None
    sort = sort_of_write(wish, told=told)
    tries = services.health.tries(side_label(services, action), sort, started)
    while isinstance(result, Unknown | Failed):
        fresh: Unknown | None = None
        if isinstance(result, Unknown) and doubt is None:
            fresh = doubt = result
            action = repeat_of(action)
        if not await tries.again(result.error):
            return doubt or result
        try:
            services.vouch((state,))
            if fresh is not None:
                seen = await attempt(services, probe_of(action))
                if isinstance(seen, Refused):
                    judged = judge_repeated(old_item(seen), stamp, fresh)
                    if isinstance(judged, Applied):
                        return judged
                await services.clock.sleep(REQUEST_MARGIN_SECONDS)
                services.vouch((state,))
        except LeaseExpired:
            if doubt is None:
                raise
            return doubt
        result = await attempt(services, action)
    if doubt is not None and isinstance(result, Refused):
        return judge_repeated(old_item(result), stamp, doubt)
    return result


async def restamped_foreign(
    services: Services, table: MigratedTable, side: Side, item: Item | None
) -> bool:
    """Move the clock past the stamp of an item that stood in a write's way. True where that cannot
    be: no clock of ours wrote this stamp, it was put there past the proxy. Then the item got the
    floor stamp, as one that nobody stamped, or it would refuse every write for ever. Raises
    ClientError."""
    if item is None or STAMP not in item:
        return False
    stamp = stamp_of(item)
    if stamp and services.stamps.observe(stamp):
        return False
    log.warning("foreign stamp replaced", table=table.name, side=side.value)
    try:
        await services.engine.call("UpdateItem", restamp_request(table, side, item))
    except Refused as refused:
        if not condition_failed(refused):
            raise single_error(refused) from refused
    except EngineError as error:
        raise unreachable_error() from error
    return True


async def queue_repair(
    services: Services, table: MigratedTable, side: Side, key: Key, reason: str
) -> None:
    """Remember a key that may differ. The leader's stream names it too, so that a queue which
    cannot be reached now costs time, not truth."""
    try:
        token = key_token(key, table.side(side).keys)
        await services.repairs.put(table.name, side, token, reason)
    except EngineError as error:
        log.warning("repair not queued", table=table.name, reason=reason, error=str(error))


def count_units(
    services: Services, table: MigratedTable, side: Side, reply: Mapping[str, Any]
) -> None:
    """Add what one call consumed to the table's capacity metric."""
    consumed = reply.get("ConsumedCapacity")
    if isinstance(consumed, dict):
        services.metrics.add(
            metric_names.UNITS, table.name, side.value, amount=consumed.get("CapacityUnits", 0.0)
        )


def count_units_of(services: Services, capacity: Mapping[str, Any]) -> None:
    """The same for one entry of a batch's or transaction's capacity list."""
    found = services.migration.by_physical.get(capacity.get("TableName", ""))
    if found is not None:
        table, side = found
        services.metrics.add(
            metric_names.UNITS, table.name, side.value, amount=capacity.get("CapacityUnits", 0.0)
        )
