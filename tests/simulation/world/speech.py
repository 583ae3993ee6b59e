"""What a call looks like on the wire: in the words of the item API, or as one of PartiQL."""

from typing import Any

from dualwrite.core.phases import Side
from dualwrite.core.spec import MigratedTable
from tests.simulation.checks.history import Op
from tests.simulation.world.tables import item_in, key_in

UPDATES = ("update", "add", "strip")
RETURNING = {"ALL_OLD": " RETURNING ALL OLD *", "ALL_NEW": " RETURNING ALL NEW *"}
SETS = {"update": "SET v = ? SET n = n + 1", "add": "SET n = n + 1", "strip": "REMOVE v"}


def _put_item(table: MigratedTable, key: str, op: Op, dialect: Side) -> dict[str, Any]:
    return dict(item_in(table, key, dialect, {"v": {"S": op.tag}, "n": {"N": "0"}}))


def action(table: MigratedTable, key: str, op: Op, dialect: Side) -> dict[str, Any]:
    """What a single call and a member of TransactWriteItems share."""
    place = table.side(dialect)
    said: dict[str, Any] = {"TableName": place.name}
    values: dict[str, Any] = {}
    if op.kind == "put":
        said["Item"] = _put_item(table, key, op, dialect)
    else:
        said["Key"] = key_in(table, key, dialect)
    if op.kind in ("update", "add"):
        said["UpdateExpression"] = "ADD n :one"
        values[":one"] = {"N": "1"}
        if op.kind == "update":
            said["UpdateExpression"] = "SET v = :v ADD n :one"
            values[":v"] = {"S": op.tag}
    elif op.kind == "strip":
        said["UpdateExpression"] = "REMOVE v"
    if op.condition in ("absent", "present"):
        word = "attribute_not_exists" if op.condition == "absent" else "attribute_exists"
        said["ConditionExpression"] = f"{word}({place.keys.hash.name})"
    elif op.condition:
        said["ConditionExpression"] = "v = :tag"
        values[":tag"] = {"S": op.condition.partition("=")[2]}
    if values:
        said["ExpressionAttributeValues"] = values
    return said


def as_stated(op: Op) -> Op:
    """The call that a statement makes of it: an INSERT makes, an UPDATE needs a row, and a DELETE
    of no row succeeds whatever else it asks."""
    match op.kind:
        case "put":
            return Op("put", op.tag, "absent")
        case "delete":
            returns = op.returns if op.returns == "ALL_OLD" else "NONE"
            return Op("delete", op.tag, returns=returns)
        case "read":
            return op
    condition = op.condition if op.condition.startswith("tag=") else "present"
    return Op(op.kind, op.tag, condition, op.returns if op.returns in RETURNING else "NONE")


def statement(table: MigratedTable, key: str, op: Op, dialect: Side) -> dict[str, Any]:
    """A statement with its parameters; ``op`` as ``as_stated`` gives it."""
    name = table.side(dialect).name
    if op.kind == "put":
        item = _put_item(table, key, op, dialect)
        members = ", ".join(f"'{attribute}': ?" for attribute in item)
        return {
            "Statement": f'INSERT INTO "{name}" VALUE {{{members}}}',
            "Parameters": list(item.values()),
        }
    place = key_in(table, key, dialect)
    where = " AND ".join(f'"{attribute}" = ?' for attribute in place)
    parameters: list[Any] = [{"S": op.tag}] if op.kind == "update" else []
    parameters += place.values()
    if op.condition.startswith("tag="):
        where += " AND v = ?"
        parameters.append({"S": op.condition.partition("=")[2]})
    tail = f"WHERE {where}{RETURNING.get(op.returns, '')}"
    match op.kind:
        case "read":
            text = f'SELECT * FROM "{name}" {tail}'
        case "delete":
            text = f'DELETE FROM "{name}" {tail}'
        case _:
            text = f'UPDATE "{name}" {SETS[op.kind]} {tail}'
    return {"Statement": text, "Parameters": parameters}
