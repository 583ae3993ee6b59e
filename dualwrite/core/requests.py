"""Wire bodies as typed requests: which tables an operation names, in whose dialect, to do what."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import check_item, check_placeholders, check_unused, check_value
from dualwrite.core.items import AttributeValue, Item, Key, KeyAttribute, KeySchema, key_of
from dualwrite.core.phases import Side
from dualwrite.core.shapes import shaped
from dualwrite.core.spec import MigratedTable, Migration

Body = dict[str, Any]
"""A request or response body, parsed from JSON."""

HIDDEN_PREFIX = "dw_"


class Verb(StrEnum):
    """What one mutation does; the value is its name inside TransactWriteItems."""

    PUT = "Put"
    UPDATE = "Update"
    DELETE = "Delete"
    CHECK = "ConditionCheck"


class Scope(StrEnum):
    """How an operation is served when it names a managed table."""

    WRITE = "write"
    READ = "read"
    BATCH_WRITE = "batch-write"
    BATCH_GET = "batch-get"
    TRANSACT_WRITE = "transact-write"
    TRANSACT_GET = "transact-get"
    REFUSED = "refused"
    STATEMENT = "statement"


SCOPES: Mapping[str, Scope] = {
    "PutItem": Scope.WRITE,
    "UpdateItem": Scope.WRITE,
    "DeleteItem": Scope.WRITE,
    "GetItem": Scope.READ,
    "Query": Scope.READ,
    "Scan": Scope.READ,
    "BatchWriteItem": Scope.BATCH_WRITE,
    "BatchGetItem": Scope.BATCH_GET,
    "TransactWriteItems": Scope.TRANSACT_WRITE,
    "TransactGetItems": Scope.TRANSACT_GET,
    "ExecuteStatement": Scope.STATEMENT,
    "BatchExecuteStatement": Scope.STATEMENT,
    "ExecuteTransaction": Scope.STATEMENT,
    "DeleteTable": Scope.REFUSED,
    "UpdateTable": Scope.REFUSED,
    "UpdateTimeToLive": Scope.REFUSED,
    "ImportTable": Scope.REFUSED,
    "RestoreTableToPointInTime": Scope.REFUSED,
    "RestoreTableFromBackup": Scope.REFUSED,
    "EnableKinesisStreamingDestination": Scope.REFUSED,
    "DisableKinesisStreamingDestination": Scope.REFUSED,
    "UpdateKinesisStreamingDestination": Scope.REFUSED,
}
"""Operations that are not listed pass through, whatever table they name."""

VERBS: Mapping[str, Verb] = {
    "PutItem": Verb.PUT,
    "UpdateItem": Verb.UPDATE,
    "DeleteItem": Verb.DELETE,
}

_EXPRESSIONS = (
    "ConditionExpression",
    "UpdateExpression",
    "ProjectionExpression",
    "FilterExpression",
    "KeyConditionExpression",
)
LEGACY_WRITE = ("Expected", "ConditionalOperator", "AttributeUpdates")
LEGACY_READ = ("KeyConditions", "QueryFilter", "ScanFilter", "ConditionalOperator")


@dataclass(frozen=True, slots=True)
class Wish:
    """One client mutation as it came, with the table it means and the dialect it speaks."""

    verb: Verb
    table: MigratedTable
    dialect: Side
    key: Key
    body: Body

    @property
    def item(self) -> Item:
        item: Item = self.body["Item"]
        return item

    @property
    def condition(self) -> str | None:
        return self.body.get("ConditionExpression")

    @property
    def names(self) -> dict[str, str]:
        return self.body.get("ExpressionAttributeNames") or {}

    @property
    def values(self) -> Item:
        return self.body.get("ExpressionAttributeValues") or {}

    @property
    def return_values(self) -> str:
        return self.body.get("ReturnValues") or "NONE"

    @property
    def wants_old_on_failure(self) -> bool:
        return self.body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"


def short_name(table_name: Any) -> str:
    """The table's name where a client gave its ARN instead; raises ValidationError."""
    if not isinstance(table_name, str):
        raise ValidationError("TableName must be a string")
    return table_name.rpartition("table/")[2] if table_name.startswith("arn:") else table_name


def tables_named(operation: str, body: Body) -> Iterator[str]:
    """The physical names an item operation mentions; raises ValidationError for wrong shapes."""
    match SCOPES.get(operation):
        case Scope.WRITE | Scope.READ | Scope.REFUSED:
            name = body.get("TableName") or body.get("TargetTableName")
            if name is not None:
                yield short_name(name)
        case Scope.BATCH_WRITE | Scope.BATCH_GET:
            items = body.get("RequestItems")
            if isinstance(items, dict):
                yield from map(short_name, items)
        case Scope.TRANSACT_WRITE | Scope.TRANSACT_GET:
            actions = body.get("TransactItems")
            for action in actions if isinstance(actions, list) else ():
                for part in action.values() if isinstance(action, dict) else ():
                    if isinstance(part, dict) and "TableName" in part:
                        yield short_name(part["TableName"])


