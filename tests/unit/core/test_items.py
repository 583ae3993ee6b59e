"""Items keep their value, and equality is DynamoDB's."""

import base64
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwrite.core.items import (
    OTHER,
    STAMP,
    KeyAttribute,
    KeySchema,
    canonical,
    canonical_number,
    exceeds,
    key_from_token,
    key_of,
    key_projection,
    key_token,
    same,
    size_bytes,
    stamp_of,
    visible,
    with_types,
    without_stamp,
)
from tests.unit.core.rows import items, numbers, values

KEYS = KeySchema(KeyAttribute("id"), KeyAttribute("at", "N"))


def reordered(value: Any) -> Any:
    """The same value as another engine might write it: maps and sets the other way round."""
    [(kind, content)] = value.items()
    match kind:
        case "M":
            return {"M": {name: reordered(content[name]) for name in reversed(content)}}
        case "L":
            return {"L": [reordered(member) for member in content]}
        case "SS" | "BS" | "NS":
            return {kind: list(reversed(content))}
        case "N":
            return {"N": respelled(content)}
    return value


def respelled(number: str) -> str:
    """The same number written with an exponent."""
    sign, digits, exponent = Decimal(number).as_tuple()
    return f"{'-' if sign else ''}{''.join(map(str, digits))}0E{int(exponent) - 1}"


@given(items)
def test_equality_looks_at_values_not_at_spelling(item: Any) -> None:
    """Order in maps and sets and the spelling of numbers make no difference."""
    other = {name: reordered(item[name]) for name in reversed(item)}
    assert same(item, other)
    assert same(other, item)


@given(values, values)
def test_different_values_are_different(left: Any, right: Any) -> None:
    """Equal canonical forms mean values of one type that differ in spelling at most."""
    if canonical(left) == canonical(right):
        assert left.keys() == right.keys()
        assert same({"a": left}, {"a": right})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"S": "1"}, {"N": "1"}),
        ({"NULL": True}, {"S": ""}),
        ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}),
        ({"SS": ["1"]}, {"NS": ["1"]}),
        ({"S": "é"}, {"S": "e\u0301"}),
        ({"N": "12345678901234567890123456789012345678"},
         {"N": "12345678901234567890123456789012345679"}),
        ({"M": {}}, {"L": []}),
        ({"BOOL": True}, {"N": "1"}),
    ],
)  # fmt: skip
def test_what_dynamodb_tells_apart_stays_apart(left: Any, right: Any) -> None:
    """Types, list order, normal forms and the last digit all count."""
    assert not same({"a": left}, {"a": right})


def test_absent_is_not_null() -> None:
    """An attribute that is missing and one that is NULL are two different things."""
    assert not same({"a": {"S": "x"}}, {"a": {"S": "x"}, "b": {"NULL": True}})


@pytest.mark.parametrize(
    ("text", "normal"),
    [("1.2300E2", "123"), ("100", "1E+2"), ("-0", "0"), ("0.0", "0"), ("1E-130", "1E-130")],
)
def test_numbers_have_one_form(text: str, normal: str) -> None:
    """DynamoDB normalises numbers, so the forms must meet."""
    assert canonical_number(text) == normal


@given(numbers)
def test_no_digit_of_a_number_is_lost(number: str) -> None:
    """All 38 digits survive the normal form."""
    assert Decimal(canonical_number(number)) == Decimal(number)


@given(st.text(min_size=1), numbers)
def test_a_key_token_is_the_key(name: str, number: str) -> None:
    """The token gives the key back, equal keys give one token, and only they do."""
    item = {"id": {"S": name}, "at": {"N": number}, "more": {"S": "x"}}
    token = key_token(item, KEYS)
    back = key_from_token(token, KEYS)
    assert same(back, key_of(item, KEYS))
    assert key_token(back, KEYS) == token
    assert key_token({**item, "at": {"N": respelled(number)}}, KEYS) == token
    assert key_token({**item, "id": {"S": name + "x"}}, KEYS) != token


def test_bytes_are_equal_however_they_are_written() -> None:
    """Base64 may leave bits of its last letter unused; a key with other ones is the same key."""
    keys = KeySchema(KeyAttribute("id", "B"))
    assert key_token({"id": {"B": "AR=="}}, keys) == key_token({"id": {"B": "AQ=="}}, keys)
    assert same({"b": {"B": "AR=="}, "s": {"BS": ["AR=="]}},
                {"b": {"B": "AQ=="}, "s": {"BS": ["AQ=="]}})  # fmt: skip
    assert not same({"b": {"B": "Ag=="}}, {"b": {"B": "AQ=="}})


