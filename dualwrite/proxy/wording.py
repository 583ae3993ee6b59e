"""What is wrong with a request is told as the engine behind tells it.

Our own checks must find all that DynamoDB refuses, for half of a write would stand otherwise; their
words are AWS's. But engines word things in their own ways, and clients' test suites are written
against an engine. So a request that our checks refuse goes to it in a form that does no harm: reads
as they are, writes under a condition that is never true. Where the engine finds the request wrong
too, its words are told; where it does not, ours stand.
"""

from collections.abc import Mapping
from typing import Any

from dualwrite.core.errors import ClientError, EngineError, ValidationError
from dualwrite.core.items import PAGE
from dualwrite.core.phases import Mode
from dualwrite.core.requests import Body
from dualwrite.core.settle import CANCELED
from dualwrite.proxy.dispatch import Call
from dualwrite.proxy.messages import Answer
from dualwrite.proxy.passing import ask, error_code
from dualwrite.proxy.services import Services

NEVER = "attribute_exists(dw_never) AND attribute_not_exists(dw_never)"
"""A condition that no item meets."""
OWN_BYTES_MAX = 1024
"""A longer condition of the client's could grow over DynamoDB's bounds by ours."""
LEGACY = frozenset({"Expected", "ConditionalOperator", "AttributeUpdates"})
"""Parameters that DynamoDB takes beside no expression."""
FOUND_WRONG = frozenset({"ValidationException", "SerializationException", CANCELED})
"""How an engine says that a request is wrong."""


class Worded(ClientError):
    """An error that is told as the engine told it."""

    def __init__(self, code: str, reply: Answer) -> None:
        super().__init__(code, "in the engine's words", status=reply.status)
        self.reply = reply


async def worded(services: Services, call: Call, error: ClientError) -> ClientError:
    """The engine's own error for a request that our checks refused with ``error``; that one, where
    the engine has none or cannot be asked."""
    if not isinstance(error, ValidationError):
        return error
    for table, dialects in call.tables.values():
        state = call.states.get(table.name)
        if state is None:
            return error
        if state.phase.mode is Mode.SINGLE and dialects != {state.phase.leader}:
            return error  # the client's own table may be gone, or not be there yet
    request = _harmless(call, error.message)
    if request is None:
        return error
    try:
        reply = await ask(services, call.request, call.target, request)
    except (EngineError, ValidationError):  # the latter: it is not even JSON
        return error
    code = error_code(reply)
    return Worded(code, reply) if code in FOUND_WRONG else error


def _harmless(call: Call, found: str) -> Body | None:
    """The request in a form that changes nothing; None where there is none."""
    match call.operation:
        case "GetItem" | "Query" | "Scan" | "BatchGetItem" | "TransactGetItems":
            return _unpinned(call.body)
        case "PutItem" | "UpdateItem" | "DeleteItem":
            return _never(call.body, found)
    return None


def _unpinned(body: Body) -> Body:
    start = body.get("ExclusiveStartKey")
    if not isinstance(start, Mapping):
        return body
    return {**body, "ExclusiveStartKey": {name: start[name] for name in start if name != PAGE}}


def _never(body: Body, found: str) -> Body | None:
    """A write that is never carried out. What is wrong with expressions is told in the same words
    by every engine, but another condition would change them."""
    own: Any = body.get("ConditionExpression", "")
    if "Expression" in found or not LEGACY.isdisjoint(body):
        return None
    if not isinstance(own, str) or len(own) > OWN_BYTES_MAX:
        return None
    return {**body, "ConditionExpression": f"({own}) AND {NEVER}" if own else NEVER}
