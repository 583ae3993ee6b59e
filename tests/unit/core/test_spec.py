"""What the frozen values of a spec say about themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.phases import Kind, Side
from dualwrite.core.spec import (
    Derivation,
    IndexSpec,
    MigratedTable,
    Migration,
    TableSide,
    Template,
    ValueMap,
)

parts = st.text(alphabet=st.characters(exclude_characters="#", exclude_categories=["Cs"]))


def table(kind: Kind = Kind.REKEY, *, new_hash: str = "pk") -> MigratedTable:
    old = TableSide("orders", KeySchema(KeyAttribute("tenant"), KeyAttribute("id")))
    new = TableSide("orders-v2", KeySchema(KeyAttribute(new_hash), KeyAttribute("id")))
    mapping = ValueMap("tenants", ("realm", "part"), {"a": ("eu", "x")})
    rule = Derivation("tenant", mapping, (("pk", Template("{realm}#{part}")),))
    return MigratedTable("orders", kind, old, old if kind is Kind.IN_PLACE else new, rule)


@pytest.mark.parametrize(
    "text",
    ["{a}#{b}", "{a}#mid#{b}", "pre#{a}#{b}#post", "x{a}y#{b}z", "({a})#[{b}]", "{{{a}}}#{b}"],
)
@given(parts, parts)
def test_a_template_is_told_apart_again(text: str, first: str, second: str) -> None:
    """Whatever fields without the separator are filled in, the same ones come out."""
    template = Template(text)
    assert template.fields == ("a", "b")
    values = {"a": first, "b": second}
    assert template.split(template.fill(values), "#") == values


@pytest.mark.parametrize("name", [":attrs", "a.b", "a[0]", "a!r", "a:>9", "0", "naïve key"])
def test_a_template_takes_names_as_they_are_written(name: str) -> None:
    """An attribute may be named like one of Python's format specifications."""
    template = Template(f"x#{{{name}}}")
    assert template.fields == (name,)
    assert template.fill({name: "v"}) == "x#v"
    assert template.split("x#v", "#") == {name: "v"}


@pytest.mark.parametrize("text", ["{a", "a}", "{}", "{a{b}}", "{{a}"])
def test_a_template_with_a_lone_brace_cannot_be_read(text: str) -> None:
    """The operator is told so where the spec is read."""
    with pytest.raises(ValueError, match="brace"):
        _ = Template(text).fields


@pytest.mark.parametrize("text", ["", "a", "#", "a#b#c", "X#a", "PRE#a#b", "pre#a"])
def test_another_form_is_not_split(text: str) -> None:
    """What the template did not make has no fields."""
    assert Template("PRE#{a}").split(text, "#") is None


def test_a_mapping_knows_its_way_back() -> None:
    """The inverse of an injective mapping."""
    mapping = ValueMap("m", ("x", "y"), {"a": ("1", "2"), "b": ("2", "1")})
    assert {mapping.backward[parts]: parts for parts in mapping.forward.values()} == mapping.forward


def test_swapped_names_are_those_the_dialects_differ_in() -> None:
    """Derived names, and old key attributes that the new key lacks; in place there are none."""
    assert table().swapped == {"tenant", "realm", "part", "pk"}
    assert table(new_hash="tenant").swapped == {"realm", "part", "pk"}
    assert table(Kind.IN_PLACE).swapped == frozenset()


def test_tables_are_found_by_both_names() -> None:
    """A physical name tells table and dialect; in place, the one name is the old dialect's."""
    rekey, in_place = table(), table(Kind.IN_PLACE)
    migration = Migration("m", "#", (rekey,), "control")
    assert migration.by_physical == {"orders": (rekey, Side.OLD), "orders-v2": (rekey, Side.NEW)}
    assert Migration("m", "#", (in_place,), "c").by_physical == {"orders": (in_place, Side.OLD)}
    assert migration.by_name == {"orders": rekey}
    assert (rekey.side(Side.OLD), rekey.side(Side.NEW)) == (rekey.old, rekey.new)


def test_indexes_are_found_by_name() -> None:
    """An unknown index is None, never another one."""
    keys = KeySchema(KeyAttribute("pk"), KeyAttribute("day"))
    side = TableSide("t", keys, (IndexSpec("by-day", keys),))
    assert side.index("by-day") == IndexSpec("by-day", keys)
    assert side.index("by-night") is None
