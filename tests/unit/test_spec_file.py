"""A spec is either good to migrate by, or refused with lines that say what to mend."""

from pathlib import Path
from typing import Any

import pytest

from dualwrite.core.errors import SpecError
from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.phases import Kind, Side
from dualwrite.core.spec import HOME, LookupHow, Place, Underivable, Unmappable
from dualwrite.spec_file import load, warnings
from dualwrite.spec_file.problems import FAULTS_SHOWN_MAX

EXAMPLE = Path(__file__).parents[2] / "examples" / "ai_coordination_engine" / "migration.toml"

ROWS = "old_id,realm,part\nacme-prod,eu,acme\nglobex-prod,us,globex\n"
HEADER = '[migration]\nname = "shop"\n'
MAPPING = """
[mappings.tenants]
file = "tenants.csv"
old = "old_id"
gives = ["realm", "part"]
"""
ORDERS = """
[tables.orders]
kind = "rekey"
[tables.orders.old]
name = "orders"
hash = "tenant"
range = "order_id"
[tables.orders.new]
name = "orders-v2"
hash = "pk"
range = "order_id"
[tables.orders.derive]
source = "tenant"
mapping = "tenants"
templates = { pk = "{realm}#{part}" }
"""
NOTES = """
[tables.notes]
kind = "in-place"
attributes = ["text"]
[tables.notes.old]
name = "notes"
hash = "order_id"
range = "note_id"
[tables.notes.derive]
mapping = "tenants"
templates = { pk = "{realm}#{part}" }
[[tables.notes.derive.lookups]]
table = "orders"
how = "index"
match = { order_id = "order_id" }
"""
SPEC = HEADER + MAPPING + ORDERS + NOTES


def write(folder: Path, toml: str = SPEC, rows: str = ROWS) -> Path:
    (folder / "tenants.csv").write_text(rows, encoding="utf-8")
    path = folder / "migration.toml"
    path.write_text(toml, encoding="utf-8")
    return path


def refusal(folder: Path, toml: str = SPEC, rows: str = ROWS) -> str:
    """The message that a spec is refused with."""
    with pytest.raises(SpecError) as caught:
        load(write(folder, toml, rows))
    return str(caught.value)


def test_the_spec_becomes_frozen_values(tmp_path: Path) -> None:
    """All that the file says arrives, and what it leaves out has its declared default."""
    migration = load(write(tmp_path))
    assert (migration.name, migration.separator) == ("shop", "#")
    assert migration.control_table == "dualwrite-shop"
    orders, notes = migration.tables
    assert orders.kind is Kind.REKEY
    assert orders.old.keys == KeySchema(KeyAttribute("tenant"), KeyAttribute("order_id"))
    assert orders.new.keys.names == ("pk", "order_id")
    assert orders.derivation.mapping is not None
    assert orders.derivation.mapping.forward["acme-prod"] == ("eu", "acme")
    assert orders.underivable is Underivable.HOLD
    assert orders.unmappable is Unmappable.HOLD
    assert orders.swapped == {"tenant", "pk", "realm", "part"}
    assert notes.old is notes.new
    assert notes.swapped == frozenset()
    [lookup] = notes.derivation.lookups
    assert (lookup.table, lookup.how) == ("orders", LookupHow.INDEX)
    assert migration.by_physical["orders-v2"] == (orders, Side.NEW)
    assert migration.by_physical["notes"] == (notes, Side.OLD)


def test_a_side_may_be_elsewhere(tmp_path: Path) -> None:
    """What the file leaves out is where the process is told; only a part may be said."""
    assert load(write(tmp_path)).new_place == HOME
    toml = SPEC.replace(
        HEADER, HEADER + '[migration.new]\nendpoint = "https://far:8000/"\nregion = "eu-west-1"\n'
    )
    migration = load(write(tmp_path, toml))
    assert migration.old_place == HOME
    assert migration.new_place == Place("https://far:8000", "eu-west-1")
    assert migration.apart
    assert migration.only_new == {"orders-v2"}


def test_key_types_can_be_told(tmp_path: Path) -> None:
    """A key attribute is a string unless the file gives it another type."""
    toml = SPEC.replace('range = "order_id"', 'range = { name = "order_id", type = "N" }')
    orders = load(write(tmp_path, toml.replace(NOTES, ""))).by_name["orders"]
    assert orders.old.keys.range == KeyAttribute("order_id", "N")


