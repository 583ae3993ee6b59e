"""What one mutation makes of an item: pure, until the table is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    Update,
    apply,
    check_item,
    check_placeholders,
    check_unused,
    creates,
    holds,
    parse_condition,
    parse_update,
    updated,
)
from dualwrite.core.expressions.values import normalised
from dualwrite.core.items import ITEM_BYTES_MAX, Item, Key, KeySchema, size_bytes
from tests.simulation.engine.errors import condition_failed, invalid
from tests.simulation.engine.tables import Table


@dataclass(frozen=True, slots=True)
class Planned:
    """One write that would succeed; ``changes`` is False for a check."""

    table: Table
    key: Key
    before: Item | None
    after: Item | None
    update: Update | None = None
    changes: bool = True

    def commit(self) -> None:
        if self.changes:
            self.table.put(self.key, self.after)


def planned(table: Table, verb: str, action: Mapping[str, Any]) -> Planned:
    """Judge a Put, Update, Delete or ConditionCheck. Raises Refused."""
    try:
        return _planned(table, verb, action)
    except ValidationError as error:
        raise invalid(error.message) from None


def _planned(table: Table, verb: str, action: Mapping[str, Any]) -> Planned:
    names, values = action.get("ExpressionAttributeNames"), action.get("ExpressionAttributeValues")
    texts = [action.get("ConditionExpression"), action.get("UpdateExpression")]
    check_placeholders(names, values)
    check_unused(texts, names, values)
    key = key_of_item(action["Item"], table.keys) if verb == "Put" else action["Key"]
    check_key(key, table.keys)
    before = table.get(key)
    update = None
    if verb == "Update" and texts[1] is not None:
        update = parse_update(texts[1], names, values)
    if texts[0] is not None and not holds(parse_condition(texts[0], names, values), before):
        shown = action.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        raise condition_failed(before if shown else None)
    match verb:
        case "Put":
            check_item(action["Item"])
            after = {name: normalised(value) for name, value in action["Item"].items()}
        case "Update":
            if before is None and update is not None and not creates(update):
                return Planned(table, key, None, None, update)
            after = apply(update or Update(()), before, key)
        case "Delete":
            return Planned(table, key, before, None)
        case _:
            return Planned(table, key, before, before, changes=False)
    if size_bytes(after) > ITEM_BYTES_MAX:
        raise invalid("Item size has exceeded the maximum allowed size")
    return Planned(table, key, before, after, update)


def returned(plan: Planned, wanted: str) -> dict[str, Any]:
    """The reply's Attributes, where there are any."""
    match wanted:
        case "ALL_OLD":
            shown = plan.before
        case "ALL_NEW":
            shown = plan.after
        case "UPDATED_OLD" | "UPDATED_NEW" if plan.update is not None:
            shown = updated(plan.update, plan.before, plan.after or {}, wanted)
        case _:
            shown = None
    return {"Attributes": shown} if shown else {}


def key_of_item(item: Mapping[str, Any], schema: KeySchema) -> Key:
    for name in schema.names:
        if name not in item:
            raise invalid(
                f"One or more parameter values were invalid: Missing the key {name} in the item"
            )
    return {name: item[name] for name in schema.names}


def check_key(key: Mapping[str, Any], schema: KeySchema) -> None:
    """Raises Refused for what is no key of this table."""
    if key.keys() != set(schema.names):
        raise invalid("The provided key element does not match the schema")
    for attribute in schema.attributes:
        value = key[attribute.name]
        if attribute.type not in value:
            raise invalid(
                "One or more parameter values were invalid: Type mismatch for key "
                f"{attribute.name} expected: {attribute.type} actual: {next(iter(value))}"
            )
        if value[attribute.type] == "":
            raise invalid(
                "One or more parameter values are not valid. The AttributeValue for a key "
                f"attribute cannot contain an empty string value. Key: {attribute.name}"
            )
