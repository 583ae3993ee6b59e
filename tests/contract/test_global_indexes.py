"""Global indexes that both designs have: each side's serves its own clients, and beyond the end,
when only new is written, new's serves those of the old dialect, too."""

from typing import Any

import pytest

from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.phases import Kind, Phase, Side
from dualwrite.core.spec import Derivation, IndexSpec, MigratedTable, Migration, TableSide
from tests.contract.twins import Twin
from tests.engines_chosen import EngineName
from tests.proxy_harness import MAPPING, TEMPLATES, outcome

INDEX = "due-index"


def migration(prefix: str) -> Migration:
    """Keys that stay, and a key that changes; the same global index on all of them. A second one
    is ordered by another attribute in each design."""

    def keys(hash_name: str, range_name: str, kind: str = "S") -> KeySchema:
        return KeySchema(KeyAttribute(hash_name), KeyAttribute(range_name, kind))

    def side(name: str, hash_name: str, range_name: str, other: str) -> TableSide:
        by_due = IndexSpec(INDEX, keys("state", "due", "N"), local=False)
        by_other = IndexSpec("other-index", keys("state", other), local=False)
        return TableSide(prefix + name, keys(hash_name, range_name), (by_due, by_other))

    own = Derivation("endpoint_id", MAPPING, TEMPLATES)
    tables = (
        MigratedTable(
            "tasks", Kind.REKEY, side("tasks", "list_id", "task_id", "made"),
            side("tasks-v2", "list_id", "task_id", "seen"), own,
        ),
        MigratedTable(
            "notes", Kind.REKEY, side("notes", "endpoint_id", "note_id", "made"),
            side("notes-v2", "partition_key", "note_id", "seen"), own,
        ),
    )  # fmt: skip
    return Migration("test", "#", tables, prefix + "control")


def fill(twin: Twin, table: str) -> str:
    """Five items of one state and one without a state; the name of their table."""
    name = twin.name(table)
    make = twin.task if table == "tasks" else twin.note
    for number in range(5):
        held = {"state": {"S": twin.run}, "due": {"N": str(number)}, "v": {"N": str(number % 2)}}
        twin.both("put_item", TableName=name, Item=make(number, **held))
    twin.both("put_item", TableName=name, Item=make(9))
    return name


def asked(twin: Twin, name: str, **more: Any) -> dict[str, Any]:
    values = {":s": {"S": twin.run}, **more.pop("values", {})}
    condition = {"KeyConditionExpression": more.pop("where", "#s = :s")}
    names = {"#s": "state", **more.pop("names", {})}
    return twin.both(
        "query", TableName=name, IndexName=INDEX, ExpressionAttributeNames=names,
        ExpressionAttributeValues=values, **condition, **more,
    )  # fmt: skip


@pytest.mark.parametrize("table", ["tasks", "notes"])
def test_an_index_that_both_designs_have_is_read_in_every_phase(twin: Twin, table: str) -> None:
    """Conditions, order, filters, projections and counts, errors included."""
    name = fill(twin, table)
    asked(twin, name)
    asked(twin, name, ScanIndexForward=False, Limit=2)
    asked(twin, name, where="#s = :s AND due BETWEEN :a AND :b",
          values={":a": {"N": "1"}, ":b": {"N": "3"}})  # fmt: skip
    asked(twin, name, FilterExpression="v = :v", values={":v": {"N": "1"}},
          ProjectionExpression="due, endpoint_id")  # fmt: skip
    asked(twin, name, Select="COUNT")
    if twin.rig.engine_name is not EngineName.MINISTACK:
        asked(twin, name, ConsistentRead=True)
        asked(twin, name, where="due = :s")


@pytest.mark.parametrize("table", ["tasks", "notes"])
def test_an_index_is_paged_to_its_end(twin: Twin, table: str) -> None:
    """Page by page, each as long as a plain table's, and each item once."""
    name = fill(twin, table)
    start: dict[str, Any] = {}
    lengths = []
    while True:
        page = asked(twin, name, Limit=2, **start)
        lengths.append(len(page["Items"]))
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert lengths in ([2, 2, 1], [2, 2, 1, 0])


def test_what_only_the_old_design_has_is_refused_at_the_end(twin: Twin) -> None:
    """An index that new orders by something else cannot serve the old dialect for it."""
    name = fill(twin, "tasks")
    heard = outcome(
        twin.rig.proxied, "query", TableName=name, IndexName="other-index",
        KeyConditionExpression="#s = :s", ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":s": {"S": twin.run}},
    )  # fmt: skip
    ended = twin.managed and twin.phase is Phase.DONE and twin.dialect is Side.OLD
    assert ("only the old design could serve" in heard.get("message", "")) is ended
    assert ("error" in heard) is ended
