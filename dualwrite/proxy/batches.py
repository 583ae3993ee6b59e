"""BatchWriteItem that touches managed tables.

A batch goes to the leaders as one batch; it has no conditions, so its items are stamped and each is
then mirrored under the guard; reconciliation cures the rare inversion. In atomic mode each item is
a transaction of its own. What was surely not written comes back as the client's own
UnprocessedItems.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from dualwrite.core.errors import RETRYABLE, ClientError, LeaseExpired, ValidationError
from dualwrite.core.items import Item, key_token
from dualwrite.core.key_values import NO_MATCH, Keyless, check_index_keys
from dualwrite.core.naming import short_name
from dualwrite.core.phases import Kind, Mode, Phase, Side
from dualwrite.core.plan import follower_write, pass_parameters, side_key
from dualwrite.core.requests import Body, Verb, Wish, managed, wish
from dualwrite.core.room import fits_both
from dualwrite.core.settle import unreachable_error
from dualwrite.core.shapes import shaped
from dualwrite.core.transform import Row
from dualwrite.gathering import gathered
from dualwrite.proxy import writes
from dualwrite.proxy.mirroring import mirror
from dualwrite.proxy.rows import place
from dualwrite.proxy.services import Services, States, call, count_units_of, queue_repair
from dualwrite.proxy.views import capacity_as, collection, merged

T = TypeVar("T")

WRITES_MAX = 25
"""AWS: BatchWriteItem takes at most 25 put or delete requests."""
TOGETHER_MAX = 8
"""Follower writes, or transactions, of one batch that are under way at once."""


VERBS = {"PutRequest": Verb.PUT, "DeleteRequest": Verb.DELETE}
ASKED_OF_ALL = ("ReturnConsumedCapacity", "ReturnItemCollectionMetrics")
"""What a batch asks about all of its members."""


@dataclass(slots=True)
class Told:
    """What the client will hear, put together from several answers."""

    unprocessed: dict[str, list[Body]] = field(default_factory=dict)
    capacities: list[Body] = field(default_factory=list)
    collections: dict[str, list[Body]] = field(default_factory=dict)

    def reply(self, body: Body) -> Body:
        shown: Body = {"UnprocessedItems": self.unprocessed}
        if body.get("ReturnConsumedCapacity", "NONE") != "NONE":
            shown["ConsumedCapacity"] = merged(self.capacities)
        if self.collections:
            shown["ItemCollectionMetrics"] = self.collections
        return shown


@dataclass(slots=True)
class Entry:
    """One member of a batch: as the client sent it, and what became of it."""

    table_name: str
    request: Body
    wish: Wish
    row: Row | None = None
    stamp: str = ""


async def write(services: Services, body: Body, states: States) -> Body:
    """BatchWriteItem; raises ClientError before anything is written, or when all is unknown."""
    body = shaped(body, "BatchWriteItem")
    requests = body.get("RequestItems") or {}
    _check_size(requests)
    entries, others = _entries(services, body)
    for entry in entries:
        entry.row = await place(services, entry.wish, states[entry.wish.table.name].phase)
    alone = [entry for entry in entries if _mode(states, entry.wish) is Mode.ATOMIC]
    _refuse_twice(alone)
    _refuse_unfit(alone)
    together = [entry for entry in entries if _mode(states, entry.wish) is not Mode.ATOMIC]
    told = Told()
    if together or others:
        await _as_batch(services, body, states, together, others, told)
    await _one_by_one(services, alone, states, told)
    return told.reply(body)


def _check_size(requests: Body) -> None:
    sizes = [len(members) if isinstance(members, list) else 0 for members in requests.values()]
    if not sizes or not all(sizes) or sum(sizes) > WRITES_MAX:
        raise ValidationError(
            "1 validation error detected: Value at 'requestItems' failed to satisfy constraint: "
            "Map value must satisfy constraint: [Member must have length less than or equal to "
            "25, Member must have length greater than or equal to 1]"
        )


def _entries(services: Services, body: Body) -> tuple[list[Entry], Body]:
    """Members of managed tables, checked, and the rest of the batch as it came."""
    entries, others = [], {}
    asked = {name: body[name] for name in ASKED_OF_ALL if name in body}
    for name, members in body["RequestItems"].items():
        found = managed(services.migration, short_name(name))
        if found is None:
            others[name] = members
            continue
        table, dialect = found
        for member in members:
            kinds = list(shaped(member, "WriteRequest"))
            if len(kinds) != 1:
                raise ValidationError(
                    "Supplied AttributeValue has more than one datatypes set, must contain "
                    "exactly one of the supported datatypes"
                    if kinds
                    else "The batch write request list contains an empty request"
                )
            [kind] = kinds
            try:
                wanted = wish(VERBS[kind], table, dialect, {**shaped(member[kind], kind), **asked})
            except Keyless:  # a batch says it in the words for keys
                raise ValidationError(NO_MATCH) from None
            entries.append(Entry(name, member, wanted))
    return entries, others


def _mode(states: States, wanted: Wish) -> Mode:
    if wanted.table.kind is Kind.IN_PLACE:
        return Mode.SINGLE
    return states[wanted.table.name].phase.mode


def _refuse_unfit(entries: Iterable[Entry]) -> None:
    """An item that one of the sides would refuse must not leave the others of its batch written.
    The client's own side was asked with its wish."""
    for entry in entries:
        if entry.row is None:
            continue
        table, other = entry.wish.table, entry.wish.dialect.other
        check_index_keys(entry.row.seen(other), table.side(other))
        if not fits_both(table, entry.row):
            raise ValidationError("Item size has exceeded the maximum allowed size")


