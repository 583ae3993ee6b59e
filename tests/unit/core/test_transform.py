"""T: total, deterministic, injective, and its own inverse; what it cannot map has a name."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwrite.core.derivation import Derived, Problem, Question, Reason, derive
from dualwrite.core.items import HIDDEN, OTHER, STAMP, KeyAttribute, KeySchema, same
from dualwrite.core.phases import Kind, Side
from dualwrite.core.spec import Derivation, LookupHow, MigratedTable, TableSide, Template, ValueMap
from dualwrite.core.transform import Row, annotated, row_from_client, row_from_stored, translate_key
from dualwrite.spec_file import load
from tests.unit.core.rows import items, texts, values

EXAMPLE = load(Path(__file__).parents[3] / "examples" / "ai_coordination_engine" / "migration.toml")
COORDINATIONS = EXAMPLE.by_name["coordinations"]
TASKS = EXAMPLE.by_name["tasks"]
AGENTS = EXAMPLE.by_name["session_agents"]
ACME = {"endpoint_id": {"S": "aws-prod-us-east-1"}, "part_id": {"S": "acme-corp"}}
ACME_NEW = {**ACME, "partition_key": {"S": "aws-prod-us-east-1#acme-corp"}}
STAMPED = "1700000000000.00000.000001.writer01.00000001"


def keyed(template: str, mapping: ValueMap | None, source: str | None) -> MigratedTable:
    """A rekey table of hash ``tenant`` and range ``id`` whose new hash is ``pk``."""
    return MigratedTable(
        "orders",
        Kind.REKEY,
        TableSide("orders", KeySchema(KeyAttribute("tenant"), KeyAttribute("id"))),
        TableSide("orders-v2", KeySchema(KeyAttribute("pk"), KeyAttribute("id"))),
        Derivation(source, mapping, (("pk", Template(template)),)),
    )


FALLBACK = keyed(
    "{realm}#{part}",
    ValueMap(
        "tenants",
        ("realm", "part"),
        {"a": ("eu", "x"), "b": ("c", "c"), "c": ("b", "b"), "#odd": ("eu", "odd")},
        identity_fallback=True,
    ),
    "tenant",
)
PREFIXED = keyed("TENANT#{tenant}", None, None)
JOINED = keyed("{tenant}#{id}", None, None)
KEYED = [COORDINATIONS, FALLBACK, PREFIXED, JOINED]

mapped_ids = st.sampled_from(sorted(TASKS.derivation.mapping.forward))  # type: ignore[union-attr]  # the example has a mapping
ids = st.one_of(
    mapped_ids,
    st.sampled_from(["a", "b", "c", "d", "eu", "#odd", "#", "a#b", "é" * 513, "x" * 1_024]),
    texts.filter(bool),
)


def key(table: MigratedTable, tenant: str, own: str = "1") -> Any:
    return dict(
        zip(table.old.keys.names, ({"S": tenant}, {"S": own}), strict=True),
    )


def split(outcome: Row | Question | Problem) -> Row:
    assert isinstance(outcome, Row), outcome
    return outcome


TURNED = MigratedTable(
    "turned",
    Kind.REKEY,
    TableSide("turned", KeySchema(KeyAttribute("a"), KeyAttribute("b"))),
    TableSide("turned-v2", KeySchema(KeyAttribute("b"), KeyAttribute("a"))),
    Derivation(None, None, ()),
)

# -- keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize("table", KEYED)
@given(ids, ids, texts.filter(lambda text: bool(text) and "#" not in text))
def test_keys_translate_there_and_back(table: MigratedTable, one: str, two: str, own: str) -> None:
    """A key that has a place on new leads back to itself, and no two keys share a place."""
    first, second = key(table, one, own), key(table, two, own)
    there = translate_key(table, first, Side.OLD, Side.NEW)
    if isinstance(there, Problem):
        return
    assert tuple(sorted(there)) == tuple(sorted(table.new.keys.names))
    assert translate_key(table, there, Side.NEW, Side.OLD) == first
    if one != two:
        assert translate_key(table, second, Side.OLD, Side.NEW) != there


@pytest.mark.parametrize("table", KEYED)
@given(texts, texts)
def test_new_keys_translate_there_and_back(table: MigratedTable, left: str, right: str) -> None:
    """A new key that has a place on old is the one which that place leads to."""
    for composed in (left, f"{left}#{right}", f"{left}#{left}", f"TENANT#{left}"):
        new = {table.new.keys.hash.name: {"S": composed}, table.new.keys.names[1]: {"S": "1"}}
        back = translate_key(table, new, Side.NEW, Side.OLD)
        if isinstance(back, Problem):
            continue
        assert translate_key(table, back, Side.OLD, Side.NEW) == new


@pytest.mark.parametrize(("dialect", "name"), [(Side.OLD, "a"), (Side.NEW, "b")])
def test_a_key_that_is_too_long_in_its_other_place(dialect: Side, name: str) -> None:
    """A hash key that becomes a range key has half the room; a row that outgrows it has no place,
    whether a client brings it or it stands there already."""
    fits = {"a": {"S": "1"}, "b": {"S": "1"}, name: {"S": "é" * 512}}
    assert translate_key(TURNED, fits, dialect, dialect.other) == fits
    assert isinstance(row_from_client(TURNED, fits, dialect), Row)
    beyond = {**fits, name: {"S": "é" * 512 + "x"}}
    problems = (
        translate_key(TURNED, beyond, dialect, dialect.other),
        row_from_client(TURNED, beyond, dialect),
        row_from_stored(TURNED, {**beyond, OTHER: {"M": {}}}, dialect),
    )
    for problem in problems:
        assert problem == Problem(Reason.TOO_LONG, f"{name} is over 1024 bytes")


@pytest.mark.parametrize(
    ("tenant", "reason"),
    [
        ("not-listed", Reason.UNMAPPED),
        ("acme#prod", Reason.SEPARATOR),
        ("#", Reason.SEPARATOR),
        ("", Reason.ORPHAN),
        ("x" * 1_025, Reason.TOO_LONG),
        ("é" * 1_024, Reason.TOO_LONG),
    ],
)
def test_a_key_without_a_place_is_named(tenant: str, reason: Reason) -> None:
    """A key that cannot be mapped is a reason, never a guess; contents are not told."""
    problem = translate_key(COORDINATIONS, key(COORDINATIONS, tenant), Side.OLD, Side.NEW)
    assert isinstance(problem, Problem)
    assert problem.reason is reason
    assert tenant in ("", "#") or tenant not in problem.detail


@pytest.mark.parametrize(
    "composed", ["", "#", "a", "a#b", "#acme-corp", "aws-prod-us-east-1#", "a#b#c", "None#None"]
)
def test_a_new_key_that_nobody_is_mapped_to_is_named(composed: str) -> None:
    """The way back invents no tenant either."""
    new = {"partition_key": {"S": composed}, "coordination_uuid": {"S": "1"}}
    assert isinstance(translate_key(COORDINATIONS, new, Side.NEW, Side.OLD), Problem)


def test_unchanged_keys_pass_as_they_are() -> None:
    """A rekey table with the same keys, and an in-place table, translate nothing."""
    same_key = {"coordination_uuid": {"S": "c"}, "task_uuid": {"S": "t"}}
    assert translate_key(TASKS, same_key, Side.OLD, Side.NEW) == same_key
    assert translate_key(TASKS, same_key, Side.NEW, Side.OLD) == same_key
    agent = {"session_uuid": {"S": "s"}, "session_agent_uuid": {"S": "a"}}
    assert translate_key(AGENTS, agent, Side.OLD, Side.NEW) == agent


def test_a_fall_back_never_meets_a_mapped_pair() -> None:
    """An unlisted id whose own pair is somebody else's is refused, not merged with them."""
    mapping = ValueMap("t", ("realm", "part"), {"a": ("z", "z")}, identity_fallback=True)
    table = keyed("{realm}#{part}", mapping, "tenant")
    assert isinstance(translate_key(table, key(table, "z"), Side.OLD, Side.NEW), Problem)


