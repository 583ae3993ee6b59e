"""What is sent to whom: the guard, the base, and the other dialect's words."""

from dataclasses import replace

import pytest

from dualwrite.core.errors import ValidationError
from dualwrite.core.items import OTHER, STAMP, KeyAttribute, KeySchema
from dualwrite.core.phases import Side
from dualwrite.core.plan import (
    OLDER,
    Seen,
    absence_check,
    based_action,
    follower_write,
    is_unjudged,
    leader_action,
    needs_evaluation,
    only_removes,
)
from dualwrite.core.requests import Verb, Wish, wish
from dualwrite.core.spec import IndexSpec
from tests.proxy_harness import a_migration

MIGRATION = a_migration("p-")
TASKS = MIGRATION.by_name["tasks"]
NOTES = MIGRATION.by_name["notes"]
STAMP_TEXT = "1700000000000.00000.000001.writer00.00000001"


def update(expression: str | None, dialect: Side = Side.OLD, **more: object) -> Wish:
    key = {"list_id": {"S": "l"}, "task_id": {"S": "t"}}
    body = {"Key": key, **({"UpdateExpression": expression} if expression else {}), **more}
    return wish(Verb.UPDATE, TASKS, dialect, body)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, "SET dw_stamp = :dw_stamp"),
        ("SET a = :a", "SET dw_stamp = :dw_stamp, a = :a"),
        ("remove b set a = :a", "remove b set dw_stamp = :dw_stamp, a = :a"),
        ("REMOVE b", "SET dw_stamp = :dw_stamp REMOVE b"),
        ("ADD #set :a", "SET dw_stamp = :dw_stamp ADD #set :a"),
    ],
)
def test_an_update_carries_the_stamp_in_its_one_set_clause(given: str | None, wanted: str) -> None:
    """DynamoDB allows each clause once, so the stamp joins the client's SET where there is one."""
    action = leader_action(update(given), Side.OLD, STAMP_TEXT, None)
    assert action["UpdateExpression"] == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("a = :a", f"a = :a AND {OLDER}"),
        ("a = :a OR b = :b", f"(a = :a OR b = :b) AND {OLDER}"),
        ("(a = :a OR b = :b)", f"(a = :a OR b = :b) AND {OLDER}"),
        ("(a = :a) OR (b = :b)", f"((a = :a) OR (b = :b)) AND {OLDER}"),
    ],
)
def test_the_guard_binds_to_all_of_the_clients_condition(given: str, wanted: str) -> None:
    """An OR is enclosed, and never twice, which DynamoDB would refuse as redundant."""
    action = leader_action(update("SET c = :c", ConditionExpression=given), Side.OLD, "s", None)
    assert action["ConditionExpression"] == wanted


def test_unbalanced_parentheses_cannot_open_the_guard() -> None:
    """A condition that would close our parenthesis is refused."""
    with pytest.raises(ValidationError):
        leader_action(
            update("SET c = :c", ConditionExpression="a = :a) OR (b = :b"), Side.OLD, "s", None
        )


def test_the_other_dialect_is_translated_by_names_alone() -> None:
    """part_id of a new-dialect client is dw_other.part_id on the old side."""
    asked = update(
        "SET seen = :s", Side.NEW, ConditionExpression="part_id = :p",
        ExpressionAttributeValues={":s": {"S": "x"}, ":p": {"S": "acme"}},
    )  # fmt: skip
    action = leader_action(asked, Side.OLD, STAMP_TEXT, None)
    names = action["ExpressionAttributeNames"]
    assert {OTHER, "part_id"} <= {*names.values()} | {*action["ConditionExpression"].split(".")}
    assert action["TableName"] == TASKS.old.name


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("SET a = :a", False),
        ("SET a = endpoint_id", False),
        ("SET endpoint_id = :a", True),
        ("REMOVE part_id SET a = :a", True),
        ("REMOVE a", False),
        (None, False),
    ],
)
def test_updates_that_change_the_hidden_map_are_evaluated(
    expression: str | None, wanted: bool
) -> None:
    """Only a write to a swapped name or to a source needs a base."""
    values = {"ExpressionAttributeValues": {":a": {"S": "x"}}}
    more = values if expression and ":a" in expression else {}
    assert needs_evaluation(update(expression, **more)) is wanted


