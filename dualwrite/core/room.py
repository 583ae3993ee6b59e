"""Whether a table has room for an item: AWS counts its entries in local indexes too.

AWS, "Quotas", items: "The maximum item size in DynamoDB is 400 KB", and on a table with local
secondary indexes there is "a 400 KB limit on the total of" the item's data in the table and of
"corresponding entries (including key values and projected attributes) in all local secondary
indexes". So an item that each of two such indexes holds whole may be a third of 400 KB.
"""

from collections.abc import Mapping

from dualwrite.core.items import ITEM_BYTES_MAX, AttributeValue, size_bytes
from dualwrite.core.phases import Side
from dualwrite.core.spec import IndexSpec, MigratedTable, TableSide
from dualwrite.core.stamps import FLOOR
from dualwrite.core.transform import Row


def counted_bytes(place: TableSide, item: Mapping[str, AttributeValue]) -> int:
    """What counts against the limit: an item, and its entries in the table's local indexes."""
    size = size_bytes(item)
    return size + sum(_entry_bytes(place, index, item, size) for index in place.local_indexes)


def fits(place: TableSide, item: Mapping[str, AttributeValue]) -> bool:
    """Whether a table takes an item of that size."""
    return _fits(place, item, size_bytes(item))


def fits_both(table: MigratedTable, row: Row) -> bool:
    """Whether both sides of a rekey table have room for a row, with all that is hidden in it."""
    stamp = row.stamp or FLOOR
    # Nearly all of a large row is what both sides share: that is measured once.
    body_bytes = size_bytes(row.body)
    apart = Row({}, row.old, row.new)
    for side in Side:
        size = body_bytes + size_bytes(apart.stored(side, stamp))
        if not _fits(table.side(side), row.stored(side, stamp), size):
            return False
    return True


def _fits(place: TableSide, item: Mapping[str, AttributeValue], size: int) -> bool:
    if size * (1 + len(place.local_indexes)) <= ITEM_BYTES_MAX:
        return True  # no entry is larger than its item
    return counted_bytes(place, item) <= ITEM_BYTES_MAX


def _entry_bytes(
    place: TableSide, index: IndexSpec, item: Mapping[str, AttributeValue], size: int
) -> int:
    """An index has no entry of an item that lacks one of its keys."""
    if any(name not in item for name in index.keys.names):
        return 0
    if index.projected is None:
        return size
    held = {*place.keys.names, *index.keys.names, *index.projected}
    return size_bytes({name: item[name] for name in held if name in item})
