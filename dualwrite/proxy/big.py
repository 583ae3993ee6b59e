"""A client's own transaction of which both sides' writes together exceed what one transaction may
hold. Atomic mode refuses it; mirror mode counts it, so that the operator hears of it in time."""

from collections.abc import Sequence
from itertools import chain

from dualwrite.core import metric_names
from dualwrite.core.encoding import in_json
from dualwrite.core.errors import ClientError, EngineError, Refused
from dualwrite.core.items import (
    ITEM_BYTES_MAX,
    TRANSACTION_ACTIONS_MAX,
    TRANSACTION_BYTES_MAX,
    Key,
    size_bytes,
)
from dualwrite.core.plan import side_key
from dualwrite.core.requests import Body, Verb, unsupported
from dualwrite.core.settle import is_invalid, unreachable_error
from dualwrite.proxy.cancelled import Part
from dualwrite.proxy.services import Services

FEW = TRANSACTION_BYTES_MAX // (2 * ITEM_BYTES_MAX)
"""So many items fit twice, however large they are."""
HIDDEN_BYTES = 1024
"""Room for what the service hides in an item, where it is not known yet."""


async def count_if_big(services: Services, parts: Sequence[Part]) -> None:
    """Count a transaction that atomic mode would refuse, for each table in mirror mode; raises
    ClientError or LeaseExpired where it may not be sent.

    Before it is sent, not after it succeeded: a proxy that dies in between would have let one pass
    that the gate never hears of. So one that is then cancelled, or sent again, counts too; that
    costs the operator a look, while one too few costs an application its writes after the flip.
    One that cannot be counted is refused, nothing is written yet and its client may try again.
    """
    if len(parts) <= FEW:
        return
    mirrored = {part.state.table: part.state for part in parts if part.state and part.mirrored}
    if not mirrored or not await _is_big(services, parts):
        return
    for table in mirrored:
        try:
            await services.big_transactions.seen(table)
        except EngineError as error:
            raise unreachable_error() from error
        services.metrics.add(metric_names.BIG_TRANSACTIONS, table)
    for table, state in mirrored.items():
        # Counting may have taken long: what began so long ago must not be sent any more.
        if services.epochs.current(table).epoch != state.epoch:
            raise ClientError(
                "ServiceUnavailable",
                f"table {table} changed its state meanwhile; nothing was written",
                status=503,
            )


def refuse_many(parts: Sequence[Part]) -> None:
    """Refuse a transaction that takes more actions than one may have; raises ClientError."""
    if sum(len(part.members) for part in parts) > TRANSACTION_ACTIONS_MAX:
        raise _refusal(parts, f"{TRANSACTION_ACTIONS_MAX} actions")


def refuse_large(parts: Sequence[Part], refused: Refused) -> None:
    """Name the reason where the engine refused a transaction for what both sides hold together;
    raises ClientError."""
    if not is_invalid(refused):
        return
    own = sum(_payload_bytes(part.body) for part in parts)
    both = sum(_payload_bytes(action) for part in parts for _, action in part.members)
    if own <= TRANSACTION_BYTES_MAX < both:
        raise _refusal(parts, "4 MB")


def _refusal(parts: Sequence[Part], limit: str) -> ClientError:
    doubled = next(part.wish.table for part in parts if part.wish and part.doubles)
    return unsupported(doubled, f"a transaction whose two sides exceed {limit}")


async def _is_big(services: Services, parts: Sequence[Part]) -> bool:
    if len(parts) + sum(part.doubles for part in parts) > TRANSACTION_ACTIONS_MAX:
        return True
    updates = [part for part in parts if part.doubles and part.verb is Verb.UPDATE]
    known = sum(_both_bytes(part) for part in parts)
    if known + 2 * ITEM_BYTES_MAX * len(updates) <= TRANSACTION_BYTES_MAX:
        return False
    images = await _image_bytes(services, updates) if updates else 0
    return known + 2 * images > TRANSACTION_BYTES_MAX


def _both_bytes(part: Part) -> int:
    """What a part's writes take together, but for the image that an update leaves."""
    sent = _payload_bytes(part.body)
    return 2 * (sent + HIDDEN_BYTES) if part.doubles else sent


def _payload_bytes(action: Body) -> int:
    """What an action's items and values take at most: JSON is longer than what AWS counts."""
    parts = (action.get(name) for name in ("Item", "Key", "ExpressionAttributeValues"))
    return sum(len(in_json(part)) for part in parts if part)


async def _image_bytes(services: Services, updates: Sequence[Part]) -> int:
    """What the items of updates hold by now; one that is not told may be as large as items get."""
    keys: dict[str, list[Key]] = {}
    for part in updates:
        assert part.wish is not None, "only parts of managed tables are doubled"
        assert part.state is not None, "and they have a state"
        leader = part.state.phase.leader
        keys.setdefault(part.wish.table.side(leader).name, []).append(side_key(part.wish, leader))
    asked = {name: {"Keys": listed} for name, listed in keys.items()}
    try:
        reply = await services.engine.call("BatchGetItem", {"RequestItems": asked})
    except EngineError:
        return ITEM_BYTES_MAX * len(updates)
    left = sum(len(each["Keys"]) for each in (reply.get("UnprocessedKeys") or {}).values())
    items = chain.from_iterable((reply.get("Responses") or {}).values())
    return ITEM_BYTES_MAX * left + sum(map(size_bytes, items))
