"""TransactWriteItems that touches managed tables.

One transaction goes upstream: each action on its leader; on a table in atomic mode its follower's
image too. Followers of tables in mirror mode are written after it.
"""

from dualwrite.core.assembling import Action
from dualwrite.core.client_tokens import Claim, claim_of
from dualwrite.core.errors import (
    ClientError,
    Refused,
    Unreachable,
    ValidationError,
)
from dualwrite.core.items import TRANSACTION_ACTIONS_MAX, key_token
from dualwrite.core.key_values import Misfit
from dualwrite.core.naming import short_name
from dualwrite.core.phases import Kind, Mode, Phase, Side
from dualwrite.core.plan import (
    absence_check,
    decided_action,
    false_check,
    follower_write,
    leader_action,
    needs_evaluation,
    only_removes,
    outgrows,
    pass_parameters,
    side_key,
    verb_of,
)
from dualwrite.core.requests import (
    Body,
    Verb,
    Wish,
    managed,
    parsed_texts,
    wish,
)
from dualwrite.core.settle import (
    CONDITION_FAILED,
    Applied,
    Failed,
    Unknown,
    busy,
    unknown_error,
    unreachable_error,
    unreached_error,
)
from dualwrite.core.shapes import shaped
from dualwrite.proxy import atomic, based, big, claims, writes
from dualwrite.proxy.cancelled import Part, again, client_error, refused_alone
from dualwrite.proxy.mirroring import mirror
from dualwrite.proxy.rows import place
from dualwrite.proxy.services import TRIES_MAX, Services, States, count_units_of, queue_repair
from dualwrite.proxy.views import capacity_as, collection


async def write(services: Services, body: Body, states: States, claim: Claim | None = None) -> Body:
    """Carry out a client's transaction; raises ClientError.

    ``claim``: of the client's token, where the body was not the client's own.
    """
    body = shaped(body, "TransactWriteItems")
    claim = claim or claim_of(body.get("ClientRequestToken"), body.get("TransactItems"))
    parts = await _parts(services, body, states)
    await big.count_if_big(services, parts)
    for tries in range(TRIES_MAX):
        for part in parts:
            try:
                await _prepare(services, part)
            except ClientError as error:
                if await claims.applied_before(services, claim, states):
                    return await _repeated(services, body, parts, tries)
                raise refused_alone(parts, part, error) from error
        request, inside = _request(services, body, parts, states, claim)
        beside = claim if not inside else None
        if await claims.applied_before(services, beside, states):
            return await _repeated(services, body, parts, tries)
        outcome, reply = await atomic.transact(services, request, states.values())
        match outcome:
            case Applied():
                if beside is not None:
                    await claims.remember(services, beside, states)
                await _mirror_all(services, parts)
                return _reply(services, body, parts, reply)
            case Unknown(refused=refused):
                # Here the claim may be that of the first try, which nobody has mirrored.
                if refused and await claims.stood(services, claim, states, refused, inside=inside):
                    return await _repeated(services, body, parts, tries + 1)
                await _queue_all(services, parts)
                raise unknown_error()
            case Failed(Refused() as refused):
                if await claims.stood(services, claim, states, refused, inside=inside):
                    return await _repeated(services, body, parts, tries)
                if inside:
                    refused = claims.without_claim(refused)
                big.refuse_large(parts, refused)
                if not await again(services, parts, refused):
                    raise await client_error(services, parts, refused)
                await services.pause(tries)
            case Failed(Unreachable() as unreachable):
                raise unreached_error(unreachable)
            case _:
                raise unreachable_error()
    raise busy()


async def _repeated(services: Services, body: Body, parts: list[Part], tries: int) -> Body:
    """The client's request was carried out before, perhaps by an earlier try of this call, which
    did not hear of it and did not mirror it."""
    if tries:
        await _queue_all(services, parts)
    return await claims.repeated(services, body, parts)


# -- before -----------------------------------------------------------------------------------


