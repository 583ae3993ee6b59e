"""Statements about a twin's tables, and the items they are about."""

from typing import Any

from dualwrite.core.phases import Side
from tests.contract.twins import CASES, Twin

MANAGED = [case for case in CASES if case.managed]


def said(twin: Twin, text: str, number: int = 1, tenant: str = "acme-prod") -> str:
    """A statement in the twin's dialect: NOTES and TASKS are its tables, NOTE and TASK the
    conditions on a key, HASH and TENANT the words that differ."""
    note, task = twin.note_key(number, tenant), twin.task_key(number)
    words = {
        "NOTES": f'"{twin.name("notes")}"' if "NOTES" in text else "",
        "TASKS": f'"{twin.name("tasks")}"' if "TASKS" in text else "",
        "NOTE": " AND ".join(f"{name}='{value['S']}'" for name, value in note.items()),
        "TASK": " AND ".join(f"{name}='{value['S']}'" for name, value in task.items()),
        "HASH": next(iter(note)),
        "TENANT": "acme-prod" if twin.dialect is Side.OLD else "aws-1",
        "RUN": twin.run,
    }
    for word, meant in words.items():
        text = text.replace(f"<{word}>", meant)
    return text


def struct(item: dict[str, Any], also: str = "") -> str:
    """An item of strings as a statement's map."""
    members = [f"'{name}':'{value['S']}'" for name, value in item.items()]
    return "{" + ",".join([*members, *([also] if also else [])]) + "}"


def execute(twin: Twin, text: str, *parameters: Any, **more: Any) -> dict[str, Any]:
    given = {"Parameters": list(parameters)} if parameters else {}
    return twin.both(
        "execute_statement", apart=("message",), Statement=said(twin, text), **given, **more
    )


def fill(twin: Twin) -> None:
    for number in range(4):
        twin.both(
            "put_item",
            TableName=twin.name("notes"),
            Item=twin.note(number, v={"N": str(number)}, odd={"BOOL": number % 2 == 1}),
        )
        twin.both("put_item", TableName=twin.name("tasks"), Item=twin.task(
            number, owner={"S": f"o{number % 2}"}, v={"N": str(number)}, empty={"NULL": True},
            ss={"SS": ["a", "b"]}, l={"L": [{"S": "x"}, {"N": "2"}]},
            m={"M": {"x": {"L": [{"N": "1"}]}, "a-b": {"N": "1"}}}))  # fmt: skip
