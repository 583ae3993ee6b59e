"""What came back decides: success, another try, the client's error, or a repair."""

import pytest

from dualwrite.core.errors import OutcomeUnknown, Refused, Unreachable
from dualwrite.core.settle import (
    Applied,
    ConditionFalse,
    Failed,
    Moved,
    Outcome,
    RefusedAsOlder,
    Unknown,
    is_conflict,
    judge_based,
    judge_guarded,
    settle_follower,
    single_error,
)

OURS = "1700000000000.00000.000001.writer00.00000002"
OLDER = "1700000000000.00000.000001.writer00.00000001"
NEWER = "1700000000000.00000.000001.writer00.00000003"


def stamped(text: str) -> dict[str, dict[str, str]]:
    return {"dw_stamp": {"S": text}}


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        (None, ConditionFalse(None)),
        ({"a": {"S": "x"}}, ConditionFalse({"a": {"S": "x"}})),
        (stamped(OLDER), ConditionFalse(stamped(OLDER))),
        (stamped(OURS), Applied({})),
        (stamped(NEWER), RefusedAsOlder(NEWER)),
        ({"dw_stamp": {"N": "7"}}, RefusedAsOlder("")),
    ],
)
def test_the_stamp_that_stands_says_why_a_write_was_refused(
    item: dict[str, dict[str, str]] | None, wanted: Outcome
) -> None:
    """Ours: an earlier try succeeded. Newer: try again past it. Else: the condition was false."""
    assert judge_guarded(item, OURS) == wanted


@pytest.mark.parametrize(
    ("item", "exists", "stamp", "wanted"),
    [
        (None, False, None, ConditionFalse),
        (stamped(OLDER), True, OLDER, ConditionFalse),
        (stamped(NEWER), True, OLDER, Moved),
        (None, True, OLDER, Moved),
        (stamped(NEWER), False, None, Moved),
    ],
)
def test_a_base_that_stood_still_means_the_condition_was_false(
    item: dict[str, dict[str, str]] | None, exists: bool, stamp: str | None, wanted: type
) -> None:
    """Only a base that moved is worth another try."""
    assert isinstance(judge_based(item, exists, stamp), wanted)


@pytest.mark.parametrize(
    ("outcome", "repair", "name"),
    [
        (Applied({}), False, "applied"),
        (RefusedAsOlder(NEWER), False, "refused"),
        (Failed(Unreachable("x")), True, "failed"),
        (Unknown(OutcomeUnknown("x")), True, "unknown"),
    ],
)
def test_a_follower_that_is_not_surely_written_is_repaired(
    outcome: Outcome, repair: bool, name: str
) -> None:
    """Unknown is its own outcome, never folded into failed."""
    settled = settle_follower(outcome)
    assert (settled.repair, settled.follower) == (repair, name)


def test_a_conflict_is_no_refusal() -> None:
    """Somebody else's transaction at the same items asks for another try."""
    reasons = [{"Code": "TransactionConflict"}, {"Code": "None"}]
    refused = Refused("TransactionCanceledException", "", 400, {"CancellationReasons": reasons})
    assert is_conflict(refused)


def test_a_transactions_refusal_reads_like_a_single_calls() -> None:
    """A client of PutItem never hears of the transaction that carried it."""
    reasons = [{"Code": "ValidationError", "Message": "Item size has exceeded"}, {"Code": "None"}]
    refused = Refused("TransactionCanceledException", "", 400, {"CancellationReasons": reasons})
    error = single_error(refused)
    assert (error.code, error.message) == ("ValidationException", "Item size has exceeded")
