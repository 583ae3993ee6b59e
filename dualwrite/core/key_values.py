"""Whether values can be keys of a table and of its indexes, told in DynamoDB's words (AWS, as the
tests of dynalite recorded them there).

Judged here, for the engine judges a whole batch at once and the proxy may send it in parts.
"""

from typing import Any

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import check_value
from dualwrite.core.items import (
    HASH_BYTES_MAX,
    RANGE_BYTES_MAX,
    AttributeValue,
    Item,
    Key,
    KeyAttribute,
    KeySchema,
    exceeds,
)
from dualwrite.core.spec import IndexSpec, TableSide

NO_MATCH = "The provided key element does not match the schema"


class Misfit(ValidationError):
    """A value that its table cannot hold: of a transaction it is a reason to cancel, where other
    errors of a request are told as they are (DynamoDB Local and AWS alike)."""


class Keyless(ValidationError):
    """An item that lacks a key of its table, or holds it with another type."""


class Mistyped(Keyless, Misfit):
    """The latter of the two."""


def check_key(key: Any, schema: KeySchema) -> Key:
    """The key, if it is a whole one and nothing else; raises ClientError as DynamoDB words it."""
    if not isinstance(key, dict) or len(key) != len(schema.names):
        raise ValidationError(NO_MATCH)
    for attribute in schema.attributes:
        value = key.get(attribute.name)
        if value is not None:
            check_value(value)
        if value is None:
            raise ValidationError(NO_MATCH)
        if attribute.type not in value:
            raise Misfit(NO_MATCH)
        _check_key_value(value, attribute, schema)
    return key


def check_key_of_item(item: Item, schema: KeySchema) -> None:
    """The same for the key in a whole item, whose values were found well-formed. Raises Keyless
    or Mistyped; Misfit for a value that is too long, ValidationError for an empty one."""
    for attribute in schema.attributes:
        value = item.get(attribute.name)
        if value is None:
            raise Keyless(
                "One or more parameter values were invalid: "
                f"Missing the key {attribute.name} in the item"
            )
        if attribute.type not in value:
            raise Mistyped(
                "One or more parameter values were invalid: Type mismatch for key "
                f"{attribute.name} expected: {attribute.type} actual: {next(iter(value))}"
            )
        _check_key_value(value, attribute, schema)


def _check_key_value(value: AttributeValue, attribute: KeyAttribute, schema: KeySchema) -> None:
    if value[attribute.type] == "":
        raise ValidationError(
            "One or more parameter values are not valid. The AttributeValue for a key attribute "
            f"cannot contain an empty {_kind(attribute)} value. Key: {attribute.name}"
        )
    if exceeds(value, attribute, schema):
        raise Misfit(_too_long(attribute, schema))


def check_index_keys(item: Item, side: TableSide, *, updated: bool = False) -> None:
    """An index's key may lack in an item; one that is there has its type, is not empty and not too
    long. The table's own keys, found well-formed, may be too long there. Raises ValidationError;
    ``updated``: in the words for what an update expression made."""
    for index in side.indexes:
        for attribute in index.keys.attributes:
            value = item.get(attribute.name)
            if value is None:
                continue
            if attribute.name not in side.keys.names:
                _check_index_value(value, attribute, index, updated)
            elif exceeds(value, attribute, index.keys):
                raise ValidationError(_too_long(attribute, index.keys))


def _check_index_value(
    value: AttributeValue, attribute: KeyAttribute, index: IndexSpec, updated: bool
) -> None:
    if attribute.type not in value:
        raise Misfit(
            "One or more parameter values were invalid: Type mismatch for Index Key "
            f"{attribute.name} Expected: {attribute.type} Actual: {next(iter(value))} "
            f"IndexName: {index.name}"
        )
    if value[attribute.type] == "":
        empty = (
            "The AttributeValue for a key attribute cannot contain an empty "
            f"{_kind(attribute)} value."
        )
        if updated:
            raise ValidationError(
                "One or more parameter values are not valid. The update expression attempted to "
                f"update a secondary index key to a value that is not supported. {empty}"
            )
        raise ValidationError(
            "One or more parameter values are not valid. A value specified for a secondary "
            f"index key is not supported. {empty} IndexName: {index.name}, "
            f"IndexKey: {attribute.name}"
        )
    if exceeds(value, attribute, index.keys):
        raise ValidationError(_too_long(attribute, index.keys))


def _kind(attribute: KeyAttribute) -> str:
    return "binary" if attribute.type == "B" else "string"


def _too_long(attribute: KeyAttribute, schema: KeySchema) -> str:
    invalid = "One or more parameter values were invalid: "
    if schema.bytes_max(attribute) == HASH_BYTES_MAX:
        # AWS has no space there either.
        return (
            f"{invalid}Size of hashkey has exceeded the maximum size limit of{HASH_BYTES_MAX} bytes"
        )
    return (
        f"{invalid}Aggregated size of all range keys has exceeded the size limit of "
        f"{RANGE_BYTES_MAX} bytes"
    )
