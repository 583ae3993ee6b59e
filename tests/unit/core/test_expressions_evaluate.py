"""Conditions held against items, updates applied to them, items projected."""

from typing import Any

import pytest

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    apply,
    creates,
    holds,
    parse_condition,
    parse_projection,
    parse_update,
    project,
    updated,
)
from dualwrite.core.items import Item

KEY: Item = {"h": {"S": "k"}}
ITEM: Item = {
    **KEY,
    "n": {"N": "10"},
    "s": {"S": "xyz"},
    "b": {"B": "YWJj"},
    "l": {"L": [{"N": "1"}, {"N": "2"}, {"N": "3"}]},
    "m": {"M": {"k": {"N": "5"}, "l": {"L": [{"N": "1"}, {"N": "2"}]}}},
    "ns": {"NS": ["1", "3"]},
    "ss": {"SS": ["x", "y"]},
}
VALUES: Item = {
    ":0": {"N": "0"},
    ":1": {"N": "1"},
    ":3": {"N": "3.0"},
    ":9": {"N": "9"},
    ":10": {"N": "1E1"},
    ":s": {"S": "xy"},
    ":b": {"B": "YWI="},
    ":l": {"L": [{"N": "9"}]},
    ":ns": {"NS": ["1", "2"]},
    ":ss": {"SS": ["x", "y"]},
    ":yx": {"SS": ["y", "x"]},
    ":SS": {"S": "SS"},
}


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("n = :10", True),
        ("n > :9", True),
        ("s > :9", False),
        ("ss = :yx", True),
        ("absent = :1", False),
        ("absent <> :1", True),
        ("NOT absent < :1", True),
        ("n BETWEEN :9 AND :10", True),
        ("n IN (:1, :10)", True),
        ("l[1] IN (:1, l[0])", False),
        ("contains(s, :s)", True),
        ("contains(b, :b)", True),
        ("contains(l, :3)", True),
        ("contains(ns, :3)", True),
        ("contains(n, :1)", False),
        ("begins_with(s, :s)", True),
        ("begins_with(b, :b)", True),
        ("begins_with(n, :s)", False),
        ("attribute_type(ss, :SS)", True),
        ("size(s) = :3", True),
        ("size(m.l) > :1", True),
        ("size(absent) > :0", False),
        ("attribute_exists(m.l[1]) AND attribute_not_exists(m.l[2])", True),
        ("attribute_exists(n.k)", False),
    ],
)
def test_conditions_hold_as_dynamodb_says(text: str, truth: bool) -> None:
    """Types never mix, sets have no order, numbers compare by value."""
    used = {key: value for key, value in VALUES.items() if key in text}
    assert holds(parse_condition(text, None, used), ITEM) is truth


def test_no_item_is_an_item_without_attributes() -> None:
    """attribute_not_exists(key) is how clients ask for absence."""
    condition = parse_condition("attribute_not_exists(h)")
    assert holds(condition, None)
    assert holds(condition, {})
    assert not holds(condition, ITEM)


def _apply(text: str, item: Item | None = ITEM) -> Item:
    used = {key: value for key, value in VALUES.items() if key in text}
    return apply(parse_update(text, None, used), item, KEY)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("SET n = n + :1", "n", {"N": "11"}),
        ("SET n = :1 - n", "n", {"N": "-9"}),
        ("SET x = if_not_exists(x, :0) + :1", "x", {"N": "1"}),
        ("SET l = list_append(:l, l)", "l", {"L": [{"N": n} for n in "9123"]}),
        ("SET l[9] = :9, l[7] = :0", "l", {"L": [{"N": n} for n in "12309"]}),
        ("REMOVE l[0], l[1], l[9]", "l", {"L": [{"N": "3"}]}),
        ("SET l[7] = :9 REMOVE l[0], l[3]", "l", {"L": [{"N": n} for n in "239"]}),
        ("ADD n :3", "n", {"N": "13"}),
        ("ADD x :3", "x", {"N": "3"}),
        ("ADD ns :ns", "ns", {"NS": ["1", "2", "3"]}),
        ("DELETE ns :ns", "ns", {"NS": ["3"]}),
        ("DELETE ss :ss", "ss", None),
        ("REMOVE m.k", "m", {"M": {"l": {"L": [{"N": "1"}, {"N": "2"}]}}}),
        ("ADD l[5] :1", "l", {"L": [{"N": n} for n in "1231"]}),
        ("SET x = :10", "x", {"N": "10"}),
    ],
)
def test_updates_are_applied_as_dynamodb_does(text: str, name: str, value: Any) -> None:
    """Indexes count in the old list, what lies beyond it is appended, empty sets vanish."""
    before = {key: value for key, value in ITEM.items() if key != name}
    after = _apply(text)
    assert after.get(name) == value
    assert {key: value for key, value in after.items() if key != name} == before