@pytest.mark.parametrize(
    ("value", "kind", "too_long"),
    [
        ({"S": "x" * 1024}, "S", False),
        ({"S": "x" * 1025}, "S", True),
        ({"S": "é" * 512}, "S", False),
        ({"S": "é" * 513}, "S", True),
        ({"B": base64.b64encode(b"x" * 1024).decode()}, "B", False),
        ({"B": base64.b64encode(b"x" * 1025).decode()}, "B", True),
        ({"N": "0" * 2000 + "1"}, "N", False),
    ],
)
def test_keys_are_measured_in_bytes(value: Any, kind: str, too_long: bool) -> None:
    """Of text in UTF-8 and of binary decoded; a hash key may have twice as many as a range key."""
    ranged = KeySchema(KeyAttribute("id"), KeyAttribute("at", kind))
    assert ranged.range is not None
    assert exceeds(value, ranged.range, ranged) is too_long
    hashed = KeySchema(KeyAttribute("at", kind), more_hashes=(KeyAttribute("id", kind),))
    assert not any(exceeds(value, attribute, hashed) for attribute in hashed.attributes)


def test_keys_alone_are_asked_for_under_placeholders() -> None:
    """A key may be named by a reserved word."""
    assert key_projection(KEYS) == {
        "ProjectionExpression": "#k0, #k1",
        "ExpressionAttributeNames": {"#k0": "id", "#k1": "at"},
    }


def test_a_missing_key_attribute_is_an_error() -> None:
    """A fragment of a key never stands for a key."""
    with pytest.raises(KeyError):
        key_of({"id": {"S": "x"}}, KEYS)


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({}, 0),
        ({"name": {"S": "größe"}}, 4 + 7),
        ({"flag": {"BOOL": True}, "none": {"NULL": True}}, 5 + 5),
        ({"b": {"B": base64.b64encode(b"12345").decode()}}, 1 + 5),
        ({"b": {"BS": [base64.b64encode(b"1234").decode(), ""]}}, 1 + 4),
        ({"n": {"N": "0"}}, 1 + 2),
        ({"n": {"N": "-123456"}}, 1 + 5),
        ({"n": {"N": "120"}}, 1 + 3),
        ({"n": {"N": "1200"}}, 1 + 2),
        ({"n": {"N": "-12345.678"}}, 1 + 7),
        ({"n": {"N": "1" * 38}}, 1 + 20),
        ({"m": {"M": {}}}, 1 + 3),
        ({"m": {"M": {"a": {"S": "xy"}}}}, 1 + 3 + 1 + 1 + 2),
        ({"l": {"L": [{"S": "x"}, {"S": "y"}]}}, 1 + 3 + 2 + 2),
        ({"s": {"SS": ["ab", "c"]}}, 1 + 3),
    ],
)
def test_sizes_are_counted_as_aws_counts(item: Any, size: int) -> None:
    """Names and values in UTF-8 bytes; numbers by digits; 3 for a container, 1 for a member."""
    assert size_bytes(item) == size


@given(items, items)
def test_sizes_add_up(left: Any, right: Any) -> None:
    """An item is as large as its attributes together, so room for more can be reckoned."""
    right = {name: value for name, value in right.items() if name not in left}
    assert size_bytes({**left, **right}) == size_bytes(left) + size_bytes(right)


def test_a_value_without_a_type_is_an_empty_map() -> None:
    """At any depth; an image that is whole stays the one it is."""
    empty: dict[str, Any] = {"M": {}}
    members = [{"L": []}, {"S": ""}, {"NULL": True}, {"BOOL": False}, {"B": ""}]
    image = {"a": {}, "m": {"M": {"x": {}, "y": {"L": [{}, *members]}}}, "n": {"N": "1"}}
    wanted = {"a": empty, "m": {"M": {"x": empty, "y": {"L": [empty, *members]}}}, "n": {"N": "1"}}
    assert with_types(image) == wanted
    assert with_types(wanted) is wanted


def test_stamps_are_read_and_left_out() -> None:
    """What a row carries for the service is told from what the application wrote."""
    item = {"id": {"S": "1"}, STAMP: {"S": "t"}, OTHER: {"M": {}}}
    assert stamp_of(item) == "t"
    assert stamp_of(None) is None
    assert stamp_of({"id": {"S": "1"}}) is None
    assert stamp_of({STAMP: {"N": "1"}}) is None
    assert without_stamp(item) == {"id": {"S": "1"}, OTHER: {"M": {}}}


def test_what_the_service_keeps_in_an_item_is_hidden() -> None:
    """The two attributes it adds, and none that merely looks like one."""
    item = {"dw_note": {"S": "x"}, STAMP: {"S": "0001"}, OTHER: {"M": {}}, "id": {"S": "a"}}
    assert visible(item) == {"dw_note": {"S": "x"}, "id": {"S": "a"}}