def _refuse_twice(entries: Iterable[Entry]) -> None:
    seen = set()
    for entry in entries:
        table = entry.wish.table
        token = table.name + key_token(side_key(entry.wish, Side.OLD), table.old.keys)
        if token in seen:
            raise ValidationError("Provided list of item keys contains duplicates")
        seen.add(token)


async def _as_batch(
    services: Services, body: Body, states: States, entries: list[Entry], others: Body, told: Told
) -> None:
    """One batch to the leaders, then each written item to its follower."""
    requests: dict[str, list[Body]] = {name: list(members) for name, members in others.items()}
    by_key: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        leader = states[entry.wish.table.name].phase.leader
        name, member = await _leader_member(services, entry, states)
        requests.setdefault(name, []).append(member)
        schema = entry.wish.table.side(leader).keys
        by_key[name, key_token(_target_of(member), schema)] = entry
    request = pass_parameters(body, {"RequestItems": requests})
    services.vouch(states.values())
    try:
        reply = await call(services, "BatchWriteItem", request)
    except ClientError as error:
        if error.status >= 500:
            for entry in entries:
                await _queue(services, entry, states, "batch write unknown")
        raise
    _hear(services, states, reply, by_key, told)
    mirrored = [
        entry
        for entry in by_key.values()
        if _mode(states, entry.wish) is Mode.MIRROR and entry.wish.table.kind is Kind.REKEY
    ]
    await bounded(mirrored, lambda entry: _mirror_entry(services, entry, states))


async def _leader_member(services: Services, entry: Entry, states: States) -> tuple[str, Body]:
    """An entry as its leader gets it: stamped, in that side's words."""
    wanted, state = entry.wish, states[entry.wish.table.name]
    leader = state.phase.leader
    name = wanted.table.side(leader).name
    if wanted.verb is Verb.DELETE:
        entry.stamp = services.stamps.next(state.epoch)
        return name, {"DeleteRequest": {"Key": side_key(wanted, leader)}}
    if wanted.table.kind is Kind.IN_PLACE:
        off = state.phase is Phase.OFF
        item = wanted.item if off else await writes.with_derived(services, wanted)
        return name, {"PutRequest": {"Item": item}}
    if state.phase is Phase.OFF:
        return name, {"PutRequest": {"Item": wanted.item}}
    assert entry.row is not None, "each Put of a rekey table has a row by now"
    entry.stamp = services.stamps.next(state.epoch)
    entry.row = entry.row.stamped(entry.stamp)
    return name, {"PutRequest": {"Item": entry.row.stored(leader)}}


