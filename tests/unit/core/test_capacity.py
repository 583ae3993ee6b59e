"""Units as one plain table would have charged them."""

from typing import Any

import pytest

from dualwrite.core.capacity import corrected, of_read, of_reads, of_write, seen_bytes
from dualwrite.core.items import size_bytes
from dualwrite.core.phases import Side
from tests.proxy_harness import a_migration

NOTES = a_migration("u-").by_name["notes"]
STAMP = "1790000000000.00000.000001.writer00.00000001"


def stored(visible_bytes: int) -> dict[str, Any]:
    item: dict[str, Any] = {"endpoint_id": {"S": "e"}, "note_id": {"S": "n"}}
    item["pad"] = {"S": "x" * (visible_bytes - size_bytes(item) - 3)}
    return {**item, "dw_stamp": {"S": STAMP}, "dw_other": {"M": {"part_id": {"S": "p"}}}}


@pytest.mark.parametrize(
    ("engine", "sizes", "wanted"),
    [
        (2.0, [1024], 1.0),
        (2.0, [1025], 2.0),
        (3.0, [1000, 2048], 2.0),
        (1.0, [1024], 1.0),
        (7.0, [1024], 7.0),
        (2.0, [], 2.0),
        (0.5, [], 1.0),
    ],
)
def test_a_write_costs_what_its_larger_visible_image_costs(
    engine: float, sizes: list[int], wanted: float
) -> None:
    """Where the engine's number is the stored images'; another number of the engine's stands."""
    capacity = {"TableName": "t", "CapacityUnits": engine}
    images = [stored(size) for size in sizes]
    told = of_write(capacity, NOTES, Side.OLD, Side.OLD, images)
    assert told == {"TableName": "t", "CapacityUnits": wanted}


def test_indexes_keep_their_own_units() -> None:
    """Only the table's share is known; the total goes with it."""
    capacity = {"CapacityUnits": 3.0, "Table": {"CapacityUnits": 2.0},
                "LocalSecondaryIndexes": {"i": {"CapacityUnits": 1.0}}}  # fmt: skip
    told = of_write(capacity, NOTES, Side.OLD, Side.OLD, [stored(1024)])
    assert told["CapacityUnits"] == 2.0
    assert told["Table"] == {"CapacityUnits": 1.0}
    assert told["LocalSecondaryIndexes"] == capacity["LocalSecondaryIndexes"]


@pytest.mark.parametrize(("consistent", "stored_units"), [(True, 2.0), (False, 1.0)])
def test_a_read_is_rounded_once(consistent: bool, stored_units: float) -> None:
    """Half a unit for each 4 KB, a whole one if it is consistent; nothing read costs a step too."""
    capacity = {"CapacityUnits": stored_units}
    told = of_read(capacity, 4200, 4096, consistent=consistent)
    assert told["CapacityUnits"] == stored_units / 2
    empty = {"CapacityUnits": stored_units / 2}
    assert of_read(empty, 0, 0, consistent=consistent) == empty


def test_the_other_dialects_words_have_their_own_size() -> None:
    """Seen from the other side, an item holds that dialect's values instead of its own."""
    item = stored(100)
    assert seen_bytes(NOTES, item, Side.OLD, Side.OLD) == 100
    plain = {name: value for name, value in item.items() if not name.startswith("dw_")}
    theirs = {name: v for name, v in plain.items() if name not in NOTES.swapped}
    theirs |= item["dw_other"]["M"]
    assert seen_bytes(NOTES, item, Side.OLD, Side.NEW) == size_bytes(theirs)
    assert corrected({"CapacityUnits": 1.0}, 1.0, 1.0) == {"CapacityUnits": 1.0}


def test_each_item_of_a_batch_is_rounded_for_itself() -> None:
    """Missing ones cost a step each, or none; a number that the items do not give stands."""
    sizes = [(4200, 4096), (100, 90)]
    assert of_reads({"CapacityUnits": 4.0}, sizes, 1, 1.0) == {"CapacityUnits": 3.0}
    assert of_reads({"CapacityUnits": 3.0}, sizes, 1, 1.0) == {"CapacityUnits": 2.0}
    assert of_reads({"CapacityUnits": 5.0}, sizes, 1, 1.0) == {"CapacityUnits": 5.0}
