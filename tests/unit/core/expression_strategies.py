"""Hypothesis strategies for items and expressions that have much to do with each other."""

import base64
from typing import Any

from hypothesis import strategies as st

from dualwrite.core.expressions import (
    Arithmetic,
    Attribute,
    Between,
    Comparison,
    Condition,
    Function,
    In,
    Literal,
    Not,
    Path,
    Projection,
    SetAction,
    Size,
    Update,
    ValueAction,
    all_of,
    any_of,
)
from dualwrite.core.expressions.ast import IfNotExists, ListAppend

NAMES = ("a", "b", "m", "l", "n", "ss", "ns", "status", "x.y", "Größe")
INNER = ("k", "l", "m", "a")
TEXTS = ("", "a", "ab", "abc", "b", "é", "\U0001f600x", "x", "S", "N")
NUMBERS = (
    *("0", "1", "2", "-1", "3", "1.0", "100", "1E2", "0.1", "-0.25", "12345678901234567890"),
    *("99999999999999999999999999999999999999", "1E-130", "9E125", "-9E125", "1E30", "-0"),
)
BINARIES = tuple(base64.b64encode(raw).decode() for raw in (b"", b"a", b"ab", b"\xff\x00", b"b"))
TYPE_NAMES = ("S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS")

texts = st.sampled_from(TEXTS)
numbers = st.sampled_from(NUMBERS)
small_numbers = st.integers(-3, 3).map(str)


def _set(kind: str, members: st.SearchStrategy[str], value: Any = str) -> Any:
    return st.lists(members, min_size=1, max_size=3, unique_by=value).map(lambda m: {kind: m})


def _by_value(number: str) -> float:
    return float(number)


scalars = st.one_of(
    st.builds(lambda text: {"S": text}, texts),
    st.builds(lambda number: {"N": number}, small_numbers | numbers),
    st.builds(lambda raw: {"B": raw}, st.sampled_from(BINARIES)),
    st.sampled_from([{"BOOL": True}, {"BOOL": False}, {"NULL": True}]),
)
sets = st.one_of(
    _set("SS", texts),
    _set("NS", small_numbers, _by_value),
    _set("BS", st.sampled_from(BINARIES)),
)
values = st.recursive(
    scalars | sets,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda members: {"L": members}),
        st.dictionaries(st.sampled_from(INNER), inner, max_size=3).map(lambda m: {"M": m}),
    ),
    max_leaves=6,
)
lists = st.lists(scalars, max_size=4).map(lambda members: {"L": members})
maps = st.dictionaries(st.sampled_from(INNER), values, max_size=4).map(lambda m: {"M": m})
number_values = small_numbers.map(lambda number: {"N": number})

items = st.fixed_dictionaries(
    {},
    optional={
        "a": values,
        "b": scalars,
        "m": maps | maps | values,
        "l": lists | lists | values,
        "n": number_values | number_values | scalars,
        "ss": _set("SS", texts) | values,
        "ns": _set("NS", small_numbers, _by_value) | values,
        "status": scalars,
        "x.y": scalars,
        "Größe": scalars,
    },
)

steps = st.one_of(st.sampled_from(INNER), st.integers(0, 4))
paths: st.SearchStrategy[Path] = st.one_of(
    st.sampled_from(NAMES).map(lambda name: (name,)),
    st.sampled_from(NAMES).map(lambda name: (name,)),
    st.tuples(st.just("l"), st.integers(0, 4)),
    st.tuples(st.just("m"), st.sampled_from(INNER)),
    st.tuples(st.just("m"), st.sampled_from(INNER), steps),
    st.tuples(st.sampled_from(NAMES), steps),
)
attributes = st.builds(Attribute, paths)
literals = st.builds(Literal, values)
sizes = st.builds(Size, attributes | literals)
operands = st.one_of(attributes, attributes, attributes, literals, literals, sizes)
ordered = attributes | st.builds(Literal, scalars)


