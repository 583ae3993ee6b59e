"""Whether an item fits is told with what the table's local indexes hold of it."""

from dataclasses import replace

import pytest

from dualwrite.core.items import ITEM_BYTES_MAX, Item, KeyAttribute, KeySchema, size_bytes
from dualwrite.core.phases import Side
from dualwrite.core.room import counted_bytes, fits, fits_both
from dualwrite.core.spec import IndexSpec, TableSide
from tests.fakes.verifying import boards, row, text

KEYS = KeySchema(KeyAttribute("h"), KeyAttribute("r"))
ITEM = text(h="hhhh", r="rr", a="aaa", b="bbbb", pad="ppppp")
SIZE = size_bytes(ITEM)


def index(
    attribute: str, projected: tuple[str, ...] | None = None, *, local: bool = True
) -> IndexSpec:
    keys = KeySchema(KEYS.hash, KeyAttribute(attribute))
    return IndexSpec(f"by-{attribute}", keys, local, projected)


@pytest.mark.parametrize(
    ("indexes", "more"),
    [
        ((), 0),
        ((index("a"),), SIZE),
        ((index("a"), index("b")), 2 * SIZE),
        ((index("absent"),), 0),
        ((index("a", local=False),), 0),
        ((index("a", ()),), 5 + 3 + 4),
        ((index("a", ("pad", "absent")),), 5 + 3 + 4 + 8),
        ((index("a"), index("b", ())), SIZE + 5 + 3 + 5),
    ],
    ids=["none", "one", "two", "without its key", "global", "keys only", "some", "both kinds"],
)  # fmt: skip
def test_entries_in_local_indexes_count(indexes: tuple[IndexSpec, ...], more: int) -> None:
    """Each holds what it projects, keys in any case, of the items that have its range key."""
    assert counted_bytes(TableSide("t", KEYS, indexes), ITEM) == SIZE + more


def sized(item: Item, bytes_wanted: int) -> Item:
    return item | {"pad": {"S": "z" * (bytes_wanted - size_bytes(item | {"pad": {"S": ""}}))}}


@pytest.mark.parametrize("count", range(3))
def test_an_item_fits_to_the_last_byte(count: int) -> None:
    """With two indexes that hold it whole it may be a third of 400 KB, and not a byte more."""
    place = TableSide("t", KEYS, (index("a"), index("b"))[:count])
    most = ITEM_BYTES_MAX // (1 + count)
    assert fits(place, sized(ITEM, most))
    assert not fits(place, sized(ITEM, most + 1))


def test_a_large_item_fits_where_its_entries_are_small() -> None:
    """What counts is what the indexes hold, not how many there are."""
    place = TableSide("t", KEYS, (index("a", ()), index("b", ())))
    assert fits(place, sized(ITEM, ITEM_BYTES_MAX - 25))
    assert not fits(place, sized(ITEM, ITEM_BYTES_MAX - 24))


@pytest.mark.parametrize("side", Side)
def test_a_row_needs_room_on_both_sides(side: Side) -> None:
    """With its hidden attributes, stamped or not yet, to the last byte of the fuller side."""
    table = boards()
    tight = replace(table.side(side), indexes=(index("board_id"),))
    tight = replace(tight, indexes=(replace(index("board_id"), keys=tight.keys),))
    table = replace(table, old=tight) if side is Side.OLD else replace(table, new=tight)
    small = row(table, text(endpoint_id="acme-prod", board_id="b1", pad=""))
    room = ITEM_BYTES_MAX // 2 - size_bytes(small.stored(side))
    for length, has_room in ((room, True), (room + 1, False)):
        made = replace(small, body=small.body | {"pad": {"S": "z" * length}})
        assert fits_both(table, made) is has_room
        assert fits_both(table, replace(made, stamp=None)) is has_room
