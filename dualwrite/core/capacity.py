"""Capacity units as one plain table would have charged them.

AWS, "Read and write operations": a write costs a unit for each KB of the larger of the two images,
a read half a unit for each 4 KB (a whole one if it is consistent). Hidden attributes have a size,
so an item that is a few bytes short of such a step costs more than its client could explain. Where
the images are at hand and the engine's number is the one they give, it is replaced by the number
that the client's own images give; any other number of the engine's stands.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dualwrite.core.items import OTHER, Item, size_bytes, visible
from dualwrite.core.phases import Side
from dualwrite.core.spec import MigratedTable

WRITE_UNIT_BYTES = 1024
"""AWS: one write unit is a write of up to 1 KB."""
READ_UNIT_BYTES = 4096
"""AWS: one read unit is a consistent read of up to 4 KB."""


def asks_capacity(body: Mapping[str, Any]) -> bool:
    """Whether a client wants to hear what its call consumed."""
    return bool(body.get("ReturnConsumedCapacity", "NONE") != "NONE")


def seen_bytes(table: MigratedTable, item: Item, side: Side, dialect: Side) -> int:
    """The size of a stored item as a client of ``dialect`` sees it."""
    shown = visible(item)
    if side is not dialect and OTHER in item:
        shown = {name: value for name, value in shown.items() if name not in table.swapped}
        shown |= item[OTHER]["M"]
    return size_bytes(shown)


def of_write(
    capacity: Mapping[str, Any], table: MigratedTable, side: Side, dialect: Side,
    images: Iterable[Item],
) -> dict[str, Any]:  # fmt: skip
    """What one write consumed; ``images``: the stored ones, before and after, that are known."""
    sizes = [(size_bytes(image), seen_bytes(table, image, side, dialect)) for image in images]
    capacity = _a_unit_at_least(capacity)
    if not sizes:
        return capacity
    stored = _steps(max(size for size, _ in sizes), WRITE_UNIT_BYTES)
    seen = _steps(max(size for _, size in sizes), WRITE_UNIT_BYTES)
    return corrected(capacity, float(stored), float(seen))


def of_read(
    capacity: Mapping[str, Any], stored_bytes: int, bytes_seen: int, *, consistent: bool
) -> dict[str, Any]:
    """What one GetItem, or one page of a Query or Scan, consumed: sizes add up before they are
    rounded."""
    share = 1.0 if consistent else 0.5
    return corrected(
        capacity,
        share * _steps(stored_bytes, READ_UNIT_BYTES),
        share * _steps(bytes_seen, READ_UNIT_BYTES),
    )


def of_reads(
    capacity: Mapping[str, Any], sizes: Iterable[tuple[int, int]], missing: int, unit: float
) -> dict[str, Any]:
    """What one table's items of a batch or transaction consumed: each is rounded for itself.

    ``sizes``: each found item's stored and seen bytes; ``missing``: keys without an item; ``unit``:
    what each step costs, 0.5, 1 or, in a transaction, 2. AWS charges a step for a key without an
    item, DynamoDB Local none.
    """
    stored = seen = 0
    for stored_bytes, bytes_seen in sizes:
        stored += _steps(stored_bytes, READ_UNIT_BYTES)
        seen += _steps(bytes_seen, READ_UNIT_BYTES)
    charged = missing if capacity.get("CapacityUnits") == unit * (stored + missing) else 0
    return corrected(capacity, unit * (stored + charged), unit * (seen + charged))


def corrected(capacity: Mapping[str, Any], stored: float, seen: float) -> dict[str, Any]:
    """The units with ``seen`` in the place of ``stored``, if those are what the table consumed."""
    told = dict(capacity)
    part = capacity.get("Table")
    units = part.get("CapacityUnits") if isinstance(part, dict) else told.get("CapacityUnits")
    if units != stored or stored == seen:
        return told
    told["CapacityUnits"] = told["CapacityUnits"] - stored + seen
    if isinstance(part, dict):
        told["Table"] = {**part, "CapacityUnits": seen}
    return told


def _a_unit_at_least(capacity: Mapping[str, Any]) -> dict[str, Any]:
    """Half of what a transaction was charged may be less where an engine does not double all."""
    told = dict(capacity)
    part = capacity.get("Table")
    units = part.get("CapacityUnits", 0.0) if isinstance(part, dict) else told["CapacityUnits"]
    if 0 < units < 1:
        told["CapacityUnits"] += 1 - units
        if isinstance(part, dict):
            told["Table"] = {**part, "CapacityUnits": 1.0}
    return told


def _steps(size: int, step: int) -> int:
    return max(1, -(-size // step))