async def _parts(services: Services, body: Body, states: States) -> list[Part]:
    actions = body.get("TransactItems")
    if not actions:
        raise ValidationError(
            "1 validation error detected: Value at 'transactItems' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1"
        )
    if len(actions) > TRANSACTION_ACTIONS_MAX:
        raise ValidationError(
            "1 validation error detected: Value at 'transactItems' failed to satisfy constraint: "
            f"Member must have length less than or equal to {TRANSACTION_ACTIONS_MAX}"
        )
    parts: list[Part] = []
    misfit: tuple[Part, Misfit] | None = None
    for action in actions:
        verbs = list(shaped(action, "TransactWriteItem"))
        if len(verbs) != 1:
            raise ValidationError(
                "TransactItems can only contain one of Check, Put, Update or Delete"
            )
        verb = Verb(verbs[0])
        part = Part(verb, shaped(action[verb], verb))
        found = managed(services.migration, short_name(part.body.get("TableName")))
        parts.append(part)
        if found is None:
            continue
        try:
            part.wish = wish(verb, *found, part.body)
        except Misfit as error:
            misfit = misfit or (part, error)
        parsed_texts(part.body)
        if part.wish is None:
            continue
        part.state = states[found[0].name]
        part.put_row = await place(services, part.wish, part.state.phase)
    if misfit is not None:
        raise refused_alone(parts, *misfit)
    _refuse_twice(parts)
    return parts


def _refuse_twice(parts: list[Part]) -> None:
    """Two names, one row: the engine would not see that both dialects mean the same item."""
    seen: set[str] = set()
    for part in parts:
        if part.wish is None:
            continue
        table = part.wish.table
        token = table.name + key_token(side_key(part.wish, Side.OLD), table.old.keys)
        if token in seen:
            raise ValidationError(
                "Transaction request cannot include multiple operations on one item"
            )
        seen.add(token)


async def _prepare(services: Services, part: Part) -> None:
    """Fill in the upstream actions of one part, under a fresh stamp."""
    wanted, state = part.wish, part.state
    if wanted is None or state is None or state.phase is Phase.OFF:
        part.members = [(part.verb, part.body)]
        return
    if wanted.table.kind is Kind.IN_PLACE:
        derived = part.verb is Verb.PUT
        item = {"Item": await writes.with_derived(services, wanted)} if derived else {}
        part.members = [(part.verb, {**part.body, **item})]
        return
    leader = state.phase.leader
    part.stamp, part.seen, part.after = services.stamps.next(state.epoch), None, None
    atomic_mode = state.phase.mode is Mode.ATOMIC
    evaluated = wanted.dialect is not leader or needs_evaluation(wanted) or only_removes(wanted)
    if part.verb is Verb.UPDATE and (atomic_mode or evaluated):
        await _on_base(services, part, leader)
    else:
        part.after = part.put_row.stamped(part.stamp) if part.put_row else None
        action = leader_action(wanted, leader, part.stamp, part.after)
        part.members = [(part.verb, action)]
        if outgrows(action):
            await _on_base(services, part, leader)
    if atomic_mode and part.members[0][0] is not Verb.CHECK:
        action = _follow(part, leader.other)
        part.members.append((verb_of(action), action))


async def _on_base(services: Services, part: Part, leader: Side) -> None:
    """The leader's action where it stands on a base that was read; raises the client's error."""
    wanted = part.wish
    assert wanted is not None, "only parts of managed tables have a leader"
    assert part.state is not None, "and a state"
    base = await based.read_base(services, wanted, leader)
    part.seen = base.seen
    # What stands on a base must be newer than it: the base may be younger than this request.
    part.stamp = services.stamps.next(part.state.epoch)
    try:
        part.members = [await _decided(services, part, wanted, leader, base)]
    except ClientError as error:
        if error.code != CONDITION_FAILED:
            raise
        part.members = [(Verb.CHECK, false_check(wanted, leader))]


