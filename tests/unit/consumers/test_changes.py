"""What a stream record says of who wrote it, and whether anybody can see it."""

from typing import Any

import pytest

from consumers.changes import change_of

STAMPED = {"S": "0000000000001.00000.000001.writer-1.00000001"}
NEWER = {"S": "0000000000002.00000.000001.writer-1.00000002"}
OTHER = {"M": {"part_id": {"S": "p"}}}


def record(old: Any, new: Any, **more: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"SequenceNumber": "1", "Keys": {"id": {"S": "k"}}}
    data["ApproximateCreationDateTime"] = 12.5
    data |= {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image}
    return {"dynamodb": data} | more


def image(a: str, **hidden: Any) -> dict[str, Any]:
    return {"id": {"S": "k"}, "a": {"S": a}} | hidden


@pytest.mark.parametrize(
    ("old", "new", "bypass"),
    [
        (None, image("1"), True),
        (None, image("1", dw_stamp=STAMPED), False),
        (image("1"), image("2"), True),
        (image("1"), image("2", dw_stamp=STAMPED), False),
        (image("1", dw_stamp=STAMPED), image("2", dw_stamp=STAMPED), True),
        (image("1", dw_stamp=STAMPED), image("2", dw_stamp=NEWER), False),
        (image("1", dw_stamp=STAMPED), image("2"), True),
        (image("1"), image("1", dw_stamp=STAMPED, dw_other=OTHER), False),
        (image("1", dw_stamp=STAMPED), None, False),
    ],
)
def test_a_changed_item_without_a_new_stamp_went_past_the_proxy(
    old: Any, new: Any, bypass: bool
) -> None:
    """Every write of ours changes the stamp or nothing that anybody can see."""
    assert change_of(record(old, new)).is_bypass is bypass


def test_an_empty_map_is_one_however_the_engine_words_it() -> None:
    """DynamoDB Local shows it as a value without a type: the images are the items all the same."""
    change = change_of(record(image("1", m={}), image("1", m={"M": {}}, dw_other={})))
    assert change.old == image("1", m={"M": {}})
    assert change.new == image("1", m={"M": {}}, dw_other={"M": {}})
    assert change.only_annotates


def test_a_ttl_delete_is_expected() -> None:
    """It carries the service's own identity, and is no bypass."""
    identity = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    change = change_of(record(image("1"), None, userIdentity=identity))
    assert change.by_ttl
    assert not change.is_bypass
    assert change.created_ms == 12_500


@pytest.mark.parametrize(
    ("old", "new", "only"),
    [
        (image("1"), image("1", dw_stamp=STAMPED, dw_other=OTHER), True),
        (image("1", dw_stamp=STAMPED), image("1", dw_stamp=STAMPED, dw_other=OTHER), True),
        (image("1", dw_stamp=STAMPED), image("1", dw_stamp=NEWER, dw_other=OTHER), False),
        (image("1"), image("2", dw_stamp=STAMPED, dw_other=OTHER), False),
        (None, image("1", dw_stamp=STAMPED, dw_other=OTHER), False),
        (image("1", dw_stamp=STAMPED, dw_other=OTHER), None, False),
    ],
)
def test_only_adding_hidden_attributes_is_an_annotation(old: Any, new: Any, only: bool) -> None:
    """A hidden attribute that changes its value is a write like any other."""
    assert change_of(record(old, new)).only_annotates is only


def test_a_record_was_made_no_later_than_it_was_fetched() -> None:
    """What DynamoDB Local rounds down to the minute may be a minute younger, and no more."""
    aws, local = (
        change_of(record(None, image("1"), awsRegion=region)) for region in ("eu-1", "ddblocal")
    )
    assert aws.created_ms == local.created_ms == 12_500
    assert [aws.created_ms_max(fetched) for fetched in (12_000, 13_000, 99_000)] == [12_500] * 3
    assert [local.created_ms_max(fetched) for fetched in (12_000, 13_000, 99_000)] == [
        12_500, 13_000, 71_500
    ]  # fmt: skip
