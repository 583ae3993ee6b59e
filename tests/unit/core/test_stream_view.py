"""A managed stream's records as its client sees them."""

from typing import Any

import pytest

from dualwrite.core.items import size_bytes
from dualwrite.core.stamps import FLOOR
from dualwrite.core.stream_view import client_record, unwrapped, wrapped

STAMP = "1790000000000.00000.000001.writer00.00000001"
ITEM: dict[str, Any] = {"id": {"S": "a"}, "tags": {"SS": ["x", "y"]}}


def stored(stamp: str | None = STAMP, **more: Any) -> dict[str, Any]:
    hidden = (
        {} if stamp is None else {"dw_stamp": {"S": stamp}, "dw_other": {"M": {"p": {"S": "q"}}}}
    )
    return {**ITEM, **more, **hidden}


def record(old: Any, new: Any, size: int = 1000) -> dict[str, Any]:
    images = {"OldImage": old, "NewImage": new}
    data = {name: image for name, image in images.items() if image is not None}
    return {"eventID": "1", "dynamodb": {"Keys": {"id": {"S": "a"}}, "SizeBytes": size, **data}}


def test_images_lose_what_is_hidden_and_the_size_goes_with_it() -> None:
    """The rest of a record stays as it came."""
    shown = client_record(record(stored(), stored(v={"N": "1"})))
    assert shown is not None
    assert shown["eventID"] == "1"
    assert shown["dynamodb"]["OldImage"] == ITEM
    assert shown["dynamodb"]["NewImage"] == {**ITEM, "v": {"N": "1"}}
    hidden = size_bytes(stored()) - size_bytes(ITEM)
    assert shown["dynamodb"]["SizeBytes"] == 1000 - 2 * hidden


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (stored(None), stored(FLOOR)),
        (stored(), stored(STAMP.replace("1790", "1791"))),
        (stored(), {**stored(), "tags": {"SS": ["y", "x"]}}),
        (None, stored(FLOOR)),
    ],
)
def test_what_only_the_service_caused_is_no_record(old: Any, new: Any) -> None:
    """A map added, a stamp renewed, a copy of history."""
    assert client_record(record(old, new)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, stored()),
        (stored(), None),
        (stored(FLOOR), None),
        (stored(FLOOR), stored(v={"N": "1"})),
    ],
)
def test_what_a_client_caused_is_one(old: Any, new: Any) -> None:
    """Also on an item that was copied under the floor stamp."""
    assert client_record(record(old, new)) is not None


def test_a_record_without_anything_hidden_is_itself() -> None:
    """An unstamped item, keys only, or no images at all."""
    for whole in (record(stored(None), None), {"dynamodb": {"Keys": ITEM}}, {}):
        assert client_record(whole) == whole


def test_a_value_without_a_type_is_an_empty_map() -> None:
    """DynamoDB Local shows one so: it differs from other values, and in nothing else."""
    bare, typed = {**stored(), "m": {}}, {**stored(), "m": {"M": {}}}
    assert client_record(record(bare, {**stored(), "m": {"S": "x"}})) is not None
    assert client_record(record(bare, {**typed, "dw_stamp": {"S": FLOOR}})) is None
    shown = client_record(record(None, {**ITEM, "dw_stamp": {"S": STAMP}, "dw_other": {}}, 10))
    assert shown is not None
    assert shown["dynamodb"]["SizeBytes"] == 0


def test_a_wrapped_iterator_tells_its_table() -> None:
    """Whatever the engine's own iterator holds; another one is none of ours."""
    for inner in ("arn:aws:dynamodb:x|1|AAA", "plain", ""):
        assert unwrapped(wrapped(inner, "orders")) == ("orders", inner)
    for foreign in ("arn:aws:dynamodb:x|1|AAA", "dw|", "", None, 7):
        assert unwrapped(foreign) is None