async def _decided(
    services: Services, part: Part, wanted: Wish, leader: Side, base: based.Base
) -> tuple[Verb, Action]:
    """The leader's action on a base; raises the client's error."""
    if based.makes_nothing(wanted, base):
        check = absence_check(wanted, leader)
        if outgrows(check):
            await based.require_condition(services, wanted, base)
            check = decided_action(wanted, leader, part.stamp, base.seen, None)
        return Verb.CHECK, check
    if part.verb is Verb.UPDATE:
        after = await based.evaluate(services, wanted, base, None)
        assert after is not None, "an update leaves an item"
        part.after = after.stamped(part.stamp)
    action = await based.leader_write(services, wanted, leader, part.stamp, base, part.after)
    return (part.verb if part.verb is Verb.CHECK else verb_of(action)), action


def _follow(part: Part, follower: Side) -> Action:
    wanted = part.wish
    assert wanted is not None, "only parts of managed tables have a follower"
    return follower_write(wanted, follower, part.stamp, part.after)


def _request(
    services: Services, body: Body, parts: list[Part], states: States, claim: Claim | None
) -> tuple[Body, bool]:
    """What goes upstream, and whether it holds the claim of the client's token: a transaction that
    is full without it has it beside."""
    big.refuse_many(parts)
    members = [{verb.value: action} for part in parts for verb, action in part.members]
    inside = claim is not None and len(members) < TRANSACTION_ACTIONS_MAX
    if claim is not None and inside:
        members.insert(0, claims.member(services, claim, states))
    request = pass_parameters(body, {"TransactItems": members})
    if claim is not None and not inside:
        token = claim.upstream_token
    else:
        # Each try is a transaction of its own: its stamps differ, or what it was made from.
        token = f"{services.random.getrandbits(36 * 4):036x}"
    request["ClientRequestToken"] = token
    return request, inside


# -- after ------------------------------------------------------------------------------------


async def _mirror_all(services: Services, parts: list[Part]) -> None:
    for part in parts:
        if not part.mirrored:
            continue
        wanted, state = part.wish, part.state
        assert wanted is not None, "mirrored parts are managed"
        assert state is not None, "mirrored parts are managed"
        leader = state.phase.leader
        if part.members[0][0] is Verb.CHECK:
            continue
        if part.verb is Verb.UPDATE and part.after is None:
            image = await writes.reread(services, wanted, leader)
            part.after = await writes.image_row(services, wanted, leader, image)
            if part.after is None:
                key = side_key(wanted, leader)
                await queue_repair(services, wanted.table, leader, key, "no post-image to mirror")
                continue
            part.stamp = part.after.stamp or part.stamp
        action = _follow(part, leader.other)
        await mirror(services, wanted.table, action, part.stamp)


async def _queue_all(services: Services, parts: list[Part]) -> None:
    for part in parts:
        if part.wish is not None and part.state is not None and part.stamp:
            leader = part.state.phase.leader
            key = side_key(part.wish, leader)
            await queue_repair(services, part.wish.table, leader, key, "transaction unknown")


def _reply(services: Services, body: Body, parts: list[Part], reply: Body) -> Body:
    shown: Body = {}
    capacities = reply.get("ConsumedCapacity") or ()
    for capacity in capacities:
        count_units_of(services, capacity)
    first = {part.members[0][1]["TableName"]: part for part in reversed(parts)}
    if body.get("ReturnConsumedCapacity", "NONE") != "NONE":
        shown["ConsumedCapacity"] = [
            capacity_as(capacity, first[capacity["TableName"]].body["TableName"])
            for capacity in capacities
            if capacity["TableName"] in first
        ]
    collections: dict[str, list[Body]] = {}
    for name, metrics in (reply.get("ItemCollectionMetrics") or {}).items():
        if name in first:
            collections[first[name].body["TableName"]] = [
                _collection(first[name], entry) for entry in metrics
            ]
    return {**shown, "ItemCollectionMetrics": collections} if collections else shown


def _collection(part: Part, entry: Body) -> Body:
    if part.wish is None or part.state is None:
        return entry
    return collection(part.wish.table, entry, part.state.phase.leader, part.wish.dialect)
