"""What may be sent again is a table, and there is an end to it."""

from typing import Any

import pytest

from dualwrite.core.errors import (
    CutOff,
    EngineError,
    OutcomeUnknown,
    Overloaded,
    Refused,
    Unreachable,
)
from dualwrite.core.phases import Side
from dualwrite.core.plan import OLDER, leader_action
from dualwrite.core.repeats import (
    MAY_REPEAT,
    Patience,
    RetryBudget,
    Sort,
    Trouble,
    probe_of,
    repeat_of,
    sort_of_operation,
    sort_of_write,
    trouble_of,
)
from dualwrite.core.requests import Verb, Wish, wish
from dualwrite.core.settle import Applied, Unknown, judge_repeated
from tests.proxy_harness import a_migration

TASKS = a_migration("p-").by_name["tasks"]
STAMP_TEXT = "1700000000000.00000.000001.writer00.00000001"
KEY = {"list_id": {"S": "l"}, "task_id": {"S": "t"}}


def a_wish(verb: Verb, **body: Any) -> Wish:
    target = {"Item": KEY} if verb is Verb.PUT else {"Key": KEY}
    return wish(verb, TASKS, Side.OLD, {"TableName": TASKS.old.name, **target, **body})


def test_nothing_but_proof_lets_an_unknown_outcome_be_sent_again() -> None:
    """Reads, tokens and stamps tell; deletes, answers that are needed and plain writes do not."""
    told = {sort for sort in Sort if Trouble.UNKNOWN in MAY_REPEAT[sort]}
    assert told == {Sort.READ, Sort.TOKENED, Sort.STAMPED}
    assert MAY_REPEAT[Sort.PLAIN] == frozenset()


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (Unreachable("x"), Trouble.UNREACHED),
        (OutcomeUnknown("x"), Trouble.UNKNOWN),
        (Overloaded("x"), None),
        (CutOff("x"), None),
        (Refused("ThrottlingException", "", 400, {}), None),
    ],
)
def test_a_refusal_is_an_answer(error: EngineError, trouble: Trouble | None) -> None:
    """What found no room, was cut off or was answered is not sent again."""
    assert trouble_of(error) is trouble


@pytest.mark.parametrize(
    ("operation", "sort"),
    [("GetItem", Sort.READ), ("TransactGetItems", Sort.READ), ("PutItem", Sort.PLAIN),
     ("BatchWriteItem", Sort.PLAIN), ("ExecuteStatement", Sort.PLAIN)],
)  # fmt: skip
def test_of_a_clients_own_requests_only_reads_are_repeated(operation: str, sort: Sort) -> None:
    """A statement may write, so it counts as one."""
    assert sort_of_operation(operation) is sort


def test_a_write_is_stamped_only_where_its_repeat_tells_all() -> None:
    """A delete leaves no stamp, and capacity and old values are told by the lost answer alone."""
    assert sort_of_write(a_wish(Verb.PUT)) is Sort.STAMPED
    assert sort_of_write(a_wish(Verb.DELETE)) is Sort.UNTOLD
    assert sort_of_write(a_wish(Verb.PUT), told=False) is Sort.UNTOLD
    assert sort_of_write(a_wish(Verb.PUT, ReturnConsumedCapacity="TOTAL")) is Sort.UNTOLD
    assert sort_of_write(a_wish(Verb.PUT, ReturnConsumedCapacity="NONE")) is Sort.STAMPED


def test_a_repeat_writes_only_over_an_older_stamp() -> None:
    """Where no item stands, the first try may have been applied and deleted: nothing is brought
    back."""
    action = leader_action(
        a_wish(Verb.UPDATE, UpdateExpression="SET a = :a",
               ExpressionAttributeValues={":a": {"S": "x"}}),
        Side.OLD, STAMP_TEXT, None,
    )  # fmt: skip
    assert OLDER in action["ConditionExpression"]
    again = repeat_of(action)
    assert again == {**action, "ConditionExpression": "dw_stamp < :dw_stamp"}


def test_only_our_own_stamp_proves_that_a_lost_write_stands() -> None:
    """An older one, a newer one or none leave it unknown."""
    doubt = Unknown(OutcomeUnknown("x"))
    ours = {**KEY, "dw_stamp": {"S": "5"}}
    assert judge_repeated(ours, "5", doubt) == Applied({"Attributes": ours})
    for item in (None, KEY, {**KEY, "dw_stamp": {"S": "4"}}, {**KEY, "dw_stamp": {"S": "6"}}):
        assert judge_repeated(item, "5", doubt) is doubt


def test_pauses_are_jittered_under_a_bound_that_doubles() -> None:
    """Full jitter: anything between nothing and the bound."""
    patience = Patience(tries_max=9, seconds_max=1.0, pause_seconds=0.1, pause_seconds_max=0.3)
    longest = [patience.pause(tries, lambda low, high: high) for tries in (1, 2, 3, 4)]
    assert longest == [0.1, 0.2, 0.3, 0.3]
    assert patience.pause(3, lambda low, high: low) == 0.0


def test_a_budget_lets_a_burst_through_and_then_few() -> None:
    """Tokens come back with time, never above the bound, and a clock that stands gives none."""
    budget = RetryBudget(tokens_max=2.0, tokens_per_second=1.0)
    assert [budget.take(100.0) for _ in range(3)] == [True, True, False]
    assert [budget.take(101.0) for _ in range(2)] == [True, False]
    assert [budget.take(1_000.0) for _ in range(3)] == [True, True, False]


def test_a_probe_is_a_repeat_that_no_item_lets_pass() -> None:
    """It tells what stands there, and writes nothing: a stamp that is older is no missing one."""
    older = "c = :c AND dw_stamp < :dw_stamp"
    assert probe_of({"TableName": "t", "ConditionExpression": older}) == {
        "TableName": "t",
        "ConditionExpression": f"({older}) AND attribute_not_exists(dw_stamp)",
    }