# -- rows -----------------------------------------------------------------------------------


@given(items, st.one_of(st.none(), st.just({"NULL": True}), ids.map(lambda text: {"S": text})))
def test_rows_of_unchanged_keys_survive_both_ways(body: Any, source: Any) -> None:
    """Each side's item gives the same row back, and old sees just what it wrote."""
    item = {**body, "coordination_uuid": {"S": "c"}, "task_uuid": {"S": "t"}}
    if source is not None:
        item["endpoint_id"] = source
    answers = {
        Question("coordinations", LookupHow.INDEX, (("coordination_uuid", "c"),)): "acme-corp-prod"
    }
    row = split(row_from_client(TASKS, item, Side.OLD, answers)).stamped(STAMPED)
    assert row.seen(Side.OLD) == item
    assert HIDDEN.isdisjoint(row.seen(Side.NEW))
    for side in Side:
        stored = row.stored(side)
        assert stored[STAMP] == {"S": STAMPED}
        back = split(row_from_stored(TASKS, stored, side, answers))
        assert back.seen(Side.OLD) == item
        assert back.seen(Side.NEW) == row.seen(Side.NEW)
        assert back.stored(side.other) == row.stored(side.other)
        assert annotated(TASKS, stored, row, side)
        assert (back.problem is None) == (row.problem is None)


