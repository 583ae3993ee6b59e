"""A member that is given twice is refused where it could matter."""

import pytest

from dualwrite.core.doubled import refuse_doubled
from dualwrite.core.errors import ClientError

NAMES = ("TableName",)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"TableName":"a","TableName":"b"}',
        b'{"TableName":"a","Table\\u004eame":"b"}',
        b'{"x":[{"TableName":"a","TableName":"a"}]}',
    ],
)
def test_twice_is_refused(raw: bytes) -> None:
    """At any depth, and behind an escape."""
    with pytest.raises(ClientError) as caught:
        refuse_doubled(raw, NAMES)
    assert caught.value.code == "SerializationException"


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b'{"TableName":"a","a":"\\u0041"}',
        b'{"x":[{"TableName":"a"},{"TableName":"b"}]}',
        b'{"TableName":"a","Item":{"TableName":{"S":"b"}}}',
    ],
)
def test_once_in_each_object_is_right(raw: bytes) -> None:
    """However often the name stands in other objects."""
    refuse_doubled(raw, NAMES)