def statements_of(body: Body) -> Iterator[str]:
    """The PartiQL texts of a request."""
    if isinstance(body.get("Statement"), str):
        yield body["Statement"]
    parts = body.get("Statements") or body.get("TransactStatements")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and isinstance(part.get("Statement"), str):
            yield part["Statement"]


def wish(verb: Verb, table: MigratedTable, dialect: Side, body: Any) -> Wish:
    """Check one mutation before anything is sent; raises ClientError as DynamoDB words it."""
    body = shaped(body)
    for legacy in LEGACY_WRITE:
        if legacy in body:
            raise unsupported(table, f"the legacy parameter {legacy}")
    schema = table.side(dialect).keys
    source = body.get("Item" if verb is Verb.PUT else "Key")
    if source is None:
        part = "item" if verb is Verb.PUT else "key"
        raise ValidationError(
            f"1 validation error detected: Value null at '{part}' failed to satisfy constraint: "
            "Member must not be null"
        )
    _check_expressions(body)
    refuse_hidden(body)
    if verb is not Verb.UPDATE and body.get("ReturnValues", "NONE") not in ("NONE", "ALL_OLD"):
        raise ValidationError("ReturnValues can only be ALL_OLD or NONE")
    if verb is Verb.PUT:
        check_item(source)
        _check_key_of_item(source, schema)
    else:
        check_key(source, schema)
    return Wish(verb, table, dialect, key_of(source, schema), body)


def _check_expressions(body: Body) -> None:
    names, values = body.get("ExpressionAttributeNames"), body.get("ExpressionAttributeValues")
    if names is values is None and body.keys().isdisjoint(_EXPRESSIONS):
        return
    check_placeholders(names, values)
    given = [body.get(part) for part in ("ConditionExpression", "UpdateExpression")]
    for text, part in zip(given, ("ConditionExpression", "UpdateExpression"), strict=True):
        if text == "":
            raise ValidationError(f"Invalid {part}: The expression can not be empty;")
    check_unused(given, names, values)


def check_key(key: Any, schema: KeySchema) -> Key:
    """The key, if it is a whole one and nothing else; raises ClientError as DynamoDB words it."""
    if not isinstance(key, dict) or len(key) != len(schema.names):
        raise ValidationError("The provided key element does not match the schema")
    for attribute in schema.attributes:
        value = key.get(attribute.name)
        if value is not None:
            check_value(value)
        if value is None or attribute.type not in value:
            raise ValidationError("The provided key element does not match the schema")
        _refuse_empty(attribute, value)
    return key


def _check_key_of_item(item: Item, schema: KeySchema) -> None:
    for attribute in schema.attributes:
        value = item.get(attribute.name)
        if value is None:
            raise ValidationError(
                "One or more parameter values were invalid: "
                f"Missing the key {attribute.name} in the item"
            )
        if attribute.type not in value:
            raise ValidationError(
                "One or more parameter values were invalid: Type mismatch for key "
                f"{attribute.name} expected: {attribute.type} actual: {next(iter(value))}"
            )
        _refuse_empty(attribute, value)


def _refuse_empty(attribute: KeyAttribute, value: AttributeValue) -> None:
    if value[attribute.type] == "":
        kind = "binary" if attribute.type == "B" else "string"
        raise ValidationError(
            "One or more parameter values are not valid. The AttributeValue for a key attribute "
            f"cannot contain an empty {kind} value. Key: {attribute.name}"
        )


def refuse_hidden(body: Body) -> None:
    """Names and placeholders that begin with ``dw_`` belong to the service."""
    item = body.get("Item")
    if isinstance(item, dict):
        _refuse_names(item)
    names = body.get("ExpressionAttributeNames")
    if isinstance(names, dict):
        _refuse_names([*names.values(), *(placeholder[1:] for placeholder in names)])
    values = body.get("ExpressionAttributeValues")
    if isinstance(values, dict):
        _refuse_names([placeholder[1:] for placeholder in values])
    for part in _EXPRESSIONS:
        text = body.get(part)
        if isinstance(text, str) and HIDDEN_PREFIX in text:
            _refuse_names(_words(text))
    if "AttributesToGet" in body:
        _refuse_names(body["AttributesToGet"])


def _refuse_names(names: Iterable[str]) -> None:
    if HIDDEN_PREFIX not in "\n".join(names):
        return
    for name in names:
        if name.startswith(HIDDEN_PREFIX):
            raise ValidationError(
                f"Names that begin with {HIDDEN_PREFIX} are reserved by dualwrite: {name}"
            )


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "_" else " " for c in text).split()


def unsupported(table: MigratedTable, what: str) -> ValidationError:
    """A managed table never gets what only one side would see."""
    return ValidationError(
        f"dualwrite does not support {what} on table {table.name} while it is migrated; "
        "nothing was written"
    )


def managed(migration: Migration, name: str) -> tuple[MigratedTable, Side] | None:
    return migration.by_physical.get(name)