def _functions() -> st.SearchStrategy[Condition]:
    types = st.sampled_from(TYPE_NAMES).map(lambda name: Literal({"S": name}))
    texts_of = st.builds(Literal, texts.map(lambda text: {"S": text}))
    return st.one_of(
        st.builds(Function, st.just("attribute_exists"), st.tuples(attributes)),
        st.builds(Function, st.just("attribute_not_exists"), st.tuples(attributes)),
        st.builds(Function, st.just("attribute_type"), st.tuples(operands, types)),
        st.builds(Function, st.just("begins_with"), st.tuples(attributes, texts_of | ordered)),
        st.builds(Function, st.just("contains"), st.tuples(operands, operands)),
    )


comparators = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
leaves: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Comparison, comparators, attributes, literals | ordered),
    st.builds(Comparison, comparators, operands, operands),
    st.builds(Between, operands, ordered, ordered),
    st.builds(In, operands, st.lists(operands, min_size=1, max_size=3).map(tuple)),
    _functions(),
    _functions(),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: all_of(*parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: any_of(*parts)),
    ),
    max_leaves=5,
)

set_leaves = st.one_of(attributes, attributes, literals)
set_operands = st.one_of(
    set_leaves,
    st.builds(IfNotExists, paths, set_leaves),
    st.builds(Literal, number_values),
)
list_operands = st.one_of(
    st.builds(Literal, lists),
    st.just(Attribute(("l",))),
    st.builds(IfNotExists, paths, st.builds(Literal, lists)),
    set_operands,
)
numeric = st.one_of(
    st.builds(Literal, (small_numbers | numbers).map(lambda number: {"N": number})),
    st.just(Attribute(("n",))),
    st.builds(IfNotExists, paths, st.builds(Literal, number_values)),
    set_operands,
)
set_values = st.one_of(
    set_operands,
    st.builds(ListAppend, list_operands, list_operands),
    st.builds(Arithmetic, st.sampled_from("+-"), numeric, numeric),
)
addable = st.one_of(number_values, sets, numbers.map(lambda number: {"N": number}))


def _rivals(one: Path, other: Path) -> bool:
    """Whether two paths overlap or conflict."""
    for left, right in zip(one, other, strict=False):
        if isinstance(left, int) != isinstance(right, int):
            return True
        if left != right:
            return False
    return True


@st.composite
def updates(draw: st.DrawFn) -> Update:
    """Updates whose paths neither overlap nor conflict; operands may well be wrong."""
    taken: list[Path] = []
    sections: dict[str, list[Any]] = {"SET": [], "REMOVE": [], "ADD": [], "DELETE": []}
    for _ in range(draw(st.integers(1, 4))):
        path = draw(paths)
        if any(_rivals(path, rival) for rival in taken):
            continue
        taken.append(path)
        section = draw(st.sampled_from(["SET", "SET", "SET", "REMOVE", "ADD", "DELETE"]))
        if section == "SET":
            sections[section].append(SetAction(path, draw(set_values)))
        elif section == "REMOVE":
            sections[section].append(path)
        else:
            value = draw(addable if section == "ADD" else sets)
            sections[section].append(ValueAction(path, value))
    return Update(
        tuple(sections["SET"]),
        tuple(sections["REMOVE"]),
        tuple(sections["ADD"]),
        tuple(sections["DELETE"]),
    )


@st.composite
def projections(draw: st.DrawFn) -> Projection:
    found: list[Path] = []
    for path in draw(st.lists(paths, min_size=1, max_size=5)):
        if not any(_rivals(path, rival) for rival in found):
            found.append(path)
    return Projection(tuple(found))


_WORDS = (
    *("a", "b.k", "l[0]", "#n", ":v", ":s", "=", "<>", "<", "(", ")", ",", "AND", "OR", "NOT"),
    *("IN", "BETWEEN", "size", "contains", "attribute_exists", "if_not_exists", "SET", "REMOVE"),
    *("ADD", "DELETE", "+", "-", "status", "[", "]", ".", "foo", "1", ":", "#", "!", "begins_with"),
)
soups = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=9).map(" ".join)
"""Texts that are mostly no expressions at all."""
