"""What came back, and what follows from it: the client's reply, a new try, or a repair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dualwrite.core.errors import (
    ClientError,
    EngineError,
    Overloaded,
    Refused,
    Unreachable,
)
from dualwrite.core.items import STAMP, Item, stamp_of

CONDITION_FAILED = "ConditionalCheckFailedException"
CANCELED = "TransactionCanceledException"
CONDITION_FALSE = "ConditionalCheckFailed"
"""The reason of a cancelled transaction's action whose condition did not hold."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The engine did it; ``reply`` is its answer."""

    reply: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RefusedAsOlder:
    """Something newer stands there already."""

    stamp: str
    """Empty for a stamp that is no text."""
    item: Item | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ConditionFalse:
    """The client's own condition did not hold on ``item``, as the leader has it."""

    item: Item | None


@dataclass(frozen=True, slots=True)
class Moved:
    """The base that was read is no longer the one that stands there."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Certainly not written."""

    error: EngineError


@dataclass(frozen=True, slots=True)
class Held:
    """Not sent: the follower has not answered for a while and nobody waits for it, or this process
    may not write any more."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Sent, and no answer: written or not."""

    error: EngineError
    refused: Refused | None = None
    """What a repeat was told, if one was: it says nothing of the first try, which may come yet."""


Outcome = Applied | RefusedAsOlder | ConditionFalse | Moved | Failed | Unknown


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether the two copies may differ, and under what name the follower's write is counted."""

    repair: bool
    follower: str


def settle_follower(outcome: Outcome | Held) -> Settled:
    """What the follower's answer means, after the leader has applied the write."""
    match outcome:
        case Applied():
            return Settled(repair=False, follower="applied")
        case RefusedAsOlder():
            return Settled(repair=False, follower="refused")
        case Unknown():
            return Settled(repair=True, follower="unknown")
        case Held():
            return Settled(repair=True, follower="held")
        case _:
            return Settled(repair=True, follower="failed")


def judge_guarded(item: Item | None, stamp: str) -> Outcome:
    """A leader's write under the guard was refused; the stamp that stands there says why."""
    standing = "" if no_text_stamp(item) else stamp_of(item)
    if standing is None or "" < standing < stamp:
        return ConditionFalse(item)
    if standing == stamp:
        return Applied({})
    return RefusedAsOlder(standing, item)


def no_text_stamp(item: Item | None) -> bool:
    """Whether something that is no text stands in the place of an item's stamp."""
    return item is not None and STAMP in item and not stamp_of(item)


def judge_repeated(item: Item | None, stamp: str, doubt: Unknown) -> Outcome:
    """A repeat was refused after an unknown outcome: only our own stamp proves what became of the
    first try. A newer one may stand over ours, and an older one says what held at this moment, not
    what held when the first try came."""
    return Applied({"Attributes": item}) if item and stamp_of(item) == stamp else doubt


def judge_based(item: Item | None, base_exists: bool, base_stamp: str | None) -> Outcome:
    """A write under "the base stands still" was refused: by the base, or by the condition?"""
    still = (item is not None) == base_exists and stamp_of(item) == base_stamp
    return ConditionFalse(item) if still else Moved()


def condition_failed(refused: Refused) -> bool:
    """Whether the engine found a single write's condition false: the client's own, or a guard."""
    return refused.code == CONDITION_FAILED


def is_invalid(error: EngineError) -> bool:
    """Whether the engine found the request itself wrong."""
    return isinstance(error, Refused) and error.code == "ValidationException"


def old_item(refused: Refused) -> Item | None:
    """The item that ReturnValuesOnConditionCheckFailure gave; None where there is none."""
    item = refused.fields.get("Item")
    return item or None


def reasons_of(refused: Refused) -> Sequence[Mapping[str, Any]]:
    """CancellationReasons in request order."""
    return refused.fields.get("CancellationReasons") or ()


def is_conflict(refused: Refused) -> bool:
    """Whether a transaction failed only because another one was at the same items."""
    if refused.code in ("TransactionConflictException", "TransactionInProgressException"):
        return True
    codes = {reason.get("Code", "None") for reason in reasons_of(refused)} - {"None"}
    return refused.code == CANCELED and codes == {"TransactionConflict"}


_REASON_ERRORS: Mapping[str, str] = {
    "ItemCollectionSizeLimitExceeded": "ItemCollectionSizeLimitExceededException",
    "ProvisionedThroughputExceeded": "ProvisionedThroughputExceededException",
    "ThrottlingError": "ThrottlingException",
    "TransactionConflict": "TransactionConflictException",
    "ValidationError": "ValidationException",
}


def single_error(refused: Refused) -> ClientError:
    """The error a single-item call would have given for a transaction's refusal."""
    if refused.code == CANCELED:
        for reason in reasons_of(refused):
            code = _REASON_ERRORS.get(reason.get("Code", "None"))
            if code is not None:
                return ClientError(code, reason.get("Message", ""))
    return ClientError(refused.code, refused.message, status=refused.status, fields=refused.fields)


def busy() -> ClientError:
    """Too much contention on one item: an error that every SDK retries."""
    return ClientError(
        "ThrottlingException", "Too many writers at this item at once; the write was not applied"
    )


def shed_error() -> ClientError:
    """More is in hand here than can be: an error that every SDK retries after a pause."""
    return ClientError("ThrottlingException", "Rate of requests exceeds the allowed throughput.")


def unreached_error(error: Unreachable) -> ClientError:
    """Nothing was sent: for want of room, or of an engine."""
    return shed_error() if isinstance(error, Overloaded) else unreachable_error()


def unknown_error() -> ClientError:
    """DynamoDB's own words for an outcome that it cannot tell."""
    return ClientError("InternalServerError", "Internal server error", status=500)


def unreachable_error() -> ClientError:
    """The engine could not be reached: nothing was written."""
    return ClientError(
        "ServiceUnavailable",
        "dualwrite cannot reach the database; nothing was written",
        status=503,
    )


def client_error(outcome: Outcome, shown: Item | None) -> ClientError:
    """What a client hears of a write that is no success; ``shown`` is its view of the item."""
    match outcome:
        case ConditionFalse():
            fields = {} if shown is None else {"Item": shown}
            return ClientError(CONDITION_FAILED, "The conditional request failed", fields=fields)
        case Failed(Refused() as refused):
            return single_error(refused)
        case Failed(Unreachable() as unreachable):
            return unreached_error(unreachable)
        case Failed():
            return unreachable_error()
        case Unknown():
            return unknown_error()
    raise AssertionError(f"{outcome} is no refusal")
