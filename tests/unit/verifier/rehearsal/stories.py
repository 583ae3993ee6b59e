"""Short histories for the judge's tests."""

from typing import Any

from dualwrite.core.items import Item
from verifier.rehearsal.history import Entry, Seen

KEY = {"coordination_uuid": "c", "session_uuid": "s"}
TOKEN = '[["S","c"],["S","s"]]'


def entry(number: int, kind: str, outcome: str = "acked", **more: Any) -> Entry:
    """An entry on one session; its tag is ``tNUMBER``, its times are its number."""
    values: dict[str, Any] = {
        "worker": "w",
        "number": number,
        "operation": "UpdateItem",
        "table": "sessions",
        "key": KEY,
        "kind": kind,
        "outcome": outcome,
        "started": float(number),
        "ended": number + 0.5,
        "tag": "" if kind in ("delete", "read") else f"t{number}",
    }
    return Entry(**(values | more))


def read(number: int, seen: Seen) -> Entry:
    return entry(number, "read", seen=seen)


def refused(number: int, kind: str, condition: str) -> Entry:
    return entry(
        number, kind, "refused", condition=condition, code="ConditionalCheckFailedException"
    )


def row(tag: str = "", revision: int = 0, **more: Item) -> Item:
    """A stored session as the writer of ``tag`` left it."""
    item: Item = {name: {"S": text} for name, text in KEY.items()}
    if tag:
        item |= {"work_tag": {"S": tag}, "revision": {"N": str(revision)}}
    return item | more
