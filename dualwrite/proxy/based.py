"""A write that stands on a base which was read: every update in atomic mode, whatever wants
return values there, and updates that change what the hidden map holds.

The leader is read consistently, the client's expression is evaluated on it, and the write holds
only if the base still stands there. So the client's condition is decided once, by the leader, and
return values come exactly from the base and the image.
"""

from dataclasses import dataclass, replace

from dualwrite.core.assembling import Action
from dualwrite.core.errors import Refused, ValidationError
from dualwrite.core.expressions import apply, creates, holds, names_written
from dualwrite.core.items import Item, canonical, same, stamp_of
from dualwrite.core.key_values import check_index_keys
from dualwrite.core.phases import Mode, Side, TableState
from dualwrite.core.plan import (
    Seen,
    based_action,
    decided_action,
    follower_write,
    outgrows,
    parsed_condition,
    parsed_update,
    pass_parameters,
    side_key,
)
from dualwrite.core.requests import Body, Verb, Wish
from dualwrite.core.room import fits_both
from dualwrite.core.settle import (
    Applied,
    ConditionFalse,
    Moved,
    Outcome,
    busy,
    judge_based,
    old_item,
)
from dualwrite.core.spec import MigratedTable
from dualwrite.core.transform import Row, annotated
from dualwrite.proxy import atomic
from dualwrite.proxy.mirroring import mirror
from dualwrite.proxy.refusals import refuse
from dualwrite.proxy.rows import client_row, mapped, stored_row
from dualwrite.proxy.services import (
    TRIES_MAX,
    Services,
    attempt_stamped,
    call,
    count_units,
    restamped_foreign,
)
from dualwrite.proxy.views import besides, returned

NOTHING_WRITTEN = {"ConsumedCapacity": {"CapacityUnits": 1.0, "Table": {"CapacityUnits": 1.0}}}
"""AWS charges one write unit for a write that finds no item."""


@dataclass(frozen=True, slots=True)
class Base:
    """The leader's item as it was read."""

    item: Item | None
    row: Row | None

    @property
    def seen(self) -> Seen:
        return Seen(self.item is not None, stamp_of(self.item))


async def write(services: Services, wish: Wish, state: TableState, row: Row | None) -> Body:
    """Carry out one mutation on its base; ``row`` is a Put's. Raises ClientError."""
    leader = state.phase.leader
    for tries in range(TRIES_MAX):
        base = await read_base(services, wish, leader)
        if makes_nothing(wish, base):
            return await _nothing(services, wish, state)
        after = await evaluate(services, wish, base, row)
        stamp = services.stamps.next(state.epoch)
        after = after.stamped(stamp) if after is not None else None
        action = await leader_write(services, wish, leader, stamp, base, after)
        if state.phase.mode is Mode.ATOMIC:
            follow = follower_write(wish, leader.other, stamp, after)
            outcome, reply = await atomic.send(
                services, wish, state, base.seen, stamp, action, follow
            )
        else:
            outcome, reply = await _one(services, wish, state, base.seen, stamp, action)
        if isinstance(outcome, Moved):
            await services.pause(tries)
            continue
        if not isinstance(outcome, Applied):
            await refuse(services, wish, leader, outcome, unknown="write unknown")
        if state.phase.mode is Mode.MIRROR:
            count_units(services, wish.table, leader, reply)
            follow = follower_write(wish, leader.other, stamp, after)
            await mirror(services, wish.table, follow, stamp)
        images = [base.item] if base.item is not None else []
        images += [after.stored(leader)] if after is not None else []
        shown = besides(wish, leader, reply, images)
        before = None if base.row is None else base.row.seen(wish.dialect)
        return shown | returned(wish, before, None if after is None else after.seen(wish.dialect))
    raise busy()


def makes_nothing(wish: Wish, base: Base) -> bool:
    """An update that only removes makes no item where none is; our stamp must not make one."""
    if base.item is not None or wish.verb is not Verb.UPDATE:
        return False
    update = parsed_update(wish)
    return bool(update.paths) and not creates(update)


async def _nothing(services: Services, wish: Wish, state: TableState) -> Body:
    """The reply to such an update: only its condition matters, on an item that is not there."""
    condition = parsed_condition(wish)
    if condition is not None and not holds(condition, {}):
        await refuse(services, wish, state.phase.leader, ConditionFalse(None))
    return besides(wish, wish.dialect, NOTHING_WRITTEN)


