"""Conditional batches: 25 writes in one call, each under its own condition, at one unit a KB.

BatchWriteItem has no conditions; PartiQL statements do. An ``INSERT`` is a put-if-absent, and an
``UPDATE`` carries its guard in ``WHERE``. They are used only on an engine that was seen to show
them in its streams: a copy's record is what removes the copy of a row deleted meanwhile.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dualwrite.core.guards import sources
from dualwrite.core.items import OTHER, STAMP, AttributeValue, Item, stamp_of
from dualwrite.core.phases import Side
from dualwrite.core.ports import Dynamo
from dualwrite.core.spec import MigratedTable
from dualwrite.core.stamps import FLOOR

STATEMENTS_MAX = 25
"""AWS: the limit of statements in one BatchExecuteStatement call."""

Statement = Mapping[str, Any]


def insert(table: MigratedTable, item: Item) -> Statement:
    """Put a copy where there is none."""
    pairs = ", ".join(f"{_text(name)}: ?" for name in item)
    return {
        "Statement": f"INSERT INTO {_name(table.new.name)} VALUE {{{pairs}}}",
        "Parameters": list(item.values()),
    }


def annotate(table: MigratedTable, item: Item, hidden: Item) -> Statement:
    """Give old's item its hidden map, under the same conditions as ``annotation_request``: its
    stamp and all that the map was made from are unchanged."""
    sets: dict[str, AttributeValue] = {OTHER: {"M": hidden}}
    if stamp_of(item) is None:
        sets[STAMP] = {"S": FLOOR}
    parameters = list(sets.values())
    clauses = []
    for name in table.old.keys.names:
        clauses.append(f"{_name(name)} = ?")
        parameters.append(item[name])
    for name in (STAMP, *sources(table, Side.OLD)):
        if name in table.old.keys.names:
            continue
        if name in item:
            clauses.append(f"{_name(name)} = ?")
            parameters.append(item[name])
        else:
            clauses.append(f"{_name(name)} IS MISSING")
    assignments = " ".join(f"SET {_name(name)} = ?" for name in sets)
    return {
        "Statement": f"UPDATE {_name(table.old.name)} {assignments} WHERE {' AND '.join(clauses)}",
        "Parameters": parameters,
    }


async def executed(dynamo: Dynamo, statements: Sequence[Statement]) -> list[str]:
    """The error code of each statement, "" where it was applied. Raises EngineError."""
    answer = await dynamo.call("BatchExecuteStatement", {"Statements": list(statements)})
    return [_code(response) for response in answer["Responses"]]


def _code(response: Mapping[str, Any]) -> str:
    return str(response.get("Error", {}).get("Code", ""))


def _name(name: str) -> str:
    """A name in PartiQL: in double quotes, which are doubled within."""
    return '"' + name.replace('"', '""') + '"'


def _text(name: str) -> str:
    """A string in PartiQL: in single quotes, which are doubled within."""
    return "'" + name.replace("'", "''") + "'"
