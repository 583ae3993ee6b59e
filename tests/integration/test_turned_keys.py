"""Designs whose partitions are not those of the other one: a key that is turned round, and keys
composed of both attributes, of the range key first, or of one part of an id alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.phases import Kind, Mode, Phase, Side
from dualwrite.core.spec import Derivation, MigratedTable, Migration, TableSide, Template
from tests.contract.twins import in_one_order
from tests.proxy_harness import MAPPING, TENANTS, Rig, a_rig, create_table, outcome

PREFIX = "turned-"
PLAIN = "plain-"
PHASES = (Phase.MIRROR_OLD, Phase.ATOMIC_OLD, Phase.ATOMIC_NEW, Phase.MIRROR_NEW, Phase.DONE)
A, B = KeyAttribute("endpoint_id"), KeyAttribute("mark")
TEXTS = ("m1", "m2", "m3")


def a_table(name: str, hash_name: str, range_name: str | None, rule: Derivation) -> MigratedTable:
    new_keys = KeySchema(KeyAttribute(hash_name), KeyAttribute(range_name) if range_name else None)
    old, new = PREFIX + name, f"{PREFIX}{name}-v2"
    return MigratedTable(name, Kind.REKEY, TableSide(old, KeySchema(A, B)),
                         TableSide(new, new_keys), rule)  # fmt: skip


TONED = MigratedTable(
    "toned", Kind.REKEY, TableSide(PREFIX + "toned", KeySchema(A, B)),
    TableSide(PREFIX + "toned-v2", KeySchema(A, B)),
    Derivation(None, None, (("tag", Template("{color}#{tone}")),)),
    attributes=frozenset({"color", "tone"}),
)  # fmt: skip
"""Its keys stay; one attribute is put together of others that stay, too."""
TABLES = (
    a_table("turned", "mark", "endpoint_id", Derivation(None, None, ())),
    a_table("both", "k", None, Derivation(None, None, (("k", Template("{endpoint_id}#{mark}")),))),
    a_table("range", "k", "endpoint_id", Derivation(None, None, (("k", Template("x#{mark}")),))),
    a_table("part", "endpoint_id", "k",
            Derivation("endpoint_id", MAPPING, (("k", Template("{part_id}#{mark}")),))),
)  # fmt: skip


@pytest.fixture(scope="module")
def rig(engine: str, boto: Any) -> Iterator[Rig]:
    migration = Migration("turned", "#", (*TABLES, TONED), PREFIX + "control")
    with a_rig(engine, boto, PREFIX, migration=migration) as made:
        for table in TABLES:
            for side in (table.old, table.new):
                create_table(boto, side, PLAIN + side.name)
        yield made


def rows(dialect: Side, name: str) -> list[dict[str, Any]]:
    """The same nine rows, in the words of one design."""
    found = []
    for tenant, (platform, part) in TENANTS.items():
        for mark in TEXTS:
            row = {"endpoint_id": tenant, "mark": mark, "v": tenant + mark}
            if dialect is Side.NEW:
                new = {
                    "turned": row,
                    "both": {"k": f"{tenant}#{mark}", "v": row["v"]},
                    "range": {"k": f"x#{mark}", "endpoint_id": tenant, "v": row["v"]},
                    "part": {"endpoint_id": platform, "part_id": part, "k": f"{part}#{mark}",
                             "mark": mark, "v": row["v"]},
                }  # fmt: skip
                row = new[name]
            found.append({key: {"S": text} for key, text in row.items()})
    return found


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("dialect", list(Side))
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.value)
def test_a_search_finds_what_a_plain_table_finds(
    rig: Rig, table: MigratedTable, dialect: Side, phase: Phase
) -> None:
    """A Query finds its own partition, all of it and nothing else, and the pages of a Scan give
    each row once, wherever reads go; what only a side could serve that is written no more is
    refused."""
    assert not table.alike
    side = table.side(dialect)
    rig.stand(phase, read_share=50)
    for row in rows(dialect, table.name):
        rig.proxied.put_item(TableName=side.name, Item=row)
        rig.engine.put_item(TableName=PLAIN + side.name, Item=row)
    hash_name = side.keys.hash.name
    for value in {row[hash_name]["S"] for row in rows(dialect, table.name)}:
        for share in (0, 100):
            rig.stand(phase, read_share=share)
            query = {"KeyConditionExpression": f"{hash_name} = :h",
                     "ExpressionAttributeValues": {":h": {"S": value}},
                     "ConsistentRead": share == 0}  # fmt: skip
            heard = outcome(rig.proxied, "query", TableName=side.name, **query)
            if phase is Phase.DONE and dialect is Side.OLD:
                assert "only the old design" in heard["message"]
            else:
                plain = outcome(rig.engine, "query", TableName=PLAIN + side.name, **query)
                assert heard == plain
    found, start, pages = [], {}, 0
    while True:
        page = rig.proxied.scan(TableName=side.name, Limit=2, **start)
        found += page["Items"]
        pages += 1
        rig.stand(phase, read_share=100 * (pages % 2))
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert in_one_order(found) == in_one_order(rows(dialect, table.name))
    if phase.mode is not Mode.SINGLE:
        assert rig.differences(table.name, phase.leader) == []


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.value)
def test_a_new_client_need_not_write_what_an_attribute_is_put_together_of(
    rig: Rig, phase: Phase
) -> None:
    """What it says under the derived name is read back from either side."""
    rig.stand(phase)
    key = {"endpoint_id": {"S": "acme-prod"}, "mark": {"S": phase.value}}
    item = {**key, "tag": {"S": "red#pale"}}
    rig.proxied.put_item(TableName=TONED.new.name, Item=item)
    for share in (0, 100):
        rig.stand(phase, read_share=share)
        for consistent in (False, True):
            got = rig.proxied.get_item(TableName=TONED.new.name, Key=key, ConsistentRead=consistent)
            assert got["Item"] == item
    if phase.mode is not Mode.SINGLE:
        assert rig.differences("toned", phase.leader) == []
