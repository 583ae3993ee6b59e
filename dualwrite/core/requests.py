"""Wire bodies as typed requests: which tables an operation names, in whose dialect, to do what."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    Condition,
    Update,
    check_item,
    check_key_paths,
    check_placeholders,
    check_unused,
    literals_written,
    names_written,
    parse_condition,
    parse_update,
)
from dualwrite.core.items import HIDDEN_PREFIX, Item, Key, KeySchema, key_of
from dualwrite.core.key_values import Misfit, check_index_keys, check_key, check_key_of_item
from dualwrite.core.legacy import Meant, check_mixture, write_meant
from dualwrite.core.phases import Side
from dualwrite.core.spec import MigratedTable, Migration, TableSide

Body = dict[str, Any]
"""A request or response body, parsed from JSON."""

MAKES = re.compile(r"(?<![#:.\w])(SET|ADD)(?=[\s#])", re.IGNORECASE)
"""In an update: what makes an item where none is."""


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


@dataclass(frozen=True, slots=True)
class Wish:
    """One client mutation as it came, with the table it means and the dialect it speaks."""

    verb: Verb
    table: MigratedTable
    dialect: Side
    key: Key
    body: Body
    meant: Meant | None = None
    """What its legacy parameters mean; None where it has none."""

    @property
    def item(self) -> Item:
        item: Item = self.body["Item"]
        return item

    @property
    def condition_text(self) -> str | None:
        return self.body.get("ConditionExpression")

    @property
    def update_text(self) -> str | None:
        return self.body.get("UpdateExpression")

    @property
    def has_condition(self) -> bool:
        if self.meant is not None:
            return self.meant.condition is not None
        return "ConditionExpression" in self.body

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


def wish(verb: Verb, table: MigratedTable, dialect: Side, body: Any, operation: str = "") -> Wish:
    """Check one mutation before anything is sent; raises ClientError as DynamoDB words it.

    ``body`` is ``shaped``; ``operation`` is the single call, empty for a member of a batch or
    transaction.
    """
    check_mixture(operation, body)
    schema = table.side(dialect).keys
    source = body.get("Item" if verb is Verb.PUT else "Key")
    if source is None:
        part = "item" if verb is Verb.PUT else "key"
        raise ValidationError(
            f"1 validation error detected: Value null at '{part}' failed to satisfy constraint: "
            "Member must not be null"
        )
    refuse_hidden(body)
    check_item(source)
    if verb is not Verb.UPDATE and body.get("ReturnValues", "NONE") not in ("NONE", "ALL_OLD"):
        raise ValidationError("ReturnValues can only be ALL_OLD or NONE")
    meant = write_meant(operation, body) if operation else None
    _check_expressions(body)
    update = _update_to_judge(body, schema)
    if verb is Verb.PUT:
        check_key_of_item(source, schema)
        check_index_keys(source, table.side(dialect))
    else:
        check_key(source, schema)
        if verb is Verb.UPDATE:
            check_index_keys(source, table.side(dialect))
    if update is not None:
        _refuse_key_update(update, schema)
    if operation:
        _refuse_key_paths(body, table.side(dialect))
    if meant is not None and meant.update is not None:
        check_index_keys(literals_written(meant.update), table.side(dialect))
    return Wish(verb, table, dialect, key_of(source, schema), body, meant)


def _check_expressions(body: Body) -> None:
    names, values = body.get("ExpressionAttributeNames"), body.get("ExpressionAttributeValues")
    check_placeholders(names, values)
    given = [body.get(part) for part in ("ConditionExpression", "UpdateExpression")]
    for text, part in zip(given, ("ConditionExpression", "UpdateExpression"), strict=True):
        if text == "":
            raise ValidationError(f"Invalid {part}: The expression can not be empty;")
    try:
        check_unused(given, names, values)
    except ValidationError:
        parsed_texts(body)  # what is wrong with a text is told before what it leaves unused
        raise


def parsed_texts(body: Body) -> Update | None:
    """Both expressions parsed, in DynamoDB's order; the update. Raises ValidationError."""
    names = body.get("ExpressionAttributeNames") or {}
    values = body.get("ExpressionAttributeValues") or {}
    update = None
    if "UpdateExpression" in body:
        update = parse_update(body["UpdateExpression"], names, values)
    if "ConditionExpression" in body:
        parse_condition(body["ConditionExpression"], names, values)
    return update


