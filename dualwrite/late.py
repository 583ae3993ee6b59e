"""Takes back copies that came too late.

A process may be stopped in the middle of a send, for longer than its lease and a request's life
together, while the lead moves and a client deletes the row on both sides. No guard of a copy tells
"deleted" from "never there". So whoever put one, or may have, takes it back as soon as it sees that
it might not have sent it any more.
"""

from collections.abc import Awaitable, Callable, Iterable

import structlog

from dualwrite.core.errors import EngineError, Refused
from dualwrite.core.guards import take_back_request
from dualwrite.core.items import Item
from dualwrite.core.phases import Side
from dualwrite.core.ports import Dynamo
from dualwrite.core.settle import CONDITION_FALSE, reasons_of
from dualwrite.core.spec import MigratedTable
from dualwrite.core.vouching import REQUEST_MARGIN_SECONDS

PAUSES_SECONDS = (0.0, 0.2, 0.5, 1.0, 2.0)
"""Before each try: a connection that is refused, and throttling, take a while to be over."""

log = structlog.get_logger()


async def take_back(
    dynamo: Dynamo,
    sleep: Callable[[float], Awaitable[None]],
    table: MigratedTable,
    side: Side,
    copies: Iterable[Item],
    *,
    arrived: bool,
) -> None:
    """Delete each of the copies on ``side`` that nobody has written since, and whose original the
    other side no longer holds. ``arrived``: False where no answer came, so that they may be on
    their way and are waited for. Never raises EngineError: what stays is logged."""
    if not arrived:
        await sleep(REQUEST_MARGIN_SECONDS)
    for copy in copies:
        await _take_back(dynamo, sleep, table, side, copy)


async def _take_back(
    dynamo: Dynamo,
    sleep: Callable[[float], Awaitable[None]],
    table: MigratedTable,
    side: Side,
    copy: Item,
) -> None:
    request = take_back_request(table, side, copy)
    for pause_seconds in PAUSES_SECONDS:
        if pause_seconds:
            await sleep(pause_seconds)
        try:
            await dynamo.call("TransactWriteItems", request)
        except Refused as error:
            if CONDITION_FALSE in {reason.get("Code") for reason in reasons_of(error)}:
                return  # it is right as it is, or somebody has written since
        except EngineError:
            continue
        else:
            log.warning("a late copy was taken back", table=table.name, side=side.value)
            return
    log.error("a late copy stands", table=table.name, side=side.value)
