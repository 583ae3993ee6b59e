"""What applications asked and were told: one entry for each item that a call touched."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

NEVER = float("inf")

ACKED, REFUSED, NOTHING, UNKNOWN = "acked", "refused", "nothing", "unknown"
"""REFUSED: its condition was false. NOTHING: an error that promises that nothing was written."""


@dataclass(frozen=True, slots=True)
class Value:
    """An item as the checker sees it: its tag and its counter; None is no item."""

    tag: str | None
    count: int


State = Value | None


@dataclass(frozen=True, slots=True)
class Op:
    """One call at one item. ``kind`` is put, update, add, strip, delete, check or read."""

    kind: str
    tag: str = ""
    condition: str = ""
    """"" for none, "absent", "present", or "tag=" and a tag."""
    returns: str = "NONE"


@dataclass(slots=True)
class Entry:
    """``ended`` is NEVER for what may still take effect."""

    table: str
    key: str
    op: Op
    began: float
    who: str = ""
    call: int = 0
    ended: float = NEVER
    outcome: str = UNKNOWN
    seen: State | bool = True
    """What the answer showed; True: it showed nothing."""


@dataclass
class History:
    """All entries of a run, in the order in which the calls began."""

    entries: list[Entry] = field(default_factory=list)
    calls: int = 0

    def begin(self, table: str, keys: "list[tuple[str, Op]]", now: float, who: str) -> list[Entry]:
        self.calls += 1
        made = [Entry(table, key, op, now, who, self.calls) for key, op in keys]
        self.entries += made
        return made

    def by_key(self) -> dict[tuple[str, str], list[Entry]]:
        found: dict[tuple[str, str], list[Entry]] = {}
        for entry in self.entries:
            found.setdefault((entry.table, entry.key), []).append(entry)
        return found


def holds(condition: str, state: State) -> bool:
    match condition:
        case "":
            return True
        case "absent":
            return state is None
        case "present":
            return state is not None
    return state is not None and condition == f"tag={state.tag}"


def applied(op: Op, state: State) -> State:
    """The item after the call took effect."""
    match op.kind:
        case "put":
            return Value(op.tag, 0)
        case "update":
            return Value(op.tag, (state.count if state else 0) + 1)
        case "add":
            return Value(state.tag if state else None, (state.count if state else 0) + 1)
        case "strip":
            return None if state is None else Value(None, state.count)
        case "delete":
            return None
    return state


def shown(op: Op, before: State, after: State) -> State | bool:
    """What a single table's answer shows of the item; True: nothing is shown."""
    if op.kind == "read":
        return before
    match op.returns:
        case "ALL_OLD":
            return before
        case "ALL_NEW":
            return after
        case "UPDATED_NEW" if op.kind == "update":
            return after
    return True


def value_of(item: dict[str, Any] | None) -> State:
    """An item of a reply, or one that is stored."""
    if not item:
        return None
    tag = item.get("v", {}).get("S")
    return Value(tag, int(item.get("n", {}).get("N", "0")))


Judge = Callable[[list[Entry], State], "str | None"]
