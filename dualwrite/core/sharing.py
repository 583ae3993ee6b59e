"""Which side serves a read.

Eventually consistent reads follow the share, sticky by partition: a hash of the old hash key is
held against the share, so that raising the share only ever moves partitions from old to new.
"""

from dataclasses import dataclass, replace
from zlib import crc32

import orjson

from dualwrite.core.errors import ValidationError
from dualwrite.core.items import PAGE, Key
from dualwrite.core.phases import Kind, Phase, Side, TableState
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
