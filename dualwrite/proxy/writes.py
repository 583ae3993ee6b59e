"""PutItem, UpdateItem and DeleteItem on a managed table, in every phase.

In mirror mode the leader decides in one guarded write and the follower gets the full post-image.
In atomic mode, and where an update changes what the hidden map holds, the write is evaluated on a
base that was read (``based``) or is one blind transaction (``atomic``).
"""

from dualwrite.core import metric_names
from dualwrite.core.capacity import asks_capacity
from dualwrite.core.derivation import Derived, derive
from dualwrite.core.errors import ClientError, EngineError, Refused, ValidationError
from dualwrite.core.items import Item, canonical, visible
from dualwrite.core.legacy import reworded
from dualwrite.core.phases import Kind, Mode, Phase, Side, TableState
from dualwrite.core.plan import (
    follower_write,
    is_unjudged,
    leader_action,
    needs_evaluation,
    outgrows,
    pass_parameters,
    side_key,
    wants_base,
)
from dualwrite.core.requests import VERBS, Body, Verb, Wish
from dualwrite.core.settle import (
    Applied,
    ConditionFalse,
    Outcome,
    RefusedAsOlder,
    busy,
    judge_guarded,
    old_item,
    unknown_error,
    unreachable_error,
)
from dualwrite.core.stamps import FLOOR
from dualwrite.core.transform import Row, row_from_stored
from dualwrite.lookups import answered
from dualwrite.proxy import atomic, based
from dualwrite.proxy.mirroring import mirror
from dualwrite.proxy.refusals import refuse
from dualwrite.proxy.rows import mapped, place
from dualwrite.proxy.services import (
    TRIES_MAX,
    Services,
    attempt,
    attempt_stamped,
    count_units,
    queue_repair,
    restamped_foreign,
)
from dualwrite.proxy.views import besides, client_item

PLAIN_RETURNS = ("NONE", "ALL_NEW")
CALLS = {verb: name for name, verb in VERBS.items()}


async def write(services: Services, wish: Wish, state: TableState) -> Body:
    """Carry out one mutation under ``state``; raises ClientError for whatever the client hears."""
    if wish.meant is None:
        return await _write(services, wish, state)
    try:
        return await _write(services, wish, state)
    except ClientError as error:
        raise reworded(error) from error


async def _write(services: Services, wish: Wish, state: TableState) -> Body:
    if wish.table.kind is Kind.IN_PLACE or state.phase is Phase.OFF:
        return await _single(services, wish, state)
    row = await place(services, wish, state.phase)
    if state.phase.mode is Mode.ATOMIC:
        told_nothing = wish.return_values == "NONE" and not asks_capacity(wish.body)
        if wish.verb is not Verb.UPDATE and told_nothing:
            reply = await atomic.write(services, wish, state, row)
            if reply is not None:
                return reply
        return await based.write(services, wish, state, row)
    leader = state.phase.leader
    if wish.verb is Verb.UPDATE and (needs_evaluation(wish) or is_unjudged(wish, leader)):
        return await based.write(services, wish, state, row)
    return await _mirrored(services, wish, state, row)


# -- one table: in-place, and before the migration ---------------------------------------------


async def _single(services: Services, wish: Wish, state: TableState) -> Body:
    """Pass the write on, with the derived attributes of an in-place table added to a Put."""
    body = wish.body
    if wish.table.kind is Kind.IN_PLACE and wish.verb is Verb.PUT and state.phase is not Phase.OFF:
        body = {**body, "Item": await with_derived(services, wish)}
    request = pass_parameters(body, {**body, "TableName": wish.table.old.name})
    services.vouch((state,))
    result = await attempt(services, request, CALLS[wish.verb])
    outcome = ConditionFalse(old_item(result)) if isinstance(result, Refused) else result
    if not isinstance(outcome, Applied):
        await refuse(services, wish, Side.OLD, outcome)
    reply = outcome.reply
    count_units(services, wish.table, Side.OLD, reply)
    shown = besides(wish, Side.OLD, reply)
    attributes = visible(reply.get("Attributes") or {})
    return {**shown, "Attributes": attributes} if attributes else shown


async def with_derived(services: Services, wish: Wish) -> Item:
    """A Put's item with its derived attributes. Raises ClientError where what the client gave
    itself does not agree, or where its parents cannot be asked."""
    table, item = wish.table, wish.item
    try:
        derived = await answered(services.parents, derive, table, item)
    except EngineError as error:
        raise unreachable_error() from error
    if not isinstance(derived, Derived):
        return item
    for name, value in derived.values.items():
        if name in item and canonical(item[name]) != canonical(value):
            raise ValidationError(
                f"{name} of an item of table {table.name} contradicts its parent; "
                "nothing was written"
            )
    return {**item, **derived.values}


# -- mirror mode -------------------------------------------------------------------------------


