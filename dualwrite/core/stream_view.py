"""A managed table's stream as its client sees it: its own images, and its own changes alone.

A record's images are those of the table that the stream belongs to, so they are in the dialect of
whoever names that table; only what the service keeps in them has to go.
"""

from collections.abc import Mapping
from typing import Any

from dualwrite.core.items import HIDDEN, Item, same, size_bytes, stamp_of, visible, with_types
from dualwrite.core.stamps import FLOOR

Record = Mapping[str, Any]
"""One record of GetRecords."""

MARK = "dw|"
"""What a wrapped iterator begins with; no engine's does."""


def client_record(record: Record) -> dict[str, Any] | None:
    """The record without what is hidden; None for one that only the service caused: a change of
    hidden attributes alone, or a copy of an item that was written before anyone stamped it."""
    data = record.get("dynamodb") or {}
    old, new = data.get("OldImage"), data.get("NewImage")
    if old is None and new is not None and stamp_of(new) == FLOOR:
        return None
    hidden = {
        name: {key: value for key, value in image.items() if key in HIDDEN}
        for name, image in (("OldImage", old), ("NewImage", new))
        if image is not None
    }
    if not any(hidden.values()):
        return dict(record)
    shown = dict(data)
    for name in hidden:
        shown[name] = visible(data[name])
    if old is not None and new is not None and _same(shown["OldImage"], shown["NewImage"]):
        return None
    if isinstance(data.get("SizeBytes"), int):
        shown["SizeBytes"] = max(0, data["SizeBytes"] - sum(map(_bytes_of, hidden.values())))
    return {**record, "dynamodb": shown}


def _same(old: Item, new: Item) -> bool:
    return same(with_types(old), with_types(new))


def _bytes_of(hidden: Item) -> int:
    return size_bytes(with_types(hidden))


def wrapped(iterator: str, table_name: str) -> str:
    """An iterator that tells whose stream it reads: any proxy can unwrap it."""
    return f"{MARK}{table_name}|{iterator}"


def unwrapped(iterator: Any) -> tuple[str, str] | None:
    """(physical table, the engine's iterator); None for one that was not wrapped."""
    if not isinstance(iterator, str) or not iterator.startswith(MARK):
        return None
    name, bar, inner = iterator.removeprefix(MARK).partition("|")
    return (name, inner) if bar else None
