"""Wire bodies as typed requests: which tables an operation names, in whose dialect, to do what."""

from collections.abc import Iterable, Mapping
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
