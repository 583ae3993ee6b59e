"""Clients' tokens on the way of a transaction: claimed in it, and what a repetition is told."""

from typing import Any

from dualwrite.core.client_tokens import Claim, Standing, begun_under, mismatch
from dualwrite.core.errors import RETRYABLE, EngineError, Refused
from dualwrite.core.items import Item
from dualwrite.core.plan import side_key
from dualwrite.core.requests import Body, Verb
from dualwrite.core.settle import (
    CANCELED,
    CONDITION_FALSE,
    is_conflict,
    reasons_of,
    unknown_error,
    unreachable_error,
)
from dualwrite.core.vouching import may_follow
from dualwrite.proxy.cancelled import Part
from dualwrite.proxy.services import Services, States, log
from dualwrite.proxy.views import capacity_as

MISMATCH = "IdempotentParameterMismatchException"
_OF_CONDITIONS = frozenset({"None", CONDITION_FALSE})


def member(services: Services, claim: Claim, states: States) -> Body:
    """The action that claims the token. It stands first, so that it is judged in any case."""
    return {Verb.PUT.value: _put(services, claim, states)}


async def applied_before(
    services: Services,
    claim: Claim | None,
    states: States,
    refused: Refused | None = None,
    *,
    inside: bool = False,
) -> bool:
    """Whether the request had been carried out under its token.

    ``refused`` is what the transaction heard, ``inside`` says that it held the claim: then its
    reasons tell, else the record is read. Raises ClientError for a token of another request, and
    where it cannot be told.
    """
    if claim is None:
        return False
    if refused is not None:
        if is_conflict(refused) or refused.code in RETRYABLE:
            return False
        reasons = reasons_of(refused)
        if inside and reasons and {_code(reason) for reason in reasons} <= _OF_CONDITIONS:
            record = reasons[0].get("Item")
            if _code(reasons[0]) == "None":
                return False
            if record:
                # It was not yet forgotten when it cancelled us, whatever the time is now.
                return await _same(services, claim, states, record, 0)
    request = {"TableName": services.migration.control_table, "Key": claim.key()}
    try:
        reply = await services.engine.call("GetItem", {**request, "ConsistentRead": True})
    except EngineError as error:
        raise unreachable_error() from error
    return await _same(services, claim, states, reply.get("Item"), services.clock.wall_ms())


async def stood(
    services: Services, claim: Claim | None, states: States, refused: Refused, *, inside: bool
) -> bool:
    """Whether a transaction was refused because its request had been carried out before; raises as
    ``applied_before``."""
    if claim is not None and not inside and refused.code == MISMATCH:
        # The token upstream is made of the client's token and request: it stands for an earlier
        # try of this very request, applied under other stamps.
        return True
    return await applied_before(services, claim, states, refused, inside=inside)


def _code(reason: Any) -> str:
    code: str = reason.get("Code", "None")
    return code


async def _same(
    services: Services, claim: Claim, states: States, record: Item | None, now_ms: int
) -> bool:
    standing = claim.judge(record, now_ms)
    if standing is Standing.OTHER:
        raise mismatch()
    if record is None or standing is Standing.FREE:
        return False
    await _require_in_time(services, states, record)
    return True


async def _require_in_time(services: Services, states: States, record: Item) -> None:
    """A transaction that came too late to what follows by now has left its record too, and will be
    undone. Raises ClientError where that may be so: then nobody can tell the outcome."""
    for table, begun in begun_under(record).items():
        state = states.get(table)
        if state is None or state.epoch <= begun:
            continue  # no state passes the next one while this request is under way
        try:
            state = await services.epochs.look(table)
        except EngineError as error:
            raise unknown_error() from error
        if not may_follow(begun, state.epoch):
            raise unknown_error()


def _put(services: Services, claim: Claim, states: States) -> Body:
    now_ms = services.clock.wall_ms()
    return claim.put(services.migration.control_table, now_ms, states.values())


def without_claim(refused: Refused) -> Refused:
    """The refusal of a transaction that held a claim, without the claim's own reason."""
    if refused.code != CANCELED:
        return refused
    fields = {**refused.fields, "CancellationReasons": list(reasons_of(refused))[1:]}
    return Refused(refused.code, refused.message, refused.status, fields)


async def remember(services: Services, claim: Claim, states: States) -> None:
    """Bind a token after its transaction, which had no room for the claim. The transaction stands,
    so nothing that happens here is the client's matter."""
    try:
        await services.engine.call("PutItem", _put(services, claim, states))
    except EngineError as error:
        log.warning("token not remembered", error=str(error))


async def repeated(services: Services, body: Body, parts: list[Part]) -> Body:
    """The reply to a repetition: nothing is written, and AWS tells the read units of the items."""
    if body.get("ReturnConsumedCapacity", "NONE") == "NONE":
        return {}
    names: dict[str, str] = {}
    gets = []
    for part in parts:
        if part.wish is not None and part.state is not None:
            side = part.state.phase.leader
            key, name = side_key(part.wish, side), part.wish.table.side(side).name
        elif "Key" in part.body:
            key, name = part.body["Key"], part.body["TableName"]
        else:
            continue  # a Put of a table that we do not know: its key cannot be told
        names.setdefault(name, part.body["TableName"])
        gets.append({"Get": {"TableName": name, "Key": key}})
    if not gets:
        return {"ConsumedCapacity": []}
    asked = {"TransactItems": gets, "ReturnConsumedCapacity": body["ReturnConsumedCapacity"]}
    try:
        reply = await services.engine.call("TransactGetItems", asked)
    except EngineError:
        return {}
    return {
        "ConsumedCapacity": [
            capacity_as(capacity, names.get(capacity["TableName"], capacity["TableName"]))
            for capacity in reply.get("ConsumedCapacity") or ()
        ]
    }
