"""The rows that items make, asking for parents where they must, and a stored item's hidden map."""

from collections.abc import Callable

from dualwrite.core.derivation import Answers, Problem, Question
from dualwrite.core.errors import EngineError, Refused
from dualwrite.core.guards import annotation_request
from dualwrite.core.items import Item
from dualwrite.core.phases import Kind, Phase, Side
from dualwrite.core.plan import lacks_map, refused_problem, side_key
from dualwrite.core.requests import Verb, Wish
from dualwrite.core.settle import condition_failed, single_error, unreachable_error
from dualwrite.core.spec import MigratedTable
from dualwrite.core.transform import Row, row_from_client, row_from_stored
from dualwrite.lookups import answered
from dualwrite.proxy.services import Services

Split = Callable[[MigratedTable, Item, Side, Answers], Row | Question | Problem]
"""``row_from_client`` or ``row_from_stored``."""


async def place(services: Services, wish: Wish, phase: Phase) -> Row | None:
    """Find a write its place in both designs: the row of a Put of a table that has two sides, None
    for all else. Raises ValidationError for what has none in the other design."""
    if wish.table.kind is Kind.IN_PLACE or phase is Phase.OFF:
        return None
    if wish.verb is Verb.PUT:
        return await client_row(services, wish.table, wish.item, wish.dialect)
    side_key(wish, wish.dialect.other)
    return None


async def client_row(services: Services, table: MigratedTable, item: Item, dialect: Side) -> Row:
    """The row a client's item makes; raises ValidationError for a key without a place."""
    row = row_from_client(table, item, dialect)
    if isinstance(row, Question):
        row = await _decided(services, row_from_client, table, item, dialect)
    return _placed(table, row)


async def stored_row(services: Services, table: MigratedTable, item: Item, side: Side) -> Row:
    """The row a stored item makes; raises ValidationError where it has no place in new."""
    return _placed(table, await placed_row(services, table, item, side))


async def placed_row(
    services: Services, table: MigratedTable, item: Item, side: Side
) -> Row | Problem:
    """The row a stored item makes, or why it makes none; raises ClientError."""
    return await _decided(services, row_from_stored, table, item, side)


async def _decided(
    services: Services, split: Split, table: MigratedTable, item: Item, side: Side
) -> Row | Problem:
    try:
        return await answered(services.parents, split, table, item, side)
    except EngineError as error:
        raise unreachable_error() from error


def _placed(table: MigratedTable, row: Row | Problem) -> Row:
    if isinstance(row, Problem):
        raise refused_problem(table, row)
    return row


async def mapped(services: Services, wish: Wish, side: Side, item: Item | None) -> bool:
    """Whether a condition was refused on an item whose hidden map it asks for, but which had none:
    it has one now, and the write may be tried again. Raises ClientError."""
    if item is None or not lacks_map(wish, side, item):
        return False
    await annotate(services, wish.table, side, item)
    return True


async def annotate(services: Services, table: MigratedTable, side: Side, item: Item) -> None:
    """Give a leader's item its hidden map, unless it has changed since; raises ClientError."""
    row = await stored_row(services, table, item, side)
    request = annotation_request(table, side, item, row.of(side.other))
    try:
        await services.engine.call("UpdateItem", request)
    except Refused as refused:
        if not condition_failed(refused):
            raise single_error(refused) from refused
    except EngineError as error:
        raise unreachable_error() from error