@pytest.mark.parametrize("table", KEYED)
@given(items, ids)
def test_rows_of_derived_keys_survive_both_ways(
    table: MigratedTable, body: Any, tenant: str
) -> None:
    """So do rows that stand under another key on the other side."""
    item = {**body, **key(table, tenant, "own")}
    row = row_from_client(table, item, Side.OLD)
    if isinstance(row, Problem):
        return
    row = split(row)
    assert row.seen(Side.OLD) == item
    for side in Side:
        back = split(row_from_stored(table, row.stamped(STAMPED).stored(side), side))
        assert back == row.stamped(STAMPED)
    bare = split(row_from_client(table, row.seen(Side.NEW), Side.NEW))
    assert (bare.seen(Side.OLD), bare.seen(Side.NEW)) == (item, row.seen(Side.NEW))


@given(
    items,
    st.dictionaries(st.sampled_from(sorted(TASKS.swapped)), values, max_size=3),
    st.sampled_from(list(Side)),
    st.booleans(),
)
def test_the_transform_is_total(body: Any, swapped: Any, side: Side, hidden: bool) -> None:
    """Any item whatever is a row, a question or a named problem; none is changed or lost."""
    item = {**body, **swapped, "coordination_uuid": {"S": "c"}, "task_uuid": {"S": "t"}}
    if hidden:
        item[OTHER] = {"M": {}}
    for table in (TASKS, COORDINATIONS):
        outcome = row_from_stored(table, item, side)
        if isinstance(outcome, Row):
            seen = {name: value for name, value in item.items() if name not in HIDDEN}
            assert same(outcome.seen(side), seen)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"S": "not-listed"}, Reason.UNMAPPED),
        ({"S": "acme#prod"}, Reason.SEPARATOR),
        ({"S": "x" * 1_025}, Reason.TOO_LONG),
        ({"N": "17"}, Reason.WRONG_TYPE),
        (None, Reason.ORPHAN),
    ],
)
def test_a_row_that_cannot_be_derived_is_carried_by_name(source: Any, reason: Reason) -> None:
    """Its key has a place, so it has a row: without derived attributes, with the reason."""
    item = {"coordination_uuid": {"N": "1"}, "task_uuid": {"S": "t"}}
    if source is not None:
        item["endpoint_id"] = source
    row = split(row_from_client(TASKS, item, Side.OLD))
    assert row.problem is not None
    assert row.problem.reason is reason
    assert row.new == {}
    assert row.seen(Side.OLD) == item


