"""Which side serves a read.

Eventually consistent reads follow the share, sticky by partition: a hash of the old hash key is
held against the share, so that raising the share only ever moves partitions from old to new.
"""

from zlib import crc32

import orjson

from dualwrite.core.items import PAGE, AttributeValue, Key
from dualwrite.core.phases import Kind, Phase, Side, TableState
from dualwrite.core.spec import MigratedTable

STEPS_PER_PERCENT = 100
"""The share is held against ten thousand buckets."""


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


def pinned(page_key: dict[str, AttributeValue], dialect: Side) -> tuple[Key, Side]:
    """A client's page key without its mark, and the side it pins the next page to."""
    mark = page_key.get(PAGE)
    if mark is None:
        return page_key, dialect
    return {name: value for name, value in page_key.items() if name != PAGE}, Side(mark["S"])


def marked(page_key: Key, side: Side, dialect: Side) -> Key:
    """A page key for the client; only one of the other side carries a mark."""
    return page_key if side is dialect else {**page_key, PAGE: {"S": side.value}}