async def read_base(services: Services, wish: Wish, side: Side) -> Base:
    """The leader's item by a consistent read, with the map that the wish's condition may need;
    stamps given out from now on are newer than its own. Raises ClientError."""
    request = {
        "TableName": wish.table.side(side).name,
        "Key": side_key(wish, side),
        "ConsistentRead": True,
    }
    for tries in range(TRIES_MAX):
        item = (await call(services, "GetItem", request)).get("Item") or None
        if await restamped_foreign(services, wish.table, side, item):
            continue
        if not await mapped(services, wish, side, item):
            row = None if item is None else await stored_row(services, wish.table, item, side)
            return Base(item, row)
        await services.pause(tries)
    raise busy()


async def evaluate(services: Services, wish: Wish, base: Base, row: Row | None) -> Row | None:
    """The row after the write; None for a delete. Raises the client's error."""
    if wish.verb is Verb.DELETE:
        return None
    if wish.verb is Verb.PUT:
        return row
    view = None if base.row is None else base.row.seen(wish.dialect)
    update = parsed_update(wish)  # what is wrong with its text is told before a false condition
    try:
        after = apply(update, view or {}, wish.key)
        written = {name: after[name] for name in names_written(update) if name in after}
        # What stands there already may be older than the index, which then has no entry of it.
        check_index_keys(written, wish.table.side(wish.dialect), updated=wish.meant is None)
    except ValidationError:
        await require_condition(services, wish, base)
        raise
    return await _evolved(services, wish.table, base.row, after, wish.dialect)


async def require_condition(services: Services, wish: Wish, base: Base) -> None:
    """Raises the client's error where its condition is false of the base."""
    view = None if base.row is None else base.row.seen(wish.dialect)
    condition = parsed_condition(wish)
    if condition is not None and not holds(condition, view or {}):
        await refuse(services, wish, wish.dialect, ConditionFalse(None), view=view)


async def _evolved(
    services: Services, table: MigratedTable, before: Row | None, after: Item, dialect: Side
) -> Row:
    """The row after an update. Where it left the dialect's own swapped values and the sources
    alone, the other dialect's values stay too: a legacy row keeps what no rule would give."""
    if before is not None:
        own = {name: after[name] for name in table.swapped if name in after}
        sources = table.sources - table.swapped if dialect is Side.OLD else ()
        untouched = canonical({"M": own}) == canonical({"M": before.of(dialect)})
        if untouched and all(before.body.get(name) == after.get(name) for name in sources):
            body = {name: value for name, value in after.items() if name not in table.swapped}
            return replace(before, body=body)
    return await client_row(services, table, after, dialect)


async def leader_write(
    services: Services, wish: Wish, side: Side, stamp: str, base: Base, after: Row | None
) -> Action:
    """The leader's part: a Put's item, or the client's own expression, and what else changes with
    it: the hidden map, and for the other dialect the side's own words. Raises the client's error
    where its condition had to be decided here and is false."""
    if wish.verb is Verb.UPDATE and wish.dialect is not side and base.item is None:
        # An update of an absent item may read its key, which here would be a word of a map that
        # is not there yet.
        await require_condition(services, wish, base)
        if after is not None and not fits_both(wish.table, after):
            raise ValidationError("Item size to update has exceeded the maximum allowed size")
        return decided_action(wish, side, stamp, base.seen, after)
    image = after
    if wish.verb is Verb.UPDATE and after is not None and base.item is not None:
        words = {} if base.row is None else base.row.of(side)
        same_words = wish.dialect is side or same(words, after.of(side))
        if same_words and annotated(wish.table, base.item, after, side):
            image = None
    action = based_action(wish, side, stamp, base.seen, image)
    if not outgrows(action):
        return action
    await require_condition(services, wish, base)
    return decided_action(wish, side, stamp, base.seen, after)


async def _one(
    services: Services, wish: Wish, state: TableState, seen: Seen, stamp: str, action: Action
) -> tuple[Outcome, Body]:
    """The leader's write alone. A base without a stamp may come back unseen, so that a repeat over
    it would prove nothing."""
    pass_parameters(wish.body, action)
    told = seen.stamp is not None
    result = await attempt_stamped(services, wish, state, action, stamp, told=told)
    if isinstance(result, Refused):
        return judge_based(old_item(result), seen.exists, seen.stamp), {}
    return result, dict(result.reply) if isinstance(result, Applied) else {}
