"""Statements where no side is doubled, and where an answer is lost."""

from collections.abc import Iterator
from typing import Any

import pytest

from dualwrite.core import metric_names
from dualwrite.core.phases import Phase, Side
from dualwrite.core.records import REPAIR
from tests.proxy_harness import Rig, a_rig, outcome

NOTES = '"said-notes"'
KEY = "endpoint_id='acme-prod' AND note_id"


@pytest.fixture(scope="module")
def shared(engine: str, boto: Any) -> Iterator[Rig]:
    with a_rig(engine, boto, "said-") as made:
        yield made


@pytest.fixture
def rig(shared: Rig) -> Iterator[Rig]:
    shared.stand(Phase.MIRROR_OLD)
    yield shared
    shared.hop.plan = lambda operation, request: None
    for record in shared.run(shared.records.list(REPAIR)):
        shared.run(shared.records.delete(REPAIR, record.name, expected=None))


def said(rig: Rig, text: str) -> dict[str, Any]:
    return outcome(rig.proxied, "execute_statement", Statement=text)


def insert(number: str) -> str:
    return f"INSERT INTO {NOTES} VALUE {{'endpoint_id':'acme-prod','note_id':'{number}','v':1}}"


def stored(rig: Rig, side: Side, number: str) -> list[dict[str, Any]]:
    return [item for item in rig.items("notes", side) if item["note_id"]["S"] == number]


def test_before_the_migration_statements_reach_the_old_table_alone(rig: Rig) -> None:
    """Nothing is stamped or mirrored yet, and the new table is none yet."""
    rig.stand(Phase.OFF)
    assert said(rig, insert("off")) == {"Items": []}
    changed = said(rig, f"UPDATE {NOTES} SET v=v+1 WHERE {KEY}='off' RETURNING ALL NEW *")
    assert stored(rig, Side.OLD, "off") == changed["Items"]
    assert stored(rig, Side.NEW, "off") == []
    assert said(rig, f"SELECT v FROM {NOTES} WHERE {KEY}='off'")["Items"] == [{"v": {"N": "2"}}]
    assert said(rig, 'SELECT * FROM "said-notes-v2"')["error"] == "ValidationException"


def test_statements_on_an_in_place_table(rig: Rig) -> None:
    """An INSERT gets the derived attributes of its parent, as a PutItem does."""
    parent = {"list_id": {"S": "l"}, "task_id": {"S": "t"}, "endpoint_id": {"S": "acme-prod"}}
    rig.proxied.put_item(TableName="said-tasks", Item=parent)
    row = "{'task_id':'t','step_id':'s','list_id':'l'}"
    assert said(rig, f'INSERT INTO "said-steps" VALUE {row}') == {"Items": []}
    assert said(rig, f'INSERT INTO "said-steps" VALUE {row}')["error"] == "DuplicateItemException"
    [found] = said(rig, "SELECT * FROM \"said-steps\" WHERE task_id='t'")["Items"]
    assert found["partition_key"] == {"S": "aws-1#acme"}


def test_a_follower_that_fails_is_repaired_after_a_statement(rig: Rig) -> None:
    """The leader decides, the client is told success, the key waits for repair."""
    name = rig.tables["notes"].new.name
    rig.hop.plan = lambda operation, request: (
        "refuse" if request.get("TableName") == name and operation == "PutItem" else None
    )
    assert said(rig, insert("follower")) == {"Items": []}
    assert [r.value["reason"] for r in rig.run(rig.records.list(REPAIR))] == [
        "follower write failed"
    ]


def test_a_lost_answer_is_found_out_by_the_stamp(rig: Rig) -> None:
    """The INSERT was applied and its answer lost: sent again it meets itself, which is success and
    no duplicate; what is wrong with another statement of the batch is that one's alone."""
    name = rig.tables["notes"].old.name
    lost = []

    def plan(operation: str, request: Any) -> str | None:
        if operation != "PutItem" or request["TableName"] != name or lost:
            return None
        lost.append(request)
        return "lose"

    rig.hop.plan = plan
    texts = [insert("lost"), insert("wrong").replace("INTO", "IN")]
    heard = outcome(rig.proxied, "batch_execute_statement",
                    Statements=[{"Statement": text} for text in texts])["Responses"]  # fmt: skip
    assert lost
    assert [answer.get("Error", {}).get("Code") for answer in heard] == [None, "ValidationError"]
    assert [len(stored(rig, side, "lost")) for side in Side] == [1, 1]


def test_mutations_by_statements_are_counted_as_writes(rig: Rig) -> None:
    """By their outcome, like those of any other operation; reads are not."""

    def counted(result: str) -> float:
        return rig.metrics.values.get((metric_names.WRITES, "notes", "mirror/old", result), 0.0)

    before = counted("applied"), counted("ConditionalCheckFailedException")
    for _ in range(2):
        said(rig, insert("counted"))
    said(rig, f"SELECT * FROM {NOTES} WHERE {KEY}='counted'")
    assert counted("applied") - before[0] == 1
    assert counted("ConditionalCheckFailedException") - before[1] == 1