def test_a_mapping_file_may_have_a_byte_order_mark_and_more_columns(tmp_path: Path) -> None:
    """Spreadsheets write CSV files like that; the columns are found by name."""
    rows = "\ufeffnote,part,realm,old_id\nours,acme,eu,acme-prod\n\n"
    mapping = load(write(tmp_path, rows=rows)).tables[0].derivation.mapping
    assert mapping is not None
    assert mapping.forward == {"acme-prod": ("eu", "acme")}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('name = "shop"', 'name = "shop"\nseparator = "|"'), ["migration.separator", '"#"']),
        (('kind = "rekey"', 'kind = "move"'), ["tables.orders.kind", "'rekey' or 'in-place'"]),
        (('kind = "rekey"', 'kind = "rekey"\nsped = 1'), ["tables.orders.sped", "spelling"]),
        (('kind = "rekey"\n', ""), ["tables.orders.kind", "add it"]),
        (('hash = "tenant"', "hash = 7"), ["tables.orders.old.hash"]),
        (('mapping = "tenants"', 'mapping = "renters"'), ["derive.mapping", "'renters'"]),
        (('file = "tenants.csv"', 'file = "none.csv"'), ["mappings.tenants.file", "none.csv"]),
        (('name = "orders-v2"', 'name = "orders"'), ["tables.orders.new.name", "is used by"]),
        (('name = "orders-v2"', 'name = "notes"'), ["tables.notes.old.name", "is used by"]),
        (('name = "orders-v2"', 'name = "o!"'), ["tables.orders.new.name", "no DynamoDB table"]),
        (('name = "orders-v2"', 'name = "dualwrite-shop"'), ["control_table", "is used by"]),
        (('"{realm}#{part}"', '"{realm}#{port}"'), ["templates.pk", "{port}", "attributes ="]),
        (('"{realm}#{part}"', '"{realm}{part}"'), ["templates.pk", "not parted"]),
        (('"{realm}#{part}"', '"{realm!r}#{part}"'), ["templates.pk", "{realm!r}", "attributes ="]),
        (('"{realm}#{part}"', '"{realm}#{realm}"'), ["templates.pk", "names a field twice"]),
        (('"{realm}#{part}"', '"{realm}#{part"'), ["templates.pk", "cannot be read"]),
        (('"{realm}#{part}"', '"{realm[}#{part}"'), ["templates.pk", "{realm[}", "attributes ="]),
        (('"{realm}#{part}"', '"all"'), ["templates.pk", "no field in braces"]),
        (('"{realm}#{part}"', '"{part}"'), ["tables.orders.new", "tenant cannot be told"]),
        (('{ pk = "', '{ dw_pk = "'), ["dw_pk", "kept for the service"]),
        (('hash = "pk"', 'hash = "status"'), ["key status is neither", "derive it"]),
        (('source = "tenant"', 'source = "owner"'), ["key pk is derived from owner"]),
        (('source = "tenant"', ""), ["derive.mapping", "which id to map"]),
        (('table = "orders"', 'table = "order"'), ["lookups[0].table", "'order'"]),
        (('table = "orders"', 'table = "notes"'), ["notes", "no source of its own"]),
        (('how = "index"', 'how = "key"'), ["lookups[0].match", "tenant, order_id"]),
        (('how = "index"', 'how = "hash"'), ["lookups[0].match", "hash key: tenant"]),
        (('attributes = ["text"]', 'attributes = ["part"]'), ["tables.notes", "two meanings"]),
    ],
)
def test_a_wrong_spec_is_refused_by_name(
    tmp_path: Path, change: tuple[str, str], words: list[str]
) -> None:
    """Each problem is one line that names the file, the table and field, and the mend."""
    before, after = change
    message = refusal(tmp_path, SPEC.replace(before, after, 1))
    assert "migration.toml: [" in message
    assert "; " in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("", ["line 1", "header lacks old_id, realm, part"]),
        ("old_id,realm\na,eu\n", ["line 1", "lacks part"]),
        ("old_id,realm,part,part\na,eu,x,y\n", ["line 1", "twice"]),
        (ROWS + "acme-prod,eu,other\n", ["line 4", "'acme-prod' stands twice"]),
        (ROWS + "third,eu\n", ["line 4", "has 2 values"]),
        (ROWS + "third,eu,acme\n", ["'third'", "the same realm, part as 'acme-prod'"]),
        (ROWS + "third,eu#1,x\n", ["'third'", "realm holds the separator"]),
        (ROWS + "third,,x\n", ["'third'", "realm is empty"]),
        (ROWS + ",eu,x\n", ["old id is empty"]),
        (ROWS + f"third,{'é' * 513},x\n", ["'third'", "over 1024 bytes"]),
        (ROWS + f"third,{'r' * 1024},{'p' * 1024}\n", ["templates.pk", "over 2048 bytes"]),
        (ROWS + '"third,eu,x\n', ["tenants.csv", "CSV"]),
    ],
)
def test_a_mapping_that_is_not_one_to_one_is_refused(
    tmp_path: Path, rows: str, words: list[str]
) -> None:
    """A row that could not be mapped back, or makes a key that cannot be, is named."""
    message = refusal(tmp_path, rows=rows)
    for word in words:
        assert word in message


