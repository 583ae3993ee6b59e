"""Expressions written back, carried over to other names, and built without text."""

from typing import Any

from hypothesis import given, settings

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    And,
    Placeholders,
    all_of,
    any_of,
    apply,
    conjoin,
    equals,
    exists,
    holds,
    less,
    names_used,
    names_written,
    not_exists,
    parse_condition,
    parse_projection,
    parse_update,
    project,
    rename,
    render,
    updated,
    with_set,
)
from dualwrite.core.expressions.ast import Path
from dualwrite.core.items import Item, canonical
from tests.unit.core.expression_strategies import conditions, items, projections, updates

ONE = {"N": "1"}
RENAMES: dict[str, Path] = {"a": ("hidden", "a"), "m": ("mm",), "status": ("hidden", "status")}
HIDDEN = ("a", "status")
quick = settings(max_examples=100)


def _carried(item: Item) -> Item:
    """An item under the other names."""
    carried = {name: value for name, value in item.items() if name not in RENAMES}
    if "m" in item:
        carried["mm"] = item["m"]
    carried["hidden"] = {"M": {name: item[name] for name in HIDDEN if name in item}}
    return carried


def _same(left: Item, right: Item) -> bool:
    return canonical({"M": left}) == canonical({"M": right})


@quick
@given(conditions)
def test_a_condition_parses_back_to_itself(condition: Any) -> None:
    """parse(render(x)) == x, whatever else stands in the pool."""
    pool = Placeholders()
    pool.name("taken")
    pool.value({"S": "taken"})
    text = render(condition, pool)
    try:
        parsed = parse_condition(text, pool.names, pool.values)
    except ValidationError:
        return  # its operands are of a wrong type; the engine test looks at those
    assert parsed == condition


@quick
@given(updates())
def test_an_update_parses_back_to_itself(update: Any) -> None:
    """parse(render(x)) == x."""
    pool = Placeholders()
    if not update.paths:
        return
    text = render(update, pool)
    try:
        parsed = parse_update(text, pool.names, pool.values)
    except ValidationError:
        return
    assert parsed == update


@quick
@given(projections())
def test_a_projection_parses_back_to_itself(projection: Any) -> None:
    """parse(render(x)) == x."""
    pool = Placeholders()
    assert parse_projection(render(projection, pool), pool.names) == projection


@quick
@given(conditions, items)
def test_a_renamed_condition_says_the_same_of_a_renamed_item(condition: Any, item: Item) -> None:
    """Translation by names alone changes no truth."""
    assert holds(rename(condition, RENAMES), _carried(item)) is holds(condition, item)


@quick
@given(updates(), items)
def test_a_renamed_update_does_the_same_to_a_renamed_item(update: Any, item: Item) -> None:
    """It gives the same item under other names, or fails with the same words."""

    def outcome(change: Any, before: Item) -> Any:
        try:
            return apply(change, before, {})
        except ValidationError as error:
            return error.message

    plain, carried = outcome(update, item), outcome(rename(update, RENAMES), _carried(item))
    if isinstance(plain, str):
        assert carried == plain
    else:
        assert _same(_carried(plain), carried)


@quick
@given(projections(), items)
def test_a_renamed_projection_shows_the_same(projection: Any, item: Item) -> None:
    """What is read under other names is what would have been read."""
    shown = project(rename(projection, RENAMES), _carried(item))
    expected = _carried(project(projection, item))
    if not expected["hidden"]["M"]:
        del expected["hidden"]
    assert _same(shown, expected)


def test_existence_can_be_asked_of_another_name() -> None:
    """``exists`` wins for a lone name in attribute_exists and attribute_not_exists only."""
    text = "attribute_exists(a) AND attribute_not_exists(a.b) AND a = :v"
    moved = rename(parse_condition(text, None, {":v": ONE}), {"a": ("o", "a")}, {"a": "key"})
    assert moved == all_of(exists(("key",)), not_exists(("o", "a", "b")), equals(("o", "a"), ONE))


def test_expressions_of_one_request_share_one_pool() -> None:
    """A name has one placeholder in the whole request, and so has one and the same value."""
    pool = Placeholders()
    guard = any_of(not_exists(("dw_stamp",)), less(("dw_stamp",), ONE))
    condition = conjoin(parse_condition("a = :v OR b = :v", None, {":v": ONE}), guard)
    update = with_set(parse_update("REMOVE a"), ("dw_stamp",), ONE)
    assert render(condition, pool) == (
        "(#0 = :0 OR #1 = :0) AND (attribute_not_exists(#2) OR #2 < :0)"
    )
    assert render(update, pool) == "SET #2 = :0 REMOVE #0"
    assert pool.names == {"#0": "a", "#1": "b", "#2": "dw_stamp"}
    assert pool.values == {":0": ONE}


def test_conjoining_with_nothing_gives_the_guard_alone() -> None:
    """A request without a condition gets just ours; one with an AND stays flat."""
    guard = exists(("h",))
    assert conjoin(None, guard) is guard
    assert conjoin(And((guard, guard)), guard) == And((guard, guard, guard))


def test_names_are_the_top_level_ones() -> None:
    """Names used count reads and writes, names written only writes."""
    update = parse_update(
        "SET a.b = if_not_exists(c, d), l[0] = e + :v ADD n :v", None, {":v": ONE}
    )
    assert names_used(update) == frozenset("abcdeln") - {"b"}
    assert names_written(update) == {"a", "l", "n"}
    assert names_used(parse_condition("size(a.b) > :v", None, {":v": ONE})) == {"a"}
    assert names_used(parse_projection("a, m.k")) == {"a", "m"}


def test_updated_paths_can_be_told_after_a_rename() -> None:
    """Return values are taken in the words of whoever asked."""
    update = parse_update("SET a = :v", None, {":v": ONE})
    after = apply(rename(update, RENAMES), {"hidden": {"M": {}}}, {})
    assert updated(rename(update, RENAMES), None, after, "UPDATED_NEW") == {
        "hidden": {"M": {"a": ONE}}
    }
