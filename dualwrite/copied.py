"""How far the newest backfill of a table is, put together from its records."""

from dualwrite.core.backfills import Progress, progress_of, segments_prefix
from dualwrite.core.ports import Records
from dualwrite.core.records import BACKFILL, SEGMENT, BackfillOrder, Segment, load


async def newest(records: Records, table: str) -> tuple[BackfillOrder, Progress] | None:
    """None where none was ordered. Raises EngineError."""
    held = await records.read(BACKFILL, table)
    if held is None:
        return None
    order = load(BackfillOrder, held.value)
    return order, await progress(records, table, order)


async def progress(records: Records, table: str, order: BackfillOrder) -> Progress:
    """Of one order. Raises EngineError."""
    found = await records.list(SEGMENT, segments_prefix(table, order))
    return progress_of(order, [load(Segment, segment.value) for segment in found])
