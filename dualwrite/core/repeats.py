"""What may be sent again when no answer came, how soon, and how often in all.

A write is applied once for each request of a client, so it is sent again only where its repeat
tells whether the first one arrived.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dualwrite.core.assembling import Action
from dualwrite.core.errors import CutOff, EngineError, OutcomeUnknown, Overloaded, Unreachable
from dualwrite.core.items import STAMP
from dualwrite.core.plan import OLDER, STAMP_VALUE
from dualwrite.core.requests import Verb, Wish


class Sort(StrEnum):
    """What a repeat of a request would do."""

    READ = "read"
    """Nothing: reads may be asked as often as one likes."""
    TOKENED = "tokened"
    """Nothing: the engine knows the token and applies the transaction once."""
    STAMPED = "stamped"
    """It is refused where the first one arrived, and the stamp that stands there says so."""
    UNTOLD = "untold"
    """A write with a guard whose repeat tells too little: a delete leaves no stamp behind, and an
    answer that the client wants to see whole is lost with the first try."""
    PLAIN = "plain"
    """A client's own unstamped write: nothing tells."""


class Trouble(StrEnum):
    """Why there is no answer."""

    UNREACHED = "unreached"
    """Nothing was sent."""
    UNKNOWN = "unknown"
    """Sent; no answer, or a 5xx."""


MAY_REPEAT: Mapping[Sort, frozenset[Trouble]] = {
    Sort.READ: frozenset({Trouble.UNREACHED, Trouble.UNKNOWN}),
    Sort.TOKENED: frozenset({Trouble.UNREACHED, Trouble.UNKNOWN}),
    Sort.STAMPED: frozenset({Trouble.UNREACHED, Trouble.UNKNOWN}),
    Sort.UNTOLD: frozenset({Trouble.UNREACHED}),
    Sort.PLAIN: frozenset(),
}
"""A refusal, a throttling one too, is an answer: the client's SDK has its own patience with it."""

READS = frozenset({"GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"})
"""Operations that change nothing."""
TOLD_BY_THE_ANSWER = ("ReturnConsumedCapacity", "ReturnItemCollectionMetrics")
"""What a client may ask for and no stamp tells."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The bounds of the repeats of one request."""

    tries_max: int
    """Sends in all."""
    seconds_max: float
    """No repeat is begun later than this after the first send."""
    pause_seconds: float = 0.02
    pause_seconds_max: float = 0.5

    def pause(self, tries: int, uniform: Callable[[float, float], float]) -> float:
        """Seconds to wait after ``tries`` sends: full jitter under a bound that doubles."""
        bound = min(self.pause_seconds * 2 ** (tries - 1), self.pause_seconds_max)
        return uniform(0.0, bound)


FOR_CLIENTS = Patience(tries_max=3, seconds_max=5.0)
"""What a client waits for. A try that hung until its time-out is not followed by another one."""
FOR_FOLLOWERS = Patience(tries_max=2, seconds_max=0.5)
"""The leader has decided and a repair cures the rest, so the client waits for little more."""


def trouble_of(error: EngineError) -> Trouble | None:
    """Why there is no answer; None where there is one, or where a repeat would do harm: a request
    that was cut off is over, and one that found no room must not come back at once."""
    match error:
        case Overloaded() | CutOff():
            return None
        case Unreachable():
            return Trouble.UNREACHED
        case OutcomeUnknown():
            return Trouble.UNKNOWN
    return None


def sort_of_operation(operation: str) -> Sort:
    """A client's request as it came."""
    return Sort.READ if operation in READS else Sort.PLAIN


def sort_of_write(wish: Wish, told: bool = True) -> Sort:
    """A write under the guard; ``told``: its reply needs nothing that only its answer would say.

    An UpdateItem's image stands in what a refused repeat gives back; other return values do not.
    """
    asked = any(wish.body.get(name, "NONE") != "NONE" for name in TOLD_BY_THE_ANSWER)
    if asked or not told or wish.verb not in (Verb.PUT, Verb.UPDATE):
        return Sort.UNTOLD
    return Sort.STAMPED


def repeat_of(action: Action) -> Action:
    """A stamped write as it may be sent again after an unknown outcome: only over an older stamp
    that stands there.

    Where no item is, the first try may have been applied and deleted since, and a repeat would
    bring back what somebody's acknowledged delete took away.
    """
    condition = action.get("ConditionExpression", "")
    over_older = condition.replace(OLDER, f"{STAMP} < {STAMP_VALUE}")
    return {**action, "ConditionExpression": over_older}


def probe_of(repeat: Action) -> Action:
    """A repeat that is never carried out, but tells what stands there: a stamp is older only where
    there is one."""
    condition = f"({repeat['ConditionExpression']}) AND attribute_not_exists({STAMP})"
    return {**repeat, "ConditionExpression": condition}


class RetryBudget:
    """A token bucket for one side: a burst of repeats, then few a second, so that a sick engine is
    not hammered by those who wait for it (the AWS SDKs' standard mode bounds its retries so; this
    one refills with time, which costs the requests that succeed nothing)."""

    def __init__(self, tokens_max: float = 100.0, tokens_per_second: float = 10.0) -> None:
        self._tokens_max = tokens_max
        self._tokens_per_second = tokens_per_second
        self._tokens = tokens_max
        self._at_seconds = 0.0

    def take(self, now_seconds: float) -> bool:
        """Whether one repeat may be sent now (monotonic seconds)."""
        refill = (now_seconds - self._at_seconds) * self._tokens_per_second
        self._tokens = min(self._tokens_max, self._tokens + max(0.0, refill))
        self._at_seconds = now_seconds
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