@pytest.mark.parametrize(
    ("expression", "value", "wanted"),
    [
        ("SET place = :a", {"S": "x"}, False),
        ("SET place = :a", {"S": ""}, True),
        ("SET #p = :a", {"N": "1"}, True),
        ("SET place = :a", {"S": "x" * 2049}, True),
        ("SET place = if_not_exists(b, :a)", {"S": "x"}, True),
        ("ADD place :a", {"N": "1"}, True),
        ("REMOVE place SET b = :a", {"S": ""}, False),
        ("SET b = place, c = :a", {"S": ""}, False),
    ],
)
def test_what_an_index_might_not_hold_is_judged_by_its_own_table(
    expression: str, value: dict[str, str], wanted: bool
) -> None:
    """Where another table leads; literals that fit cost nothing, as nearly all do."""
    index = IndexSpec("by-place", KeySchema(KeyAttribute("place")), local=False)
    table = replace(TASKS, old=replace(TASKS.old, indexes=(index,)))
    more = {"ExpressionAttributeNames": {"#p": "place"}} if "#p" in expression else {}
    wanting = replace(
        update(expression, ExpressionAttributeValues={":a": value}, **more), table=table
    )
    assert is_unjudged(wanting, Side.NEW) is wanted
    assert not is_unjudged(wanting, Side.OLD)


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("REMOVE a", True),
        ("DELETE a :a", True),
        ("REMOVE a SET b = :a", False),
        ("REMOVE #set", True),
        ("ADD#a :a", False),
        (None, False),
    ],
)
def test_an_update_that_only_removes_waits_for_an_item(
    expression: str | None, wanted: bool
) -> None:
    """Our stamp would make an item of what makes none."""
    names = {"#set": "a"} if expression and "#set" in expression else {"#a": "a"}
    more: dict[str, object] = {"ExpressionAttributeNames": names}
    more |= {"ExpressionAttributeValues": {":a": {"SS": ["x"]}}}
    text = expression or ""
    more = {
        part: given
        for part, given in more.items()
        if any(placeholder in text for placeholder in given)  # type: ignore[attr-defined]
    }
    asked = update(expression, **more)
    assert only_removes(asked) is wanted
    action = leader_action(asked, Side.OLD, STAMP_TEXT, None)
    assert ("attribute_exists(#dw_key)" in action["ConditionExpression"]) is wanted


def test_an_action_takes_only_the_placeholders_of_its_own_texts() -> None:
    """DynamoDB refuses a name or value that no expression uses, and an update's condition may end
    up without its update."""
    asked = update(
        "REMOVE #a", ConditionExpression="#b = :b",
        ExpressionAttributeNames={"#a": "a", "#b": "b"},
        ExpressionAttributeValues={":b": {"S": "x"}},
    )  # fmt: skip
    action = absence_check(asked, Side.OLD)
    assert action["ExpressionAttributeNames"].keys() == {"#b", "#dw_key"}
    assert action["ExpressionAttributeValues"].keys() == {":b"}


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (Seen(False, None), "attribute_not_exists(#dw_key)"),
        (Seen(True, None), f"attribute_exists(#dw_key) AND attribute_not_exists({STAMP})"),
        (Seen(True, "s"), f"{STAMP} = :dw_seen"),
    ],
)
def test_a_based_write_holds_only_on_its_base(seen: Seen, wanted: str) -> None:
    """Absent, unstamped and stamped bases are told apart."""
    action = based_action(update("SET a = :a"), Side.OLD, STAMP_TEXT, seen, None)
    assert action["ConditionExpression"] == wanted


def test_a_followers_delete_is_guarded() -> None:
    """A late delete never removes what is newer."""
    action = follower_write(update("SET a = :a"), Side.NEW, STAMP_TEXT, None)
    assert "Key" in action
    assert action["ConditionExpression"] == OLDER
    assert action["ExpressionAttributeValues"] == {":dw_stamp": {"S": STAMP_TEXT}}
