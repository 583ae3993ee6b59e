"""ListTables and ListStreams without the service's own table, page by page as if it were not there.

A page that held its name is filled up from the next one, and a page after which only its name
would come is the last one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dualwrite.core.requests import Body
from dualwrite.proxy.messages import Answer, HttpRequest
from dualwrite.proxy.passing import answer_in, ask, with_body
from dualwrite.proxy.services import Services


@dataclass(frozen=True, slots=True)
class Listing:
    """Where a listing operation keeps what."""

    entries: str
    start: str
    """The request's member that says after which entry a page begins."""
    last: str
    """The answer's member that says where it ended; absent from the last page."""
    table_of: Callable[[Any], str]


TABLES = Listing(
    "TableNames", "ExclusiveStartTableName", "LastEvaluatedTableName", lambda name: str(name)
)
STREAMS = Listing(
    "Streams",
    "ExclusiveStartStreamArn",
    "LastEvaluatedStreamArn",
    lambda stream: str(stream["TableName"]),
)


async def listed(
    services: Services, listing: Listing, request: HttpRequest, target: str, body: Body
) -> Answer:
    """One page; bytes untouched where it neither holds the hidden name nor ends before it.

    Raises EngineError. An error of the engine is passed on.
    """
    first = await ask(services, request, target, body)
    page = answer_in(first)
    if page is None:
        return first
    found = page.get(listing.entries) or []
    shown = _visible(services, listing, found)
    if len(shown) == len(found) and listing.last not in page:
        return first
    last = page.get(listing.last)
    while last is not None and len(shown) < len(found):
        wanted = {**body, listing.start: last, "Limit": len(found) - len(shown)}
        reply = await ask(services, request, target, wanted)
        more = answer_in(reply)
        if more is None:
            return reply
        shown += _visible(services, listing, more.get(listing.entries) or [])
        last = more.get(listing.last)
    if last is not None:
        reply = await ask(services, request, target, {**body, listing.start: last, "Limit": 1})
        ahead = answer_in(reply)
        if ahead is None:
            return reply
        if listing.last not in ahead and not _visible(
            services, listing, ahead.get(listing.entries) or []
        ):
            last = None
    if shown == found and last == page[listing.last]:
        return first
    page = {name: value for name, value in page.items() if name != listing.last}
    page[listing.entries] = shown
    if last is not None:
        page[listing.last] = last
    return with_body(first, page)


def _visible(services: Services, listing: Listing, entries: list[Any]) -> list[Any]:
    hidden = services.migration.control_table
    return [entry for entry in entries if listing.table_of(entry) != hidden]