def _update_to_judge(body: Body, schema: KeySchema) -> Update | None:
    """The update, parsed, where the engine might not get to judge it: one that makes nothing may
    never be sent, and one that names a key may become another write."""
    text = body.get("UpdateExpression")
    if text is None:
        return None
    named = (body.get("ExpressionAttributeNames") or {}).values()
    if MAKES.search(text) and not any(name in text or name in named for name in schema.names):
        return None
    return parsed_texts(body)


def _refuse_key_update(update: Update, schema: KeySchema) -> None:
    for name in schema.names:
        if name in names_written(update):
            raise Misfit(
                "One or more parameter values were invalid: "
                f"Cannot update attribute {name}. This attribute is part of the key"
            )


def _refuse_key_paths(body: Body, side: TableSide) -> None:
    """What an engine says of a single write, but not of every one inside a transaction, as which
    we may send it."""
    parts = ("ConditionExpression", "UpdateExpression")
    texts = {part: body[part] for part in parts if part in body}
    if not any("." in text or "[" in text for text in texts.values()):
        return
    names = body.get("ExpressionAttributeNames") or {}
    values = body.get("ExpressionAttributeValues") or {}
    keys, named = (*side.keys.names, *side.index_keys), names.values()
    if not any(key in named or any(key in text for text in texts.values()) for key in keys):
        return
    for part, text in texts.items():
        parsed: Condition | Update = (
            parse_update(text, names, values)
            if part == "UpdateExpression"
            else parse_condition(text, names, values)
        )
        check_key_paths(parsed, side.keys, side.index_keys)


def refuse_hidden(body: Body) -> None:
    """Names and placeholders that begin with ``dw_`` belong to the service. Raises
    ValidationError."""
    for part, value in body.items():
        named = _NAMED.get(part)
        if named is not None and value:
            refuse_names(named(value))


def refuse_names(names: Iterable[Any]) -> None:
    """The same for the names that a request uses, wherever they stood. Raises ValidationError."""
    for name in names:
        if isinstance(name, str) and name.startswith(HIDDEN_PREFIX):
            raise ValidationError(
                f"Names that begin with {HIDDEN_PREFIX} are reserved by dualwrite: {name}"
            )


def _placeholders(names: Iterable[str]) -> list[str]:
    return [name[1:] for name in names]


def _words(text: Any) -> Iterable[str]:
    if not isinstance(text, str) or HIDDEN_PREFIX not in text:
        return ()
    return "".join(c if c.isalnum() or c == "_" else " " for c in text).split()


_NAMED: Mapping[str, Callable[[Any], Iterable[Any]]] = {
    **dict.fromkeys(
        ("Item", "Expected", "AttributeUpdates", "KeyConditions", "QueryFilter", "ScanFilter"), iter
    ),
    "AttributesToGet": iter,
    "ExpressionAttributeNames": lambda names: [*names.values(), *_placeholders(names)],
    "ExpressionAttributeValues": _placeholders,
    **dict.fromkeys(
        (
            "ConditionExpression", "UpdateExpression", "ProjectionExpression", "FilterExpression",
            "KeyConditionExpression",
        ),
        _words,
    ),
}  # fmt: skip
"""The names of attributes in a parameter, by the parameter."""


def unsupported(table: MigratedTable, what: str) -> ValidationError:
    """A managed table never gets what only one side would see."""
    return ValidationError(
        f"dualwrite does not support {what} on table {table.name} while it is migrated; "
        "nothing was written"
    )


def managed(migration: Migration, name: str) -> tuple[MigratedTable, Side] | None:
    """The table under migration of that physical name, and the dialect of whoever names it so."""
    return migration.by_physical.get(name)