@pytest.mark.parametrize("value", [{"NULL": True}, {"N": "5"}, {"L": []}])
@pytest.mark.parametrize("name", sorted(ACME_NEW))
def test_a_derived_attribute_that_is_no_string_contradicts_the_others(
    name: str, value: Any
) -> None:
    """What a new client says is kept as it said it, or refused where the key is made of it; it is
    never taken for what the other derived attributes would give."""
    item = {"coordination_uuid": {"S": "c"}, "task_uuid": {"S": "t"}, **ACME_NEW, name: value}
    row = split(row_from_client(TASKS, item, Side.NEW))
    assert row.problem == Problem(Reason.WRONG_TYPE, f"{name} is not a string")
    assert (row.seen(Side.NEW), row.old) == (item, {})
    refused = row_from_client(COORDINATIONS, item, Side.NEW)
    assert refused == Problem(Reason.WRONG_TYPE, f"{name} is not a string")


def test_a_new_row_of_nobody_known_is_carried_by_name() -> None:
    """What the new dialect says stays as it is; old gets the row without an id of its own."""
    item = {"coordination_uuid": {"S": "c"}, "task_uuid": {"S": "t"}, "part_id": {"S": "p"}}
    row = split(row_from_client(TASKS, item, Side.NEW))
    assert row.problem is not None
    assert row.seen(Side.NEW) == item
    assert row.old == {}


def test_a_contradiction_is_named() -> None:
    """A composed key and its parts must say the same."""
    item = {**ACME_NEW, "part_id": {"S": "globex"}, "coordination_uuid": {"S": "c"}}
    problem = row_from_client(COORDINATIONS, item, Side.NEW)
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.CONTRADICTION


def test_a_key_that_contradicts_itself_is_named() -> None:
    """A part of the hash key that is the range key too must be the same twice."""
    new = {"pk": {"S": "a#1"}, "id": {"S": "2"}}
    for outcome in (
        translate_key(JOINED, new, Side.NEW, Side.OLD),
        row_from_client(JOINED, new, Side.NEW),
    ):
        assert isinstance(outcome, Problem)
        assert outcome.reason is Reason.CONTRADICTION


def test_a_composed_range_key_keeps_to_its_own_limit() -> None:
    """DynamoDB takes 1,024 bytes in a range key, not 2,048."""
    hash_only = TableSide("t-v2", KeySchema(KeyAttribute("tenant"), KeyAttribute("sk")))
    old = TableSide("t", KeySchema(KeyAttribute("tenant"), KeyAttribute("id")))
    rule = Derivation(None, None, (("sk", Template("ORDER#{id}")),))
    table = MigratedTable("t", Kind.REKEY, old, hash_only, rule)
    assert isinstance(derive(table, key(table, "a", "x" * 1_018)), Derived)
    problem = derive(table, key(table, "a", "x" * 1_019))
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.TOO_LONG


def test_a_composed_hash_key_may_be_as_long_as_dynamodb_takes_it() -> None:
    """A field that is itself a hash key is no range key: only what is made of it is bounded."""
    old = TableSide("t", KeySchema(KeyAttribute("id")))
    new = TableSide("t-v2", KeySchema(KeyAttribute("pk")))
    table = MigratedTable(
        "t", Kind.REKEY, old, new, Derivation(None, None, (("pk", Template("T#{id}")),))
    )
    longest = {"id": {"S": "x" * 2_046}}
    there = translate_key(table, longest, Side.OLD, Side.NEW)
    assert there == {"pk": {"S": "T#" + "x" * 2_046}}
    assert translate_key(table, there, Side.NEW, Side.OLD) == longest
    problem = translate_key(table, {"id": {"S": "x" * 2_047}}, Side.OLD, Side.NEW)
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.TOO_LONG


# -- the hidden map -------------------------------------------------------------------------


