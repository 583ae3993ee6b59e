"""The simulated migration: its tables, their items in either dialect, and what was there before."""

from dataclasses import replace
from typing import Any

from dualwrite.core.derivation import Problem
from dualwrite.core.items import Item, Key, key_of
from dualwrite.core.phases import Side
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.core.transform import Row, row_from_client, translate_key
from tests.consumer_harness import TENANTS, a_migration
from tests.simulation.engine import FakeDynamo

CONTROL_TABLE = "control"
TENANT_NAMES = tuple(TENANTS)
NOTE_IDS = ("n1", "n2", "n3")
TASK_IDS = ("t1", "t2")


def migration_of(names: tuple[str, ...]) -> Migration:
    """The migration of some of the tables notes, tasks and steps."""
    whole = a_migration("")
    return replace(whole, tables=tuple(t for t in whole.tables if t.name in names))


def keys_of(table: str) -> tuple[str, ...]:
    """The names of a table's keys; what is before the slash is its partition."""
    if table == "notes":
        return tuple(f"{tenant}/{id}" for tenant in TENANT_NAMES for id in NOTE_IDS)
    if table == "tasks":
        return tuple(f"l1/{id}" for id in TASK_IDS)
    return tuple(f"t1/{number}" for number in range(2))


def base_item(table: str, key: str) -> Item:
    """What every item of a key holds, in the old dialect."""
    first, _, second = key.partition("/")
    if table == "notes":
        return {"endpoint_id": {"S": first}, "note_id": {"S": second}}
    if table == "tasks":
        tenant = TENANT_NAMES[0]
        return {"list_id": {"S": first}, "task_id": {"S": second}, "endpoint_id": {"S": tenant}}
    return {"task_id": {"S": first}, "step_id": {"S": second}, "list_id": {"S": "l1"}}


def item_in(table: MigratedTable, key: str, dialect: Side, more: Item) -> Item:
    """An item as a client of that dialect puts it."""
    old = base_item(table.name, key) | more
    if dialect is Side.OLD or not table.swapped:
        return old
    row = row_from_client(table, old, Side.OLD)
    assert isinstance(row, Row)
    return row.seen(dialect)


def key_in(table: MigratedTable, key: str, side: Side) -> Key:
    """A key in the words of a side."""
    base = base_item(table.name, key)
    old = key_of(base, table.old.keys)
    if side is Side.OLD or table.old.keys == table.new.keys:
        return old
    found = translate_key(table, old, Side.OLD, side)
    assert not isinstance(found, Problem)
    return found


def create(engine: FakeDynamo, migration: Migration) -> None:
    """All tables, streams on, and the control table."""
    for name, (table, side) in migration.by_physical.items():
        engine.execute("CreateTable", _description(name, table.side(side).keys.names, True))
    engine.execute("CreateTable", _description(CONTROL_TABLE, ("pk", "sk"), False))


def _description(name: str, keys: tuple[str, ...], stream: bool) -> dict[str, Any]:
    return {
        "TableName": name,
        "KeySchema": [
            {"AttributeName": key, "KeyType": kind}
            for key, kind in zip(keys, ("HASH", "RANGE"), strict=True)
        ],
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
        "StreamSpecification": {"StreamEnabled": stream},
    }
