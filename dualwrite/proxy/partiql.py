"""ExecuteStatement, BatchExecuteStatement and ExecuteTransaction that name managed tables.

A mutation takes the way of its twin: PutItem that must create, UpdateItem of what is there,
DeleteItem. A SELECT takes that of Query, Scan or GetItem.
"""

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import check_value
from dualwrite.core.partiql import Exists, Select
from dualwrite.core.requests import Body
from dualwrite.core.shapes import shaped
from dualwrite.proxy import statement_batches, statement_transactions
from dualwrite.proxy.select import select
from dualwrite.proxy.services import Services, States
from dualwrite.proxy.statements import (
    EXISTS_MISPLACED,
    Asked,
    Faulty,
    Member,
    asked_of_all,
    change,
    members_of,
)


async def serve(services: Services, operation: str, body: Body, states: States) -> Body:
    """One of the three operations; raises ClientError."""
    body = shaped(body, operation)
    members = members_of(services.migration, operation, body)
    for member in members:
        for value in member.body.get("Parameters") or ():
            check_value(value)  # of a request, not of one of its statements
    match operation:
        case "ExecuteStatement":
            return await _single(services, body, members[0], states)
        case "BatchExecuteStatement":
            return await statement_batches.serve(services, body, members, states)
    return await statement_transactions.serve(services, body, members, states)


async def _single(services: Services, body: Body, member: Member, states: States) -> Body:
    if isinstance(member, Faulty):
        raise member.error
    assert isinstance(member, Asked), "a statement of other tables is passed on whole"
    state = states[member.table.name]
    if isinstance(member.statement.parsed, Exists):
        raise ValidationError(EXISTS_MISPLACED)
    if isinstance(member.statement.parsed, Select):
        return await select(services, member, state)
    reply = await change(services, member, state, asked_of_all(body))
    answer: Body = {"Items": [reply["Attributes"]] if "Attributes" in reply else []}
    if "ConsumedCapacity" in reply:
        answer["ConsumedCapacity"] = reply["ConsumedCapacity"]
    return answer
