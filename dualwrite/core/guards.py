"""Writes that hold only if what they were made from has not changed."""

from collections.abc import Mapping
from typing import Any, Self

from dualwrite.core.derivation import Problem
from dualwrite.core.items import OTHER, STAMP, AttributeValue, Item, key_of, stamp_of
from dualwrite.core.phases import Side
from dualwrite.core.spec import MigratedTable
from dualwrite.core.stamps import FLOOR
from dualwrite.core.transform import translate_key


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

    def differs(self, name: str, item: Mapping[str, AttributeValue]) -> Self:
        """The attribute is not what ``item`` says of it, or there is none."""
        placeholder = self.name(name)
        other = f"{placeholder} <> {self.value(item[name])}"
        self._clauses.append(f"(attribute_not_exists({placeholder}) OR {other})")
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


def take_back_request(table: MigratedTable, side: Side, item: Item) -> dict[str, Any]:
    """The transaction that deletes a copy which was just put on ``side``, unless somebody has
    written it since, or the other side still holds what it is a copy of."""
    place, there = table.side(side), table.side(side.other)
    key = key_of(item, place.keys)
    original = translate_key(table, key, side, side.other)
    assert not isinstance(original, Problem), "what is a copy has a place on the other side"
    gone = Guard().differs(STAMP, item)
    mine = unchanged_since(item, place.keys.hash.name)
    return {
        "TransactItems": [
            {"ConditionCheck": {"TableName": there.name, "Key": original, **gone.request()}},
            {"Delete": {"TableName": place.name, "Key": key, **mine.request()}},
        ]
    }


def sources(table: MigratedTable, side: Side) -> tuple[str, ...]:
    """Non-key attributes of ``side`` that decide what the other dialect's values are."""
    names = table.sources
    if side is Side.NEW and table.swapped:
        names = frozenset(table.derivation.names)
    return tuple(sorted(names - set(table.side(side).keys.names)))


def annotation_request(
    table: MigratedTable, side: Side, item: Item, hidden: Item
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
        assignments.append(f"{guard.name(STAMP)} = {guard.value({'S': FLOOR})}")
    return {
        "TableName": place.name,
        "Key": key_of(item, place.keys),
        "UpdateExpression": "SET " + ", ".join(assignments),
        **guard.request(),
    }


def restamp_request(table: MigratedTable, side: Side, item: Item) -> dict[str, Any]:
    """Put the floor stamp in the place of one that no clock of ours wrote, if it still stands."""
    place = table.side(side)
    guard = Guard().exists(place.keys.hash.name).as_was(STAMP, item)
    return {
        "TableName": place.name,
        "Key": key_of(item, place.keys),
        "UpdateExpression": f"SET {STAMP} = {guard.value({'S': FLOOR})}",
        **guard.request(),
    }
