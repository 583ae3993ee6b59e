"""SELECT on a managed table: Queries, one after the other, or a Scan, each served like any other.

The NextToken holds where the next page begins: the search, and its page key, which is pinned to the
side that gave the page before.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field

import orjson

from dualwrite.core.errors import ClientError, ValidationError
from dualwrite.core.items import Item, Key, size_bytes
from dualwrite.core.partiql import Plan, Select, plan_of, shown
from dualwrite.core.phases import TableState
from dualwrite.core.requests import Body
from dualwrite.proxy import reads
from dualwrite.proxy.services import Services
from dualwrite.proxy.statements import Asked
from dualwrite.proxy.views import merged

PAGE_BYTES_MAX = 1024 * 1024
"""AWS: a page ends after 1 MB; ours after the search that passed it."""
INVALID_TOKEN = "Invalid NextToken"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: in which search, and after which key of it."""

    leg: int
    key: Key | None = None

    def token(self) -> str:
        return urlsafe_b64encode(orjson.dumps([self.leg, self.key])).decode()


def place_of(token: str | None) -> Place:
    """Where a client's token says that the page begins; raises ValidationError."""
    if token is None:
        return Place(0)
    try:
        leg, key = orjson.loads(urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError) as error:
        raise ValidationError(INVALID_TOKEN) from error
    if type(leg) is not int or leg < 0 or not (key is None or isinstance(key, dict)):
        raise ValidationError(INVALID_TOKEN)
    return Place(leg, key)


@dataclass(slots=True)
class _Page:
    """One page in the making."""

    limit: int | None
    items: list[Item] = field(default_factory=list)
    capacities: list[Body] = field(default_factory=list)
    size_bytes: int = 0

    @property
    def full(self) -> bool:
        return self.limit == 0 or self.size_bytes > PAGE_BYTES_MAX

    def take(self, plan: Plan, reply: Body) -> None:
        found: list[Item] = reply.get("Items", [])
        self.size_bytes += sum(map(size_bytes, found))
        self.items += [shown(plan.paths, item) for item in found if plan.admits(item)]
        if "ConsumedCapacity" in reply:
            self.capacities.append(reply["ConsumedCapacity"])
        if self.limit is not None:
            self.limit -= reply.get("ScannedCount", 0)

    def reply(self, following: Place | None) -> Body:
        answer: Body = {"Items": self.items}
        if following is not None:
            answer["NextToken"] = following.token()
        if self.capacities:
            [answer["ConsumedCapacity"]] = merged(self.capacities)
        return answer


async def select(services: Services, asked: Asked, state: TableState) -> Body:
    """One page; raises ClientError."""
    parsed = asked.statement.parsed
    assert isinstance(parsed, Select), "other statements are writes"
    index = None
    if parsed.index is not None:
        index = asked.table.side(asked.dialect).index(parsed.index)
        if index is None:
            raise ValidationError(f"The table does not have the specified index: {parsed.index}")
    plan = plan_of(parsed, asked.binder(), asked.keys, index)
    begin = place_of(asked.body.get("NextToken"))
    if begin.leg >= len(plan.legs):
        raise ValidationError(INVALID_TOKEN)
    page = _Page(asked.body.get("Limit"))
    for number in range(begin.leg, len(plan.legs)):
        if page.full:
            return page.reply(Place(number))
        start = begin.key if number == begin.leg else None
        reply = await _search(services, asked, state, plan, number, page.limit, start)
        page.take(plan, reply)
        if "LastEvaluatedKey" in reply:
            return page.reply(Place(number, reply["LastEvaluatedKey"]))
    return page.reply(None)


async def _search(
    services: Services,
    asked: Asked,
    state: TableState,
    plan: Plan,
    number: int,
    limit: int | None,
    start: Key | None,
) -> Body:
    operation, request = plan.search(plan.legs[number])
    request["TableName"] = asked.name
    for name in ("ConsistentRead", "ReturnConsumedCapacity"):
        if name in asked.body:
            request[name] = asked.body[name]
    if limit is not None:
        request["Limit"] = limit
    if start is not None:
        request["ExclusiveStartKey"] = start
    try:
        return await reads.search(services, asked.table, asked.dialect, state, operation, request)
    except ClientError as error:
        if start is not None and "starting key" in error.message:
            raise ValidationError(INVALID_TOKEN) from error
        raise