def test_an_identity_fall_back_must_not_meet_a_mapped_pair(tmp_path: Path) -> None:
    """With a declared fall-back, an unlisted id and a listed one must not meet in one pair."""
    toml = SPEC.replace(
        'gives = ["realm", "part"]', 'gives = ["realm", "part"]\nfallback = "identity"'
    )
    assert load(write(tmp_path, toml)).tables[0].derivation.mapping is not None
    message = refusal(tmp_path, toml, ROWS + "third,lonely,lonely\n")
    assert "'third'" in message
    assert "fall-back gives to 'lonely'" in message
    load(write(tmp_path, toml, ROWS + "third,pair,pair\npair,third,third\n"))


def test_an_endpoint_with_a_path_is_refused(tmp_path: Path) -> None:
    """The refusal names the field."""
    toml = SPEC.replace(HEADER, HEADER + '[migration.new]\nendpoint = "far/away"\n')
    assert "[migration.new.endpoint]" in refusal(tmp_path, toml)


def test_several_problems_are_told_together(tmp_path: Path) -> None:
    """One run tells all problems of a stage, a line each, up to a bound."""
    message = refusal(tmp_path, SPEC.replace('kind = "', 'kind = "un'))
    assert len(message.splitlines()) == 2
    rows = ROWS + "".join(f"id{number},,x{number}\n" for number in range(200))
    lines = refusal(tmp_path, rows=rows).splitlines()
    assert len(lines) == FAULTS_SHOWN_MAX + 1
    assert "150 more problems" in lines[-1]


def test_what_is_no_toml_or_no_file_is_refused(tmp_path: Path) -> None:
    """A missing, unreadable or broken file is an error of one line, never a traceback."""
    with pytest.raises(SpecError, match="does not exist"):
        load(tmp_path / "absent.toml")
    with pytest.raises(SpecError, match="cannot be read"):
        load(tmp_path)
    assert "is not TOML" in refusal(tmp_path, "[migration")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xfc"')
    with pytest.raises(SpecError, match="UTF-8"):
        load(tmp_path / "latin.toml")


def test_a_rekey_needs_and_an_in_place_table_forbids_a_second_one(tmp_path: Path) -> None:
    """The kind and the number of tables must agree."""
    assert "no second one" in refusal(tmp_path, SPEC.replace('"rekey"', '"in-place"', 1))
    assert "add the new table" in refusal(tmp_path, SPEC.replace('"in-place"', '"rekey"', 1))


def test_in_place_may_give_back_the_same_value(tmp_path: Path) -> None:
    """One name with one meaning is no harm: the mapping gives each id itself."""
    toml = (HEADER + MAPPING + NOTES).replace('["realm", "part"]', '["tenant", "part"]')
    toml = toml.replace("{realm}", "{tenant}").replace(
        "[tables.notes.derive]\n", '[tables.notes.derive]\nsource = "tenant"\n'
    )
    toml = toml[: toml.index("[[")]
    rows = "old_id,tenant,part\nacme,acme,1\nglobex,globex,2\n"
    assert load(write(tmp_path, toml, rows)).tables[0].kind is Kind.IN_PLACE
    message = refusal(tmp_path, toml, rows.replace("acme,acme", "acme,apex"))
    assert "tenant has two meanings" in message


def test_a_global_index_may_have_keys_of_several_attributes(tmp_path: Path) -> None:
    """Up to four of each kind, and it may hold a part of the items only."""
    index = (
        '\n[tables.orders.new.indexes.by_place]\nkind = "global"\nhash = ["city", "street"]\n'
        'range = [{ name = "house", type = "N" }, "flat"]\nprojection = ["v"]\n'
    )
    [table] = [t for t in load(write(tmp_path, SPEC + index)).tables if t.name == "orders"]
    found = table.new.index("by_place")
    assert found is not None
    assert [(a.name, a.type, kind) for a, kind in found.keys.roles] == [
        ("city", "S", "HASH"), ("street", "S", "HASH"), ("house", "N", "RANGE"),
        ("flat", "S", "RANGE"),
    ]  # fmt: skip
    assert found.projected == ("v",)
    assert not found.whole
    assert "one attribute of each kind" in refusal(
        tmp_path, SPEC + index.replace('"global"', '"local"')
    )
    assert "names one attribute twice" in refusal(
        tmp_path, SPEC + index.replace('"flat"', '"city"')
    )


