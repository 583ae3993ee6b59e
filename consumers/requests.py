"""The requests that consumers send: reads in bulk, and writes under a guard."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from dualwrite.core.errors import Refused
from dualwrite.core.items import (
    OTHER,
    STAMP,
    AttributeValue,
    Item,
    Key,
    KeySchema,
    key_token,
    stamp_of,
)
from dualwrite.core.phases import Side
from dualwrite.core.ports import Dynamo
from dualwrite.core.spec import MigratedTable

_CONDITION_FAILED = "ConditionalCheckFailedException"


class Guard:
    """A condition expression in the making; all clauses must hold."""

    def __init__(self) -> None:
        self._clauses: list[str] = []
        self._names: dict[str, str] = {}
        self._values: dict[str, AttributeValue] = {}

    def exists(self, name: str) -> Self:
        self._clauses.append(f"attribute_exists({self.name(name)})")
        return self

    def absent(self, name: str) -> Self:
        self._clauses.append(f"attribute_not_exists({self.name(name)})")
        return self

    def as_was(self, name: str, item: Mapping[str, AttributeValue]) -> Self:
        """The attribute is still what ``item`` says of it."""
        if name not in item:
            return self.absent(name)
        self._clauses.append(f"{self.name(name)} = {self.value(item[name])}")
        return self

    def name(self, name: str) -> str:
        """A placeholder for a name, also for use in an update expression."""
        return self._placeholder(self._names, "#", name)

    def value(self, value: AttributeValue) -> str:
        return self._placeholder(self._values, ":", value)

    def request(self) -> dict[str, Any]:
        """The members that a request carries for this guard."""
        members: dict[str, Any] = {
            "ConditionExpression": " AND ".join(self._clauses),
            "ExpressionAttributeNames": self._names,
        }
        if self._values:
            members["ExpressionAttributeValues"] = self._values
        return members

    def _placeholder(self, held: dict[str, Any], mark: str, content: Any) -> str:
        for placeholder, known in held.items():
            if known == content:
                return placeholder
        placeholder = f"{mark}g{len(held)}"
        held[placeholder] = content
        return placeholder


def unchanged_since(observed: Item | None, hash_name: str) -> Guard:
    """The item's stamp is still the one observed; where none was observed, it is still absent."""
    if observed is None:
        return Guard().absent(hash_name)
    return Guard().exists(hash_name).as_was(STAMP, observed)


def sources(table: MigratedTable, side: Side) -> tuple[str, ...]:
    """Non-key attributes of ``side`` that decide what the other dialect's values are."""
    rule = table.derivation
    if side is Side.NEW and table.swapped:
        names = set(rule.names)
    else:
        names = {name for _, template in rule.templates for name in template.fields}
        names -= set(rule.mapping.gives if rule.mapping else ())
        names |= {childs for lookup in rule.lookups for _, childs in lookup.match}
        names |= {rule.source} if rule.source else set()
    return tuple(sorted(names - set(table.side(side).keys.names)))


async def accepted(dynamo: Dynamo, operation: str, request: Mapping[str, Any]) -> bool:
    """Send a guarded write: whether its guard held. Raises EngineError."""
    try:
        await dynamo.call(operation, request)
    except Refused as error:
        if error.code == _CONDITION_FAILED:
            return False
        raise
    return True


async def get_item(dynamo: Dynamo, table: str, key: Key) -> Item | None:
    """A consistent read. Raises EngineError."""
    answer = await dynamo.call("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True})
    return answer.get("Item")


async def get_items(
    dynamo: Dynamo, table: str, schema: KeySchema, keys: Sequence[Key]
) -> dict[str, Item | None]:
    """Consistent reads of up to 100 distinct keys, by their tokens.

    What the engine left unprocessed is not in the answer. Raises EngineError.
    """
    if not keys:
        return {}
    answer = await dynamo.call(
        "BatchGetItem", {"RequestItems": {table: {"Keys": list(keys), "ConsistentRead": True}}}
    )
    found: dict[str, Item | None] = {key_token(key, schema): None for key in keys}
    for key in answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", ()):
        del found[key_token(key, schema)]
    for item in answer.get("Responses", {}).get(table, ()):
        found[key_token(item, schema)] = item
    return found


def annotation_request(
    table: MigratedTable, side: Side, item: Item, hidden: Item, floor: str
) -> dict[str, Any]:
    """Give a leader's item its hidden map, if nothing of what the map was made from has changed.

    An item without a stamp gets the floor stamp, so that its copy carries the same one.
    """
    place = table.side(side)
    guard = unchanged_since(item, place.keys.hash.name)
    for name in sources(table, side):
        guard.as_was(name, item)
    assignments = [f"{guard.name(OTHER)} = {guard.value({'M': hidden})}"]
    if stamp_of(item) is None:
        assignments.append(f"{guard.name(STAMP)} = {guard.value({'S': floor})}")
    return {
        "TableName": place.name,
        "Key": {name: item[name] for name in place.keys.names},
        "UpdateExpression": "SET " + ", ".join(assignments),
        **guard.request(),
    }


def cure_in_place_request(table: MigratedTable, item: Item, missing: Item) -> dict[str, Any]:
    """Set derived attributes of an item, if nothing of what they were made from has changed."""
    place = table.old
    guard = Guard().exists(place.keys.hash.name)
    for name in sources(table, Side.OLD):
        guard.as_was(name, item)
    assignments = [f"{guard.name(name)} = {guard.value(v)}" for name, v in missing.items()]
    return {
        "TableName": place.name,
        "Key": {name: item[name] for name in place.keys.names},
        "UpdateExpression": "SET " + ", ".join(assignments),
        **guard.request(),
    }
