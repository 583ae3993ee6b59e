"""Both sides in one transaction, sent under a token so that our own retries are applied once."""

from asyncio import CancelledError
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dualwrite.core import metric_names
from dualwrite.core.assembling import Action
from dualwrite.core.errors import (
    THROTTLED,
    CutOff,
    EngineError,
    LeaseExpired,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from dualwrite.core.items import Item
from dualwrite.core.phases import TableState
from dualwrite.core.plan import (
    Seen,
    follower_write,
    leader_action,
    outgrows,
    pass_parameters,
    verb_of,
)
from dualwrite.core.repeats import Sort
from dualwrite.core.requests import Body, Wish
from dualwrite.core.settle import (
    CANCELED,
    CONDITION_FALSE,
    Applied,
    ConditionFalse,
    Failed,
    Moved,
    Outcome,
    RefusedAsOlder,
    Unknown,
    busy,
    is_conflict,
    judge_based,
    judge_guarded,
    judge_repeated,
    reasons_of,
)
from dualwrite.core.transform import Row
from dualwrite.proxy.refusals import refuse
from dualwrite.proxy.rows import mapped
from dualwrite.proxy.services import TRIES_MAX, Services, count_units_of, restamped_foreign
from dualwrite.proxy.views import besides, capacity_as

BOTH_SIDES = "both"
"""Whose budget pays for the repeat of a transaction."""
DIRECTED_UNITS = ("ReadCapacityUnits", "WriteCapacityUnits")
"""Told of transactions, not of single calls."""


async def write(services: Services, wish: Wish, state: TableState, row: Row | None) -> Body | None:
    """A Put or Delete without return values: no read, one transaction. None: its condition is too
    long beside the guard, and must be decided on its base. Raises ClientError."""
    leader, follower = state.phase.leader, state.phase.leader.other
    for tries in range(TRIES_MAX):
        stamp = services.stamps.next(state.epoch)
        lead = leader_action(wish, leader, stamp, row)
        if outgrows(lead):
            return None
        follow = follower_write(wish, follower, stamp, row and row.stamped(stamp))
        outcome, reply = await send(services, wish, state, None, stamp, lead, follow)
        if isinstance(outcome, ConditionFalse) and await mapped(
            services, wish, leader, outcome.item
        ):
            continue
        match outcome:
            case Applied():
                return besides(wish, leader, reply)
            case Moved() | RefusedAsOlder():
                await services.pause(tries)
                continue
        await refuse(services, wish, leader, outcome, unknown="transaction unknown")
    raise busy()


async def send(
    services: Services,
    wish: Wish,
    state: TableState,
    seen: Seen | None,
    stamp: str,
    lead: Action,
    follow: Action,
) -> tuple[Outcome, Body]:
    """Send the pair; ``seen`` is the base of a based write, None for one under the guard.

    Moved asks for another try. The reply holds what a single call at the leader would
    have told beside its return values.
    """
    started = services.clock.monotonic_seconds()
    request = {
        "TransactItems": [{verb_of(action).value: action} for action in (lead, follow)],
        "ClientRequestToken": token_of(stamp),
    }
    pass_parameters(wish.body, request)
    outcome, reply = await transact(services, request, (state,))
    services.metrics.observe(
        metric_names.LEADER_SECONDS, wish.table.name,
        value=services.clock.monotonic_seconds() - started,
    )  # fmt: skip
    match outcome:
        case Applied():
            return outcome, _lead_reply(services, lead["TableName"], reply)
        case Failed(Refused() as refused):
            leader = state.phase.leader
            restamped = False
            for side, reason in zip((leader, leader.other), reasons_of(refused), strict=False):
                item = reason.get("Item") or None
                restamped |= await restamped_foreign(services, wish.table, side, item)
            return Moved() if restamped else _judge(refused, seen, stamp), {}
        case Unknown(refused=Refused() as refused):
            return judge_repeated(_lead_item(refused), stamp, outcome), {}
    return outcome, {}


async def transact(
    services: Services, request: Body, states: Iterable[TableState]
) -> tuple[Outcome, Body]:
    """Send a transaction until an answer comes; its token makes the repeats harmless.

    Raises LeaseExpired before anything was sent.
    """
    doubt: OutcomeUnknown | None = None
    tries = services.health.tries(BOTH_SIDES, Sort.TOKENED, services.clock.monotonic_seconds())
    while True:
        try:
            services.vouch(states)
            reply = await services.engine.call("TransactWriteItems", request)
            return Applied(reply), reply
        except Refused as refused:
            if doubt is None:
                return Failed(refused), {}
            # The first try may still be under way: it may be what this one met, and it may find
            # later what this one did not.
            if not (is_conflict(refused) or refused.code in THROTTLED):
                return Unknown(doubt, refused), {}
            error: EngineError = doubt
        except LeaseExpired:
            if doubt is None:
                raise
            return Unknown(doubt), {}
        except OutcomeUnknown as unknown:
            error = doubt = unknown
        except Unreachable as unreachable:
            error = unreachable
        except CancelledError:
            return Unknown(CutOff("this process stops")), {}
        if not await tries.again(error):
            return (Failed(error) if doubt is None else Unknown(doubt)), {}


def token_of(stamp: str) -> str:
    """A ClientRequestToken (1 to 36 characters) as unique as the stamp."""
    return stamp.replace(".", "")[:36]


def _lead_item(refused: Refused) -> Item | None:
    """What stood in the way of the leader's half."""
    return next((reason.get("Item") or None for reason in reasons_of(refused)), None)


def _judge(refused: Refused, seen: Seen | None, stamp: str) -> Outcome:
    if is_conflict(refused):
        return Moved()
    if refused.code != CANCELED:
        return Failed(refused)
    reasons = reasons_of(refused)
    items = [reason.get("Item") or None for reason in reasons]
    failed = [reason.get("Code") == CONDITION_FALSE for reason in reasons]
    if failed[:1] == [True]:
        if seen is None:
            return judge_guarded(items[0], stamp)
        return judge_based(items[0], seen.exists, seen.stamp)
    if _only_follower(failed, reasons):
        return Moved()
    return Failed(refused)


def _only_follower(failed: Sequence[bool], reasons: Sequence[Mapping[str, Any]]) -> bool:
    """The follower holds a newer stamp than ours: the clock has moved, try again."""
    return len(failed) > 1 and failed[1] and reasons[0].get("Code", "None") == "None"


def _lead_reply(services: Services, leader_name: str, reply: Body) -> Body:
    """Count both halves; answer with the leader's, which a transaction charges twice."""
    shown: Body = {}
    for capacity in reply.get("ConsumedCapacity") or ():
        count_units_of(services, capacity)
        if capacity.get("TableName") == leader_name:
            half = capacity_as(capacity, leader_name, 0.5)
            shown["ConsumedCapacity"] = {
                part: value for part, value in half.items() if part not in DIRECTED_UNITS
            }
    metrics = (reply.get("ItemCollectionMetrics") or {}).get(leader_name)
    if metrics:
        shown["ItemCollectionMetrics"] = metrics[0]
    return shown
