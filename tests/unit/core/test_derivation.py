"""Whose a row is: by its own source, or by its parents in the declared order."""

from pathlib import Path
from typing import Any

from dualwrite.core.derivation import Answers, Derived, Missing, Problem, Question, Reason, derive
from dualwrite.spec_file import load

EXAMPLE = load(Path(__file__).parents[3] / "examples" / "ai_coordination_engine" / "migration.toml")
TASKS = EXAMPLE.by_name["tasks"]
AGENTS = EXAMPLE.by_name["session_agents"]
ACME_NEW = {
    "endpoint_id": {"S": "aws-prod-us-east-1"},
    "part_id": {"S": "acme-corp"},
    "partition_key": {"S": "aws-prod-us-east-1#acme-corp"},
}


def asked(item: Any, answers: Answers) -> Any:
    return derive(AGENTS, item, answers)


def test_parents_are_asked_in_the_declared_order() -> None:
    """Session by key, coordination by index, run by hash, session by index; then it is an
    orphan."""
    item = {"session_uuid": {"S": "s"}, "coordination_uuid": {"S": "c"}}
    answers: dict[Question, str | Missing] = {}
    seen = []
    while isinstance(outcome := asked(item, answers), Question):
        seen.append((outcome.table, outcome.how.value))
        answers[outcome] = Missing.ABSENT
    assert seen == [
        ("sessions", "key"),
        ("coordinations", "index"),
        ("session_runs", "hash"),
        ("sessions", "index"),
    ]
    assert isinstance(outcome, Problem)
    assert outcome.reason is Reason.ORPHAN
    for question in answers:
        found = asked(item, {**answers, question: "acme-corp-prod"})
        assert found == Derived(ACME_NEW)


def test_a_look_up_without_its_attribute_is_left_out() -> None:
    """An agent of before 2025-03-23 names no coordination, so only its session's uuid is asked."""
    item = {"session_uuid": {"S": "s"}, "coordination_uuid": {"NULL": True}}
    question = asked(item, {})
    assert isinstance(question, Question)
    assert question.table == "session_runs"


def test_an_ambiguous_parent_proves_nothing_and_is_named() -> None:
    """The next one is asked; if none knows, the reason is the ambiguity."""
    item = {"coordination_uuid": {"S": "c"}, "task_uuid": {"S": "t"}}
    question = derive(TASKS, item)
    assert isinstance(question, Question)
    problem = derive(TASKS, item, {question: Missing.AMBIGUOUS})
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.AMBIGUOUS


def test_a_row_s_own_source_wins_over_its_parents() -> None:
    """Lists filter by it; so nobody is asked."""
    item = {
        "coordination_uuid": {"S": "c"},
        "task_uuid": {"S": "t"},
        "endpoint_id": {"S": "globex-prod"},
    }
    assert isinstance(derive(TASKS, item), Derived)