async def _mirrored(services: Services, wish: Wish, state: TableState, row: Row | None) -> Body:
    """Leader first, under the guard; then the follower, where there is one."""
    leader = state.phase.leader
    follower = leader.other if state.phase.mode is Mode.MIRROR else None
    plain = wish.verb is not Verb.UPDATE or wish.return_values in PLAIN_RETURNS
    led = await _lead(services, wish, state, row, plain=plain)
    if led is None:
        return await based.write(services, wish, state, row)
    stamp, reply = led
    if wish.verb is Verb.UPDATE:
        image = reply.get("Attributes") if plain else await reread(services, wish, leader)
        row = await image_row(services, wish, leader, image)
    if follower is not None:
        after = row.stamped(stamp) if row is not None and wish.verb is Verb.PUT else row
        if after is None and wish.verb is not Verb.DELETE:
            await queue_repair(
                services, wish.table, leader, side_key(wish, leader), "no post-image to mirror"
            )
        else:
            # An image that was read may be a later one, with its own stamp.
            stamp = (after and after.stamp) or stamp
            follow = follower_write(wish, follower, stamp, after)
            await mirror(services, wish.table, follow, stamp)
    return await _reply(services, wish, state, reply, row)


async def _lead(
    services: Services, wish: Wish, state: TableState, row: Row | None, *, plain: bool
) -> tuple[str, Body] | None:
    """The leader's write and its reply; None: it must be evaluated on its base instead.

    A newer stamp moves our clock. Raises ClientError.
    """
    side = state.phase.leader
    told = plain if wish.verb is Verb.UPDATE else wish.return_values == "NONE"
    for tries in range(TRIES_MAX):
        stamp = services.stamps.next(state.epoch)
        action = leader_action(wish, side, stamp, row)
        if outgrows(action):
            return None
        pass_parameters(wish.body, action)
        if wish.verb is Verb.UPDATE and plain:
            action["ReturnValues"] = "ALL_NEW"
        elif "ReturnValues" in wish.body:
            action["ReturnValues"] = wish.return_values
        if wish.verb is not Verb.UPDATE and asks_capacity(wish.body):
            action["ReturnValues"] = "ALL_OLD"  # the old image's size is part of what it costs
        started = services.clock.monotonic_seconds()
        result = await attempt_stamped(services, wish, state, action, stamp, told=told)
        outcome: Outcome = (
            judge_guarded(old_item(result), stamp) if isinstance(result, Refused) else result
        )
        if isinstance(result, Refused) and wants_base(wish, side, old_item(result)):
            return None
        services.metrics.observe(
            metric_names.LEADER_SECONDS, wish.table.name,
            value=services.clock.monotonic_seconds() - started,
        )  # fmt: skip
        if isinstance(outcome, Applied):
            count_units(services, wish.table, side, outcome.reply)
            return stamp, dict(outcome.reply)
        if isinstance(outcome, RefusedAsOlder):
            await restamped_foreign(services, wish.table, side, outcome.item)
            await services.pause(tries)
            continue
        if isinstance(outcome, ConditionFalse) and await mapped(services, wish, side, outcome.item):
            continue
        await refuse(services, wish, side, outcome, unknown="leader write unknown")
    raise busy()


async def reread(services: Services, wish: Wish, side: Side) -> Item | None:
    """The leader's item after an update whose own reply did not hold all of it.

    It may be a later one already: that image is mirrored under the later stamp, which is right.
    """
    request = {
        "TableName": wish.table.side(side).name,
        "Key": side_key(wish, side),
        "ConsistentRead": True,
    }
    try:
        return (await services.engine.call("GetItem", request)).get("Item") or None
    except EngineError:
        return None


async def image_row(services: Services, wish: Wish, side: Side, image: Item | None) -> Row | None:
    """The row of a post-image; None where it cannot be told, or has no place on the other side."""
    if not image:
        return None
    try:
        row = await answered(services.parents, row_from_stored, wish.table, image, side)
    except EngineError:
        return None
    return row if isinstance(row, Row) and row.stamp is not None else None


async def _reply(
    services: Services, wish: Wish, state: TableState, reply: Body, row: Row | None
) -> Body:
    """The client's reply, in its dialect, with the leader's capacity alone.

    Raises ClientError 500 where it cannot be told: the write stands all the same.
    """
    side = state.phase.leader
    attributes = reply.get("Attributes")
    shown = besides(wish, side, reply, _images(wish, side, attributes, row))
    if not attributes or wish.return_values == "NONE":
        return shown
    if wish.return_values.startswith("UPDATED"):
        attributes = _updated_view(wish, side, attributes)
    elif wish.return_values == "ALL_NEW" and row is not None:
        attributes = row.seen(wish.dialect)
    else:
        try:
            attributes = await client_item(services, wish.table, attributes, side, wish.dialect)
        except ClientError as error:
            raise unknown_error() from error
    return {**shown, "Attributes": attributes} if attributes else shown


def _images(wish: Wish, side: Side, attributes: Item | None, row: Row | None) -> list[Item]:
    """The stored images of a write that are at hand: its own reply's, and what a Put put."""
    if not asks_capacity(wish.body):
        return []
    images = [attributes] if attributes and not wish.return_values.startswith("UPDATED") else []
    if row is not None:
        images.append(row.stamped(row.stamp or FLOOR).stored(side))
    return images


def _updated_view(wish: Wish, side: Side, attributes: Item) -> Item:
    """Touched attributes; an update that writes swapped names never comes this way."""
    shown = visible(attributes)
    if wish.dialect is side:
        return shown
    return {name: value for name, value in shown.items() if name not in wish.table.swapped}
