"""Hypothesis strategies for DynamoDB-JSON values and items."""

import base64
from typing import Any

from hypothesis import strategies as st

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def _numbers(draw: st.DrawFn) -> str:
    digits = draw(st.integers(-(10**38) + 1, 10**38 - 1))
    exponent = draw(st.integers(-20, 20))
    return f"{digits}E{exponent}"


numbers = _numbers()
"""Up to 38 digits, as DynamoDB takes them."""
binaries = st.binary(max_size=12).map(lambda raw: base64.b64encode(raw).decode())


def _sets(kind: str, members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(members, min_size=1, max_size=4, unique=True).map(lambda held: {kind: held})


scalars: st.SearchStrategy[Any] = st.one_of(
    texts.map(lambda text: {"S": text}),
    numbers.map(lambda number: {"N": number}),
    binaries.map(lambda raw: {"B": raw}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    _sets("SS", texts),
    _sets("NS", st.integers(-1000, 1000).map(str)),
    _sets("BS", binaries),
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda members: {"L": members}),
        st.dictionaries(texts, inner, max_size=3).map(lambda members: {"M": members}),
    ),
    max_leaves=6,
)
names = st.text(alphabet="abcdefg é.#", min_size=1, max_size=6)
items = st.dictionaries(names, values, max_size=5)
