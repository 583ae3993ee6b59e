"""Which side serves a read.

Eventually consistent reads follow the share, sticky by partition: a hash of the old hash key is
held against the share, so that raising the share only ever moves partitions from old to new.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import orjson

from dualwrite.core.errors import ValidationError
from dualwrite.core.items import PAGE, Key
from dualwrite.core.phases import Kind, Phase, Side, TableState
from dualwrite.core.requests import unsupported
from dualwrite.core.spec import MigratedTable

STEPS_PER_PERCENT = 100
"""The share is held against ten thousand buckets."""
AS_IS = "-as-is"
"""Ends the mark of a page key that could not be put into the client's dialect."""


def read_side(
    table: MigratedTable, state: TableState, *, consistent: bool, partition: object
) -> Side:
    """The side for one read; ``partition`` is any JSON value that names what is read."""
    if table.kind is Kind.IN_PLACE or state.phase is Phase.OFF:
        return Side.OLD
    if consistent or state.phase is Phase.DONE:
        return state.phase.leader
    if state.read_share in (0, 100):
        return Side.NEW if state.read_share else Side.OLD
    bucket = crc32(orjson.dumps([table.name, partition])) % (100 * STEPS_PER_PERCENT)
    return Side.NEW if bucket < state.read_share * STEPS_PER_PERCENT else Side.OLD


def on_own_side(
    table: MigratedTable, dialect: Side, state: TableState, operation: str, body: Mapping[str, Any]
) -> bool:
    """Whether a client's own side alone has what it searches. Raises ValidationError where that
    side is no longer written and the other one has nothing like it."""
    if not _own_side_only(table, dialect, operation, body):
        return False
    if state.phase is not Phase.DONE or dialect is state.phase.leader:
        return True
    if on_leader_alone(table, state, body):
        return False
    raise unsupported(table, "a search that only the old design could serve")


def _own_side_only(
    table: MigratedTable, dialect: Side, operation: str, body: Mapping[str, Any]
) -> bool:
    """Partitions that hold the same rows in both designs, and an index that both have locally, in
    one order, with all that an item holds, serve either dialect; nothing else does."""
    if operation == "Query" and not table.alike:
        return True
    index = body.get("IndexName")
    if index is None:
        return False
    here, there = table.side(dialect).index(index), table.side(dialect.other).index(index)
    if here is None or there is None or not (here.local and there.local):
        return True
    if not (here.whole and there.whole):
        return True
    order = here.keys.range
    return order != there.keys.range or (order is not None and order.name in table.swapped)


def on_leader_alone(table: MigratedTable, state: TableState, body: Mapping[str, Any]) -> bool:
    """Whether the leader serves a search in `done` that each side served its own clients before:
    of a global index of both designs, by the same words in both dialects, with whole items."""
    name = body.get("IndexName")
    if state.phase is not Phase.DONE or name is None:
        return False
    here, there = (table.side(side).index(name) for side in Side)
    if here is None or there is None or here.local or there.local:
        return False
    if not (here.whole and there.whole) or here.keys.more_hashes or here.keys.more_ranges:
        return False
    return here.keys == there.keys and table.swapped.isdisjoint(here.keys.names)


def from_leader(state: TableState) -> TableState:
    """The state as reads see it while the follower is left out: what it misses waits for repair,
    so the leader serves all of them."""
    return replace(state, read_share=0 if state.phase.leader is Side.OLD else 100)


@dataclass(frozen=True, slots=True)
class PageKey:
    """A page key as a client gave it back."""

    key: Key
    side: Side
    """The side that gave the page before it, which gives the next one too."""
    translated: bool
    """Whether ``key`` is in the client's dialect; else it is one of ``side`` that has no place in
    the other design."""


def pinned(page_key: Key, dialect: Side) -> PageKey:
    """Read a client's page key; raises ValidationError where no page gave it."""
    mark = page_key.get(PAGE)
    if mark is None:
        return PageKey(page_key, dialect, translated=True)
    key = {name: value for name, value in page_key.items() if name != PAGE}
    for side in Side:
        if mark == {"S": side.value}:
            return PageKey(key, side, translated=True)
        if mark == {"S": side.value + AS_IS}:
            return PageKey(key, side, translated=False)
    raise ValidationError("The provided starting key is invalid")


def marked(page_key: Key, side: Side, dialect: Side, *, translated: bool = True) -> Key:
    """A page key for the client; only one of the other side carries a mark."""
    if side is dialect:
        return page_key
    return {**page_key, PAGE: {"S": side.value + ("" if translated else AS_IS)}}
