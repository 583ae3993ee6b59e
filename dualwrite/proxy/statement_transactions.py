"""ExecuteTransaction that names managed tables: one TransactWriteItems or TransactGetItems.

Statements of other tables come along in it, so their keys must be known: DynamoDB is asked.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dualwrite.core.client_tokens import claim_of
from dualwrite.core.errors import ClientError, ValidationError
from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.key_values import Misfit
from dualwrite.core.partiql import Change, Remove, Select, shown_of_one
from dualwrite.core.requests import Body
from dualwrite.core.settle import CANCELED, CONDITION_FALSE
from dualwrite.proxy import batch_reads, transactions
from dualwrite.proxy.cancelled import cancelled
from dualwrite.proxy.services import Services, States, call
from dualwrite.proxy.statements import (
    DUPLICATE,
    Faulty,
    Foreign,
    Member,
    Said,
    asked_of_all,
    count_write,
    kinds,
)

STATEMENTS_MAX = 100
"""AWS: ExecuteTransaction takes at most 100 statements."""
_NO_RETURNING = "RETURNING clause is not supported in ExecuteTransaction."
_NO_KEY = (
    "Select statements within ExecuteTransaction must specify the primary key in the where clause."
)


async def serve(services: Services, body: Body, members: Sequence[Member], states: States) -> Body:
    """All or nothing; raises ClientError."""
    if len(members) > STATEMENTS_MAX:
        raise ValidationError(
            "1 validation error detected: Value at 'transactStatements' failed to satisfy "
            f"constraint: Member must have length less than or equal to {STATEMENTS_MAX}"
        )
    for position, member in enumerate(members):
        if isinstance(member, Faulty):
            raise _failed(position, member.error)
        if isinstance(member, Foreign) and member.statement is None:
            raise _failed(
                position, ValidationError("Statement wasn't well formed, can't be processed")
            )
    if len(kinds(members)) > 1:
        raise ValidationError(
            "ExecuteTransaction API does not support both read and write operations in the same "
            "request."
        )
    said = [await _said(services, member) for member in members]
    if isinstance(said[0].statement.parsed, Select):
        return await _read(services, body, said, states)
    return await _write(services, body, said, states)


async def _said(services: Services, member: Member) -> Said:
    """A statement with the keys of its table; raises ClientError."""
    if isinstance(member, Said):
        return member
    assert isinstance(member, Foreign), "faulty ones were refused"
    assert member.statement is not None, "unreadable ones were refused"
    name = member.statement.table
    described = (await call(services, "DescribeTable", {"TableName": name}))["Table"]
    types = {
        each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]
    }
    names = {each["KeyType"]: each["AttributeName"] for each in described["KeySchema"]}
    keys = {kind: KeyAttribute(names[kind], types[names[kind]]) for kind in names}
    schema = KeySchema(keys["HASH"], keys.get("RANGE"))
    return Said(member.body, member.statement, name, schema)


async def _write(services: Services, body: Body, said: list[Said], states: States) -> Body:
    claim = claim_of(
        body.get("ClientRequestToken"),
        [[each.statement.tokens, each.body.get("Parameters")] for each in said],
    )
    request = {"TransactItems": _actions(said), **asked_of_all(body)}
    try:
        reply = await transactions.write(services, request, states, claim)
    except ClientError as error:
        for state in states.values():
            count_write(services, state, error.code)
        raise _reasoned(said, error) from error
    for state in states.values():
        count_write(services, state, "applied")
    answer: Body = {"Responses": []}
    if "ConsumedCapacity" in reply:
        answer["ConsumedCapacity"] = reply["ConsumedCapacity"]
    return answer


def _actions(said: list[Said]) -> list[Body]:
    """The statements as actions of TransactWriteItems; raises ClientError."""
    actions: list[Body] = []
    reasons: list[Body] = []
    for position, each in enumerate(said):
        parsed = each.statement.parsed
        if isinstance(parsed, Change | Remove) and parsed.returning != "NONE":
            raise _failed(position, ValidationError(_NO_RETURNING))
        with _judged(position, reasons):
            verb, action = each.mutation()
            actions.append({verb.value: action})
    if len(actions) < len(said):
        raise cancelled(reasons)
    return actions


@contextmanager
def _judged(position: int, reasons: list[Body]) -> Iterator[None]:
    """Gives one statement its reason: what does not fit its table cancels a transaction, what is
    wrong in itself is no transaction. Raises ValidationError."""
    try:
        yield
    except Misfit as error:
        reasons.append({"Code": "ValidationError", "Message": error.message})
    except ValidationError as error:
        raise _failed(position, error) from error
    else:
        reasons.append({"Code": "None"})


def _failed(position: int, error: ClientError) -> ValidationError:
    return ValidationError(f"Validation failed in TransactStatements[{position}]: {error.message}")


def _reasoned(said: list[Said], error: ClientError) -> ClientError:
    """A cancellation in PartiQL's words: an INSERT's condition is that there is none yet."""
    if error.code != CANCELED:
        return error
    reasons = []
    for each, reason in zip(said, error.fields["CancellationReasons"], strict=True):
        if each.inserts and reason.get("Code") == CONDITION_FALSE:
            reasons.append({"Code": "ValidationError", "Message": DUPLICATE})
        else:
            reasons.append(reason)
    return cancelled(reasons)


async def _read(services: Services, body: Body, said: list[Said], states: States) -> Body:
    actions, paths, reasons = [], [], list[Body]()
    for position, each in enumerate(said):
        parsed = each.statement.parsed
        assert isinstance(parsed, Select), "reads and writes were told apart"
        with _judged(position, reasons):
            key = each.key()
            if key is None:
                raise ValidationError(_NO_KEY)
            actions.append({"Get": {"TableName": each.name, "Key": key}})
        paths.append(parsed.paths)
    if len(actions) < len(said):
        raise cancelled(reasons)
    request = {"TransactItems": actions, **asked_of_all(body)}
    reply = await batch_reads.transact_get(services, request, states)
    answer: Body = {
        "Responses": [
            {"Item": shown_of_one(wanted, response["Item"])} if "Item" in response else {}
            for wanted, response in zip(paths, reply["Responses"], strict=True)
        ]
    }
    if "ConsumedCapacity" in reply:
        answer["ConsumedCapacity"] = reply["ConsumedCapacity"]
    return answer
