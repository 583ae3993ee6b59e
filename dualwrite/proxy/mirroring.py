"""The follower's write, after the leader has decided."""

from dualwrite.core import metric_names
from dualwrite.core.assembling import Action
from dualwrite.core.breaker import Event
from dualwrite.core.errors import THROTTLED, CutOff, LeaseExpired, Refused
from dualwrite.core.phases import Mode
from dualwrite.core.plan import pass_parameters
from dualwrite.core.repeats import FOR_FOLLOWERS, Sort
from dualwrite.core.settle import (
    Applied,
    ConditionFalse,
    Failed,
    Held,
    Outcome,
    RefusedAsOlder,
    Unknown,
    judge_guarded,
    old_item,
    settle_follower,
)
from dualwrite.core.spec import MigratedTable
from dualwrite.core.stamps import epoch_of
from dualwrite.core.vouching import may_follow
from dualwrite.late import take_back
from dualwrite.proxy.health import Follower, Tries
from dualwrite.proxy.services import Services, attempt, count_units, queue_repair


async def mirror(services: Services, table: MigratedTable, action: Action, stamp: str) -> None:
    """Write the follower after the leader; what is not surely there is queued for repair."""
    pass_parameters({}, action)
    follower = services.health.follower(table, action["TableName"])
    outcome: Outcome | Held
    if follower.written:
        outcome = await _written(services, table, follower, action, stamp)
        news = follower.doubted or not isinstance(outcome, Applied)
        if news and follower.hear(well=_well(outcome)):
            follower.held = action, stamp
            follower.heal(_heal(services, table, follower))
    else:
        follower.held = action, stamp
        outcome = Held()
    settled = settle_follower(outcome)
    services.metrics.add(metric_names.FOLLOWER_OUTCOMES, table.name, settled.follower)
    put = "Item" in action and isinstance(outcome, Applied | Unknown)
    if put and not _may_be_sent(services, table, stamp):
        await take_back(
            services.engine, services.clock.sleep, table, follower.side, [action["Item"]],
            arrived=isinstance(outcome, Applied),
        )  # fmt: skip
    if settled.repair:
        key = action["Item"] if "Item" in action else action["Key"]
        await queue_repair(
            services, table, follower.side, key, f"follower write {settled.follower}"
        )


async def _written(
    services: Services, table: MigratedTable, follower: Follower, action: Action, stamp: str
) -> Outcome | Held:
    """Send the write, once more where no answer comes; what the answer means."""
    started = services.clock.monotonic_seconds()
    tries: Tries | None = None
    unheard: Outcome | None = None
    while True:
        if not _may_be_sent(services, table, stamp):
            return unheard or Held()
        result = await attempt(services, action, engine=services.follower)
        if not isinstance(result, Unknown | Failed):
            break
        unheard = unheard if isinstance(unheard, Unknown) else result
        if tries is None:
            patience = FOR_FOLLOWERS
            tries = services.health.tries(follower.side.value, Sort.STAMPED, started, patience)
        if not await tries.again(result.error):
            result = unheard
            break
    services.metrics.observe(
        metric_names.FOLLOWER_SECONDS, table.name,
        value=services.clock.monotonic_seconds() - started,
    )  # fmt: skip
    if isinstance(result, Applied):
        count_units(services, table, follower.side, result.reply)
    elif isinstance(result, Refused):
        judged = judge_guarded(old_item(result), stamp)
        if isinstance(judged, RefusedAsOlder) and not services.stamps.observe(judged.stamp):
            # No clock of ours wrote that stamp, so it proves nothing newer: the repair looks.
            return Failed(result)
        return Failed(result) if isinstance(judged, ConditionFalse) else judged
    return result


def _may_be_sent(services: Services, table: MigratedTable, stamp: str) -> bool:
    """Whether this process may still write: the leader may have taken long."""
    live, begun = services.live(table.name), epoch_of(stamp)
    return live is not None and (begun is None or may_follow(begun, live.epoch))


def _well(outcome: Outcome | Held) -> bool:
    """Whether the follower is in health: a refusal of the write itself is an answer, and what was
    not sent or cut off here tells nothing against it."""
    match outcome:
        case Applied() | RefusedAsOlder() | Unknown(CutOff()):
            return True
        case Unknown():
            return False
        case Failed(Refused() as refused):
            return refused.code not in THROTTLED
        case Failed():
            return False
    return True


async def _heal(services: Services, table: MigratedTable, follower: Follower) -> None:
    """Try a follower that is left out with the newest write that it missed, after pauses that
    grow, until it answers or is written no more. No client waits for it, and its key waits for
    repair all the same."""
    while not follower.written:
        await services.clock.sleep(follower.pause_seconds)
        follower.move(Event.DUE)
        try:
            state = services.epochs.enter(table.name)
        except LeaseExpired:
            follower.hear(well=False)
            continue
        try:
            mirrored = state.phase.mode is Mode.MIRROR and state.phase.leader is follower.side.other
            if not mirrored or follower.held is None:
                follower.move(Event.MOOT)
                return
            outcome = await _written(services, table, follower, *follower.held)
        finally:
            services.epochs.leave(state)
        match outcome:
            case Unknown(CutOff()):
                return
            case Held():
                follower.hear(well=False)
            case _:
                follower.hear(well=_well(outcome))
    follower.held = None
