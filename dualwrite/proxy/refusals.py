"""The one way in which a write that is no success becomes its client's error."""

from typing import NoReturn

from dualwrite.core.items import Item
from dualwrite.core.phases import Side
from dualwrite.core.plan import check_expressions, side_key
from dualwrite.core.requests import Wish
from dualwrite.core.settle import ConditionFalse, Failed, Outcome, Unknown, client_error, is_invalid
from dualwrite.proxy.services import Services, queue_repair
from dualwrite.proxy.views import client_item


async def refuse(
    services: Services,
    wish: Wish,
    side: Side,
    outcome: Outcome,
    *,
    unknown: str = "",
    view: Item | None = None,
) -> NoReturn:
    """Raise the client's error; an item it asked to see is shown in its dialect.

    ``unknown`` is the reason under which the key of an unknown outcome waits for repair; empty
    where there is no second side. ``view`` is the client's view where no stored item came back.
    """
    shown = None
    if isinstance(outcome, Failed) and is_invalid(outcome.error):
        check_expressions(wish)
    if isinstance(outcome, ConditionFalse) and wish.wants_old_on_failure:
        shown = view
        if outcome.item:
            shown = await client_item(services, wish.table, outcome.item, side, wish.dialect)
    if isinstance(outcome, Unknown) and unknown:
        await queue_repair(services, wish.table, side, side_key(wish, side), unknown)
    raise client_error(outcome, shown)
