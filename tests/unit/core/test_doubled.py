"""A member that is given twice is refused where it could matter."""

import json

import pytest

from dualwrite.core.doubled import may_hide, refuse_doubled
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


@pytest.mark.parametrize("letter", ["T", "-", ".", "_", "0", "z"])
def test_an_escape_can_hide_what_names_are_made_of(letter: str) -> None:
    """In either case of its digits."""
    for digits in (f"{ord(letter):04x}", f"{ord(letter):04X}"):
        assert may_hide(b'{"TableName":"\\u%b"}' % digits.encode())


def test_text_beyond_ascii_hides_nothing() -> None:
    """As Python's JSON writes it, surrogates included."""
    assert not may_hide(json.dumps({"name": "na\u00efve \u00ff \u4f60 \U0001f600"}).encode())
    assert not may_hide(b"{}")