def _target_of(member: Body) -> Item:
    target: Item = (
        member["PutRequest"]["Item"] if "PutRequest" in member else member["DeleteRequest"]["Key"]
    )
    return target


def _hear(
    services: Services,
    states: States,
    reply: Body,
    by_key: dict[tuple[str, str], Entry],
    told: Told,
) -> None:
    """Tell the client of a batch's answer in its own terms; what was not written leaves
    ``by_key``."""
    first = {name: entry for (name, _), entry in reversed(by_key.items())}
    for name, members in (reply.get("UnprocessedItems") or {}).items():
        found = managed(services.migration, name)
        for member in members:
            if found is None:
                told.unprocessed.setdefault(name, []).append(member)
                continue
            schema = found[0].side(found[1]).keys
            entry = by_key.pop((name, key_token(_target_of(member), schema)))
            told.unprocessed.setdefault(entry.table_name, []).append(entry.request)
    for capacity in reply.get("ConsumedCapacity") or ():
        count_units_of(services, capacity)
        name = capacity["TableName"]
        told.capacities.append(
            capacity_as(capacity, first[name].table_name if name in first else name)
        )
    for name, metrics in (reply.get("ItemCollectionMetrics") or {}).items():
        if name not in first:
            told.collections[name] = metrics
            continue
        wanted = first[name].wish
        leader = states[wanted.table.name].phase.leader
        told.collections.setdefault(first[name].table_name, []).extend(
            collection(wanted.table, each, leader, wanted.dialect) for each in metrics
        )


async def _mirror_entry(services: Services, entry: Entry, states: States) -> None:
    wanted = entry.wish
    follower = states[wanted.table.name].phase.leader.other
    action = follower_write(wanted, follower, entry.stamp, entry.row)
    await mirror(services, wanted.table, action, entry.stamp)


async def _queue(services: Services, entry: Entry, states: States, reason: str) -> None:
    if entry.wish.table.kind is Kind.REKEY:
        leader = states[entry.wish.table.name].phase.leader
        key = side_key(entry.wish, leader)
        await queue_repair(services, entry.wish.table, leader, key, reason)


async def _one_by_one(services: Services, entries: list[Entry], states: States, told: Told) -> None:
    """Atomic mode: a transaction an item. What was throttled or never sent is unprocessed; where
    one is unknown, so is the batch, once all are over. Raises ClientError."""

    async def one(entry: Entry) -> None:
        name = entry.table_name
        try:
            reply = await writes.write(services, entry.wish, states[entry.wish.table.name])
        except (ClientError, LeaseExpired) as error:
            if isinstance(error, ClientError) and not _is_unwritten(error):
                raise
            told.unprocessed.setdefault(name, []).append(entry.request)
            return
        if "ConsumedCapacity" in reply:
            told.capacities.append(capacity_as(reply["ConsumedCapacity"], name))
        if "ItemCollectionMetrics" in reply:
            told.collections.setdefault(name, []).append(reply["ItemCollectionMetrics"])

    await bounded(entries, one)


def _is_unwritten(error: ClientError) -> bool:
    """Whether an error says "not now" of a write that was surely not made."""
    return error.code in RETRYABLE or error.status == unreachable_error().status


async def bounded(members: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do ``work`` for all members, at most TOGETHER_MAX at once; the first error is raised after
    all are over."""
    gate = asyncio.Semaphore(TOGETHER_MAX)

    async def one(member: T) -> None:
        async with gate:
            await work(member)

    await gathered(one(member) for member in members)