@pytest.mark.parametrize(
    ("kind", "present", "given", "together"),
    [
        ("SS", ["b"], ["é", "a", "Z"], ["Z", "a", "b", "é"]),
        ("NS", ["10"], ["1E1", "-2", "9.50"], ["-2", "9.5", "10"]),
        ("BS", ["/w=="], ["AgA=", "Ag=="], ["Ag==", "AgA=", "/w=="]),
    ],
)
def test_sets_come_in_the_order_of_their_members(
    kind: str, present: list[str], given: list[str], together: list[str]
) -> None:
    """A set is told as a read tells it: ordered by value, wherever it stands, whoever made it."""
    values = {":v": {kind: given}, ":m": {"M": {"in": {kind: given}}}}
    update = parse_update("ADD s :v SET fresh = :v, m = :m", None, values)
    after = apply(update, {**KEY, "s": {kind: present}}, KEY)
    assert after["s"] == {kind: together}
    alone = [member for member in together if member not in present or "1E1" in given]
    assert after["fresh"] == after["m"]["M"]["in"] == {kind: alone}


def test_values_are_read_before_any_is_written() -> None:
    """Two attributes can change places."""
    after = _apply("SET n = s, s = n REMOVE m.k")
    assert (after["n"], after["s"]) == (ITEM["s"], ITEM["n"])
    assert ITEM["m"]["M"]["k"] == {"N": "5"}, "the item given is left alone"


def test_an_upsert_starts_from_the_key() -> None:
    """An absent item becomes its key and what the update writes."""
    assert _apply("SET x = :1", None) == {**KEY, "x": {"N": "1"}}


def test_only_set_and_add_create() -> None:
    """An update that only removes makes no item."""
    assert creates(parse_update("ADD n :1", None, VALUES))
    assert not creates(parse_update("REMOVE n DELETE ss :ss", None, VALUES))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SET x = y", "The provided expression refers to an attribute that does not exist in"),
        ("SET x = if_not_exists(y, z)", "The provided expression refers to an attribute that"),
        ("SET x = s + :1", "An operand in the update expression has an incorrect data type"),
        ("SET x = list_append(l, m)", "An operand in the update expression has an incorrect"),
        ("ADD s :1", "An operand in the update expression has an incorrect data type"),
        ("DELETE ss :ns", "An operand in the update expression has an incorrect data type"),
        ("SET y.z = :1", "The document path provided in the update expression is invalid for"),
        ("REMOVE s.k", "The document path provided in the update expression is invalid for"),
        ("SET l.k = :1", "The document path provided in the update expression is invalid for"),
        ("SET m[0] = :1", "The document path provided in the update expression is invalid for"),
        ("SET h = :1", "One or more parameter values were invalid: Cannot update attribute h."),
    ],
)
def test_an_update_that_cannot_be_applied_is_refused(text: str, message: str) -> None:
    """The words are DynamoDB's."""
    with pytest.raises(ValidationError) as caught:
        _apply(text)
    assert caught.value.message.startswith(message)


def _sum(left: str, right: str) -> str:
    values = {":l": {"N": left}, ":r": {"N": right}}
    return str(apply(parse_update("SET x = :l + :r", None, values), ITEM, KEY)["x"]["N"])


def test_sums_are_exact_to_38_digits() -> None:
    """No float and no rounding; beyond the range or the digits it is an overflow."""
    assert _sum("0.1", "0.2") == "0.3"
    assert _sum("1E20", "1") == "100000000000000000001"
    assert _sum("9" * 37 + "8", "1") == "9" * 38
    assert _sum("1E-130", "0") == "0." + "0" * 129 + "1"
    assert _sum("100", "-100.0") == "0"
    for left, right in (("9E125", "9E125"), ("1E50", "1"), ("1", "1E-130")):
        with pytest.raises(ValidationError, match="Number overflow"):
            _sum(left, right)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("SET n = :1, x = :0", {"n": {"N": "10"}}, {"n": {"N": "1"}, "x": {"N": "0"}}),
        ("SET m.k = :1", {"m": {"M": {"k": {"N": "5"}}}}, {"m": {"M": {"k": {"N": "1"}}}}),
        ("SET l[1] = :9", {"l": {"L": [{"N": "2"}]}}, {"l": {"L": [{"N": "9"}]}}),
        ("SET l[9] = :9", {}, {}),
        ("REMOVE l[1], l[7]", {"l": {"L": [{"N": "2"}]}}, {"l": {"L": [{"N": "3"}]}}),
        ("REMOVE n", {"n": {"N": "10"}}, {}),
        ("SET m.x = :1", {}, {"m": {"M": {"x": {"N": "1"}}}}),
    ],
)
def test_updated_values_are_the_written_paths(text: str, old: Item, new: Item) -> None:
    """As AWS answers (recorded by ScyllaDB Alternator's tests), oddities at lists included."""
    update = parse_update(text, None, VALUES)
    after = apply(update, ITEM, KEY)
    assert updated(update, ITEM, after, "UPDATED_OLD") == old
    assert updated(update, ITEM, after, "UPDATED_NEW") == new
    assert updated(update, None, after, "UPDATED_OLD") == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("n, absent", {"n": {"N": "10"}}),
        ("l[2], l[0]", {"l": {"L": [{"N": "1"}, {"N": "3"}]}}),
        ("m.l[1], m.k", {"m": {"M": {"l": {"L": [{"N": "2"}]}, "k": {"N": "5"}}}}),
        ("m.absent, l[9], n.k, s[0], ns[0]", {}),
    ],
)
def test_projections_keep_structure_and_close_up_lists(text: str, found: Item) -> None:
    """Nothing is left of a path that leads nowhere."""
    assert project(parse_projection(text), ITEM) == found
