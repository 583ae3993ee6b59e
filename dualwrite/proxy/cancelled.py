"""A client's transaction in parts, and what it means where the engine refuses it."""

from dataclasses import dataclass, field

from dualwrite.core.assembling import Action
from dualwrite.core.errors import ClientError, Refused
from dualwrite.core.items import Item
from dualwrite.core.phases import Kind, Mode, Phase, TableState
from dualwrite.core.plan import Seen, check_expressions, lacks_map
from dualwrite.core.requests import Body, Verb, Wish
from dualwrite.core.settle import (
    CANCELED,
    CONDITION_FAILED,
    CONDITION_FALSE,
    ConditionFalse,
    is_conflict,
    is_invalid,
    judge_based,
    judge_guarded,
    reasons_of,
    single_error,
)
from dualwrite.core.transform import Row
from dualwrite.proxy.rows import mapped
from dualwrite.proxy.services import Services, restamped_foreign
from dualwrite.proxy.views import client_item

REASONS = {
    CONDITION_FAILED: CONDITION_FALSE,
    "ValidationException": "ValidationError",
}
"""How a transaction words what a single call is refused for."""


@dataclass(slots=True)
class Part:
    """One of the client's actions and what it takes upstream."""

    verb: Verb
    body: Body
    wish: Wish | None = None
    state: TableState | None = None
    put_row: Row | None = None
    members: list[tuple[Verb, Action]] = field(default_factory=list)
    """The leader's action, and in atomic mode the follower's after it."""
    seen: Seen | None = None
    stamp: str = ""
    after: Row | None = None

    @property
    def doubles(self) -> bool:
        """Whether it takes two actions in atomic mode; so it will on a table that is still off."""
        return (
            self.wish is not None
            and self.state is not None
            and self.wish.table.kind is Kind.REKEY
            and self.verb is not Verb.CHECK
            and self.state.phase is not Phase.DONE
        )

    @property
    def mirrored(self) -> bool:
        return self.doubles and self.state is not None and self.state.phase.mode is Mode.MIRROR


def refused_alone(parts: list[Part], part: Part, error: ClientError) -> ClientError:
    """The error of a transaction one of whose parts was found impossible before it was sent."""
    reason = REASONS.get(error.code)
    if reason is None:
        return error
    mine = {"Code": reason, "Message": error.message, **error.fields}
    return cancelled([mine if each is part else {"Code": "None"} for each in parts])


def cancelled(reasons: list[Body]) -> ClientError:
    """A cancelled transaction, whose text lists the codes of its reasons."""
    codes = ", ".join(reason.get("Code", "None") for reason in reasons)
    return ClientError(
        CANCELED,
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        fields={"CancellationReasons": reasons},
    )


def _leader_reasons(parts: list[Part], refused: Refused) -> list[tuple[Part, Body, list[Body]]]:
    """Each part with its own reason and those of its follower."""
    reasons = list(reasons_of(refused))
    grouped = []
    position = 0
    for part in parts:
        mine = reasons[position : position + len(part.members)]
        position += len(part.members)
        grouped.append((part, dict(mine[0]) if mine else {}, [dict(r) for r in mine[1:]]))
    return grouped


async def again(services: Services, parts: list[Part], refused: Refused) -> bool:
    """Whether only our own bookkeeping stood in the way, so that another try may pass."""
    if is_conflict(refused):
        return True
    if refused.code != CANCELED:
        return False
    ours = False
    for part, reason, followers in _leader_reasons(parts, refused):
        if await _restamped(services, part, (reason, *followers)):
            ours = True
            continue
        ours = ours or any(r.get("Code") == CONDITION_FALSE for r in followers)
        code = reason.get("Code", "None")
        if code == "None":
            continue
        if code != CONDITION_FALSE:
            return False
        judged = _judge(part, reason)
        if isinstance(judged, ConditionFalse) and not await _mapped(services, part, judged):
            return False
        ours = True
    return ours


async def _restamped(services: Services, part: Part, entries: tuple[Body, ...]) -> bool:
    """Move the clock past the stamps in the way; whether some that no clock wrote were replaced."""
    if part.wish is None or part.state is None:
        return False
    leader, replaced = part.state.phase.leader, False
    for side, entry in zip((leader, leader.other), entries, strict=False):
        replaced |= await restamped_foreign(services, part.wish.table, side, entry.get("Item"))
    return replaced


async def _mapped(services: Services, part: Part, judged: ConditionFalse) -> bool:
    if part.wish is None or part.state is None:
        return False
    return await mapped(services, part.wish, part.state.phase.leader, judged.item)


def _judge(part: Part, reason: Body) -> object:
    item: Item | None = reason.get("Item") or None
    if part.seen is not None:
        return judge_based(item, part.seen.exists, part.seen.stamp)
    if not part.stamp or part.verb is Verb.CHECK:
        return ConditionFalse(item)
    return judge_guarded(item, part.stamp)


def _is_clients(part: Part, reason: Body) -> bool:
    """Whether it was the client's own condition that was found false."""
    judged = _judge(part, reason)
    if not isinstance(judged, ConditionFalse) or part.wish is None or part.state is None:
        return isinstance(judged, ConditionFalse)
    return not lacks_map(part.wish, part.state.phase.leader, judged.item)


async def client_error(services: Services, parts: list[Part], refused: Refused) -> ClientError:
    """The refusal in the client's terms: its own actions' reasons, in its own order.

    Raises ClientError where its expressions are wrong.
    """
    if is_invalid(refused):
        for part in parts:
            if part.wish is not None:
                check_expressions(part.wish)
    if refused.code != CANCELED:
        return single_error(refused)
    reasons: list[Body] = []
    for part, reason, followers in _leader_reasons(parts, refused):
        shown: Body = reason
        if reason.get("Code") == CONDITION_FALSE and not _is_clients(part, reason):
            # Our guard or our base refused it; of the client's own condition nothing is known.
            shown = reason = {"Code": "None"}
        elif reason.get("Code") == CONDITION_FALSE and part.verb is not Verb.CHECK:
            # What went upstream in its place may be a check, whose failure engines word otherwise.
            shown["Message"] = "The conditional request failed"
        if reason.get("Code", "None") == "None":
            bad = [r for r in followers if r.get("Code", "None") != "None"]
            shown = bad[0] if bad and bad[0]["Code"] != CONDITION_FALSE else reason
        item = shown.pop("Item", None)
        if item and part.wish is not None and part.state is not None:
            if part.wish.wants_old_on_failure:
                table, side = part.wish.table, part.state.phase.leader
                shown["Item"] = await client_item(services, table, item, side, part.wish.dialect)
        elif item:
            shown["Item"] = item
        reasons.append(shown)
    return cancelled(reasons)
