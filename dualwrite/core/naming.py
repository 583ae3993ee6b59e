"""Which tables a request names: by name or by ARN, in whatever member its operation has for it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dualwrite.core.errors import ValidationError

Body = Mapping[str, Any]
Names = Callable[[Body], Iterator[str]]
"""The physical names a request mentions, as often as it does; raises ValidationError."""

_OF_A_TABLE = re.compile(r":(?:global-)?table/([^/]+)")

NAMING_MEMBERS = (
    "TableName",
    "TableArn",
    "ResourceArn",
    "StreamArn",
    "BackupArn",
    "ExportArn",
    "ImportArn",
    "SourceTableName",
    "SourceTableArn",
    "TargetTableName",
    "GlobalTableName",
    "GlobalTableSourceArn",
)
"""Members at the top of a request that name a table; each operation has one or two of them."""
_NAMING = frozenset(NAMING_MEMBERS)


def short_name(table_name: Any) -> str:
    """The table's name where a client gave an ARN of it, or of what belongs to it; raises
    ValidationError."""
    if not isinstance(table_name, str):
        raise ValidationError("TableName must be a string")
    if not table_name.startswith("arn:"):
        return table_name
    found = _OF_A_TABLE.search(table_name)
    return found[1] if found else table_name


def tables_named(operation: str, body: Body) -> Iterator[str]:
    """The physical names a request mentions; raises ValidationError for wrong shapes.

    PartiQL statements are not looked into.
    """
    return _PLACES.get(operation, _members)(body)


def _members(body: Body) -> Iterator[str]:
    for member, name in body.items():
        if member in _NAMING and name is not None:
            yield short_name(name)


def _table(body: Body) -> Iterator[str]:
    name = body.get("TableName")
    if name is not None:
        yield short_name(name)


def _batch(body: Body) -> Iterator[str]:
    items = body.get("RequestItems")
    if isinstance(items, dict):
        yield from map(short_name, items)


def _transaction(body: Body) -> Iterator[str]:
    actions = body.get("TransactItems")
    for action in actions if isinstance(actions, list) else ():
        for part in action.values() if isinstance(action, dict) else ():
            if isinstance(part, dict) and "TableName" in part:
                yield short_name(part["TableName"])


def _import(body: Body) -> Iterator[str]:
    created = body.get("TableCreationParameters")
    if isinstance(created, dict) and created.get("TableName") is not None:
        yield short_name(created["TableName"])


def _none(_body: Body) -> Iterator[str]:
    return iter(())


_PLACES: Mapping[str, Names] = {
    **dict.fromkeys(("PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Scan"), _table),
    "BatchGetItem": _batch,
    "BatchWriteItem": _batch,
    "TransactGetItems": _transaction,
    "TransactWriteItems": _transaction,
    "ImportTable": _import,
    "ListTables": _none,
}
"""Operations that are asked often, or name tables elsewhere than in a member at the top."""


def statements_of(body: Body) -> Iterator[str]:
    """The PartiQL texts of a request."""
    if isinstance(body.get("Statement"), str):
        yield body["Statement"]
    parts: Iterable[Any] = body.get("Statements") or body.get("TransactStatements") or ()
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and isinstance(part.get("Statement"), str):
            yield part["Statement"]