def test_what_a_row_lacks_disproves_nothing() -> None:
    """A new client need not write what a template is filled from: its own word stands, until what
    an old one writes gives another. What the mapping gives is held against the row all the same."""
    keys = KeySchema(KeyAttribute("id"))
    mapping = ValueMap("tenants", ("part",), {"a": ("x",), "b": ("y",)})
    for rule, source in (
        (Derivation(None, None, (("tag", Template("{tone}#{color}")),)), {}),
        (Derivation("tenant", mapping, (("tag", Template("{part}#{color}")),)), {"part": "x"}),
    ):
        table = MigratedTable("paints", Kind.REKEY, TableSide("paints", keys),
                              TableSide("paints-v2", keys), rule)  # fmt: skip
        said = {name: {"S": text} for name, text in {**source, "tag": "x#red"}.items()}
        row = split(row_from_client(table, {"id": {"S": "1"}, **said}, Side.NEW))
        assert split(row_from_stored(table, row.stored(Side.OLD), Side.OLD)).new == said
        blue = {"tone": {"S": "x"}, "tenant": {"S": "a"}, "color": {"S": "blue"}}
        stored = {**row.stored(Side.OLD), **blue}
        assert split(row_from_stored(table, stored, Side.OLD)).new["tag"] == {"S": "x#blue"}
    other_tenant = {**row.stored(Side.OLD), "tenant": {"S": "b"}}
    assert split(row_from_stored(table, other_tenant, Side.OLD)).new != said


def test_a_source_that_was_changed_disproves_the_hidden_map() -> None:
    """Somebody who does not know of the hidden map moved the row to another tenant."""
    item = {
        "coordination_uuid": {"S": "c"},
        "task_uuid": {"S": "t"},
        "endpoint_id": {"S": "globex-prod"},
    }
    stored = {**item, OTHER: {"M": ACME_NEW}}
    row = split(row_from_stored(TASKS, stored, Side.OLD))
    assert row.new["part_id"] == {"S": "globex"}
    assert not annotated(TASKS, stored, row, Side.OLD)


def test_a_row_that_has_no_source_believes_its_hidden_map() -> None:
    """A row that the new dialect wrote, or a parent answered for, is not asked about again."""
    stored = {"coordination_uuid": {"S": "c"}, "task_uuid": {"S": "t"}, OTHER: {"M": ACME_NEW}}
    assert split(row_from_stored(TASKS, stored, Side.OLD)).new == ACME_NEW


def test_new_never_invents_what_old_did_not_say() -> None:
    """A row without endpoint_id on old comes back from new without it."""
    item = {"coordination_uuid": {"S": "c"}, "task_uuid": {"S": "t"}}
    question = row_from_client(TASKS, item, Side.OLD)
    assert isinstance(question, Question)
    row = split(row_from_client(TASKS, item, Side.OLD, {question: "acme-corp-prod"}))
    assert row.new == ACME_NEW
    back = split(row_from_stored(TASKS, row.stored(Side.NEW), Side.NEW))
    assert back.seen(Side.OLD) == item


def test_an_orphan_is_asked_about_again() -> None:
    """An empty hidden map on old says "not yet": a parent may have come since."""
    stored = {"coordination_uuid": {"S": "c"}, "task_uuid": {"S": "t"}, OTHER: {"M": {}}}
    assert isinstance(row_from_stored(TASKS, stored, Side.OLD), Question)


# -- in place -------------------------------------------------------------------------------


def test_in_place_rows_keep_all_and_know_what_to_add() -> None:
    """The body is the whole item; ``new`` is what must be added, and that is seen once it is."""
    item = {"session_uuid": {"S": "s"}, "session_agent_uuid": {"S": "a"}, "state": {"S": "initial"}}
    question = derive(AGENTS, item)
    row = split(row_from_client(AGENTS, item, Side.OLD, {question: "acme-corp-prod"}))
    assert (row.body, row.old, row.new) == (item, {}, ACME_NEW)
    assert not annotated(AGENTS, item, row, Side.OLD)
    assert annotated(AGENTS, {**item, **ACME_NEW}, row, Side.OLD)