LOCAL = "\n[tables.orders.new.indexes.{name}]\nhash = {hash}\n{rest}"


@pytest.mark.parametrize(
    ("indexes", "words"),
    [
        ([("by_day", '"order_id"', 'range = "day"')], ["by_day.hash", "local index"]),
        ([("by_day", '"pk"', "")], ["by_day.range", "needs a range key"]),
        ([("by_day", '"pk"', 'range = "pk"')], ["by_day.range", "hash key too"]),
        ([(f"i{n}", '"pk"', f'range = "a{n}"') for n in range(6)], ["6 local indexes"]),
        (
            [(f"i{n}", f'"a{n}"', 'kind = "global"') for n in range(21)],
            ["21 global indexes"],
        ),
        (
            [("by_part", '"pk"', 'range = { name = "part", type = "N" }')],
            ["part is a key of type N"],
        ),
    ],
)
def test_indexes_that_dynamodb_refuses_are_refused_first(
    tmp_path: Path, indexes: list[tuple[str, str, str]], words: list[str]
) -> None:
    """Nobody learns from a failed CreateTable what the spec could have told."""
    text = "".join(LOCAL.format(name=name, hash=key, rest=rest) for name, key, rest in indexes)
    message = refusal(tmp_path, SPEC + text + "\n")
    for word in words:
        assert word in message


def test_an_index_on_what_a_partition_holds_once_is_warned_of(tmp_path: Path) -> None:
    """A local index whose range key is part of the hash key finds nothing new."""
    text = LOCAL.format(name="by_part", hash='"pk"', rest='range = "part"\n')
    text += LOCAL.format(name="by_day", hash='"pk"', rest='range = "day"\n')
    [warning] = warnings(load(write(tmp_path, SPEC + text)))
    assert "tables.orders.new.indexes.by_part" in warning


def test_look_ups_lead_up_and_end(tmp_path: Path) -> None:
    """Parents that ask each other would never answer, and a derived key never asks."""
    loop = """
[tables.a]
kind = "rekey"
[tables.a.old]
name = "aaa"
hash = "id"
[tables.a.new]
name = "aaa-v2"
hash = "id"
[tables.a.derive]
source = "tenant"
mapping = "tenants"
templates = { pk = "{realm}#{part}" }
[[tables.a.derive.lookups]]
table = "b"
how = "key"
match = { id = "parent" }
"""
    other = loop.replace(".a", ".b").replace('"aaa', '"bbb').replace('"b"', '"a"')
    message = refusal(tmp_path, HEADER + MAPPING + loop + other)
    assert "lead back to a itself" in message
    assert "lead back to b itself" in message
    asked = ORDERS + "[[tables.orders.derive.lookups]]" + NOTES.split("lookups]]")[1]
    assert "never asked" in refusal(tmp_path, HEADER + MAPPING + asked)


def test_a_key_by_template_alone_needs_no_mapping(tmp_path: Path) -> None:
    """A prefix or a join of old key attributes is a key that both sides can tell."""
    toml = HEADER + ORDERS.replace('source = "tenant"\nmapping = "tenants"\n', "")
    toml = toml.replace('"{realm}#{part}"', '"TENANT#{tenant}"')
    assert load(write(tmp_path, toml)).tables[0].swapped == {"tenant", "pk"}
    number = toml.replace('hash = "tenant"', 'hash = { name = "tenant", type = "N" }')
    assert "tenant is a key of type N" in refusal(tmp_path, number)


def test_the_example_covers_the_six_tables() -> None:
    """The seed's tables, names and kinds; session_agents alone stays where it is."""
    migration = load(EXAMPLE)
    kinds: dict[str, Any] = {table.name: table.kind for table in migration.tables}
    assert kinds.pop("session_agents") is Kind.IN_PLACE
    assert set(kinds) == {"coordinations", "tasks", "task_schedules", "sessions", "session_runs"}
    assert set(kinds.values()) == {Kind.REKEY}
    for table in migration.tables:
        assert table.old.name == f"ace-{table.name}"
        assert table.new.name in (table.old.name, f"{table.old.name}-v2")
        mapping = table.derivation.mapping
        assert mapping is not None
        assert len(mapping.forward) == 50
        assert not mapping.identity_fallback
        assert (table.underivable, table.unmappable) == (Underivable.CARRY, Unmappable.LEAVE)
    assert len(warnings(migration)) == 2
