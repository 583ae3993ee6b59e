"""BatchExecuteStatement that names managed tables: served statement by statement, those of other
tables as one batch of their own."""

from dualwrite.core.errors import ClientError, LeaseExpired, ValidationError
from dualwrite.core.items import Key, key_token
from dualwrite.core.partiql import Exists, Select, shown_of_one
from dualwrite.core.phases import Side
from dualwrite.core.plan import key_on
from dualwrite.core.requests import Body
from dualwrite.proxy.batches import bounded
from dualwrite.proxy.services import Services, States, call
from dualwrite.proxy.statements import (
    EXISTS_MISPLACED,
    Asked,
    Faulty,
    Foreign,
    Member,
    asked_of_all,
    change,
    kinds,
    read_one,
)

STATEMENTS_MAX = 25
"""AWS: BatchExecuteStatement takes at most 25 statements."""

_ERRORS = {
    "ValidationException": "ValidationError",
    "ThrottlingException": "ThrottlingError",
    "ServiceUnavailable": "InternalServerError",
    "AccessDeniedException": "AccessDenied",
}
"""How a batch words what a single statement is refused for, where it is not the plain name."""


async def serve(
    services: Services, body: Body, members: tuple[Member, ...], states: States
) -> Body:
    """Each statement has its own answer, in order; what fails is an error among them. Raises
    ClientError for a batch that is none."""
    if len(members) > STATEMENTS_MAX:
        raise ValidationError(
            "1 validation error detected: Value at 'statements' failed to satisfy constraint: "
            f"Member must have length less than or equal to {STATEMENTS_MAX}"
        )
    if len(kinds(members)) > 1:
        raise ValidationError(
            "Read and write requests together in the same batch is not supported."
        )
    _refuse_twice(members)
    answers: list[Body] = [{} for _ in members]
    capacities: list[Body | None] = [None for _ in members]

    async def one(position: int) -> None:
        member = members[position]
        answers[position], capacities[position] = await _answered(services, body, member, states)

    others = [at for at, member in enumerate(members) if isinstance(member, Foreign)]
    await bounded((at for at in range(len(members)) if at not in others), one)
    if others:
        request = {**body, "Statements": [members[at].body for at in others]}
        reply = await call(services, "BatchExecuteStatement", request)
        for at, answer in zip(others, reply.get("Responses") or (), strict=False):
            answers[at] = answer
        for at, capacity in zip(others, reply.get("ConsumedCapacity") or (), strict=False):
            capacities[at] = capacity
    told: Body = {"Responses": answers}
    if body.get("ReturnConsumedCapacity", "NONE") != "NONE":
        told["ConsumedCapacity"] = [each for each in capacities if each is not None]
    return told


def _refuse_twice(members: tuple[Member, ...]) -> None:
    """No two statements may be about one row, by whichever of its names they call it."""
    seen: set[str] = set()
    for member in members:
        if not isinstance(member, Asked):
            continue
        try:
            key = _key_of(member)
            if key is None:
                continue
            key = key_on(member.table, key, member.dialect, Side.OLD)
        except ClientError:
            continue  # it is answered with its own error
        token = member.table.name + key_token(key, member.table.old.keys)
        if token in seen:
            raise ValidationError("Provided list of item keys contains duplicates")
        seen.add(token)


def _key_of(member: Asked) -> Key | None:
    return member.wish({}).key if member.statement.writes else member.key()


async def _answered(
    services: Services, body: Body, member: Member, states: States
) -> tuple[Body, Body | None]:
    """One statement's answer, and what it consumed."""
    if isinstance(member, Faulty):
        return {"Error": _worded(member.error)}, None
    assert isinstance(member, Asked), "others are sent together"
    state, also = states[member.table.name], asked_of_all(body)
    named: Body = {}
    try:
        if isinstance(member.statement.parsed, Exists):
            raise ValidationError(EXISTS_MISPLACED)
        if isinstance(member.statement.parsed, Select):
            reply = await read_one(services, member, state, also)
            named = {"TableName": member.name}
            if "Item" in reply:
                paths = member.statement.parsed.paths
                named["Item"] = shown_of_one(paths, reply["Item"])
        else:
            member.wish(also)
            named = {"TableName": member.name}
            reply = await change(services, member, state, also)
            if "Attributes" in reply:
                named["Item"] = reply["Attributes"]
    except ClientError as error:
        return {"Error": _worded(error), **named}, None
    except LeaseExpired as error:
        return {"Error": {"Code": "InternalServerError", "Message": str(error)}, **named}, None
    return named, reply.get("ConsumedCapacity")


def _worded(error: ClientError) -> Body:
    """An error as a member of a batch's answer."""
    code = _ERRORS.get(error.code, error.code.removesuffix("Exception"))
    return {"Code": code, "Message": error.message, **error.fields}
