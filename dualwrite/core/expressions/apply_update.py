"""Applies an update to an item, as DynamoDB does: all values are read before any is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions.ast import (
    Arithmetic,
    Attribute,
    IfNotExists,
    ListAppend,
    Literal,
    Path,
    Projection,
    SetOperand,
    SetValue,
    Update,
)
from dualwrite.core.expressions.projection import project
from dualwrite.core.expressions.values import find, kind_of, normalised, plus, set_members
from dualwrite.core.items import AttributeValue, Item, canonical_number

ABSENT_ATTRIBUTE = "The provided expression refers to an attribute that does not exist in the item"
WRONG_OPERAND = "An operand in the update expression has an incorrect data type"
WRONG_PATH = "The document path provided in the update expression is invalid for update"


@dataclass(slots=True)
class _Change:
    """What becomes of one position: a new value, nothing (None), or changes further in."""

    leaf: bool = False
    value: AttributeValue | None = None
    inner: "dict[str | int, _Change]" = field(default_factory=dict)


def apply(
    update: Update, item: Mapping[str, AttributeValue] | None, key: Mapping[str, AttributeValue]
) -> Item:
    """The item after the update; an absent one (None or {}) starts from ``key``.

    Raises ValidationError in DynamoDB's words. Neither ``item`` nor any value in it is changed;
    what the update leaves alone is shared with the result.
    """
    for path in update.paths:
        if path[0] in key:
            raise ValidationError(
                "One or more parameter values were invalid: "
                f"Cannot update attribute {path[0]}. This attribute is part of the key"
            )
    before: Mapping[str, AttributeValue] = item or {
        name: normalised(value) for name, value in key.items()
    }
    changes = _Change()
    for action in update.sets:
        _put(changes, action.path, _evaluate(action.value, before))
    for path in update.removes:
        _put(changes, path, None)
    for addition in update.adds:
        _put(changes, addition.path, _added(find(before, addition.path), addition.value))
    for deletion in update.deletes:
        present = find(before, deletion.path)
        _put(changes, deletion.path, _without(present, deletion.value))
    return _map_after(before, changes)


def updated(
    update: Update,
    before: Mapping[str, AttributeValue] | None,
    after: Mapping[str, AttributeValue],
    which: str,
) -> Item:
    """What UPDATED_OLD or UPDATED_NEW return: just the written paths, as they were or are.

    Nested paths come alone, list members closed up, and a list index is looked up as it was
    written, also where members moved (AWS; DynamoDB Local returns the whole attribute).
    Empty where DynamoDB leaves ``Attributes`` out.
    """
    source = before if which == "UPDATED_OLD" else after
    return project(Projection(update.paths), source or {})


# -- values ----------------------------------------------------------------------------------


def _evaluate(value: SetValue, item: Mapping[str, AttributeValue]) -> AttributeValue:
    if isinstance(value, Arithmetic):
        left, right = _operand(value.left, item), _operand(value.right, item)
        if "N" not in left or "N" not in right:
            raise ValidationError(WRONG_OPERAND)
        return {"N": plus(left["N"], right["N"], 1 if value.operator == "+" else -1)}
    return _operand(value, item)


def _operand(value: SetOperand, item: Mapping[str, AttributeValue]) -> AttributeValue:
    match value:
        case Literal(content):
            return normalised(content)
        case Attribute(path):
            found = find(item, path)
            if found is None:
                raise ValidationError(ABSENT_ATTRIBUTE)
            return found
        case IfNotExists(path, fallback):
            # The fallback must exist even where it is not taken.
            otherwise, found = _operand(fallback, item), find(item, path)
            return otherwise if found is None else found
        case ListAppend(left, right):
            head, tail = _operand(left, item), _operand(right, item)
            if "L" not in head or "L" not in tail:
                raise ValidationError(WRONG_OPERAND)
            return {"L": [*head["L"], *tail["L"]]}


def _added(present: AttributeValue | None, amount: AttributeValue) -> AttributeValue:
    kind, content = kind_of(amount)
    if present is None:
        return {"N": plus("0", content)} if kind == "N" else normalised(amount)
    if kind not in present:
        raise ValidationError(WRONG_OPERAND)
    if kind == "N":
        return {"N": plus(present["N"], content)}
    known = {_member(kind, member) for member in present[kind]}
    new = [member for member in normalised(amount)[kind] if _member(kind, member) not in known]
    return {kind: set_members(kind, [*present[kind], *new])}


def _without(present: AttributeValue | None, unwanted: AttributeValue) -> AttributeValue | None:
    """A set less some members; None where none is left."""
    if present is None:
        return None
    kind, content = kind_of(unwanted)
    if kind not in present:
        raise ValidationError(WRONG_OPERAND)
    gone = {_member(kind, member) for member in content}
    rest = [member for member in present[kind] if _member(kind, member) not in gone]
    return {kind: rest} if rest else None


def _member(kind: str, member: str) -> str:
    return canonical_number(member) if kind == "NS" else member


# -- positions -------------------------------------------------------------------------------


def _put(changes: _Change, path: Path, value: AttributeValue | None) -> None:
    for step in path:
        changes = changes.inner.setdefault(step, _Change())
    changes.leaf = True
    changes.value = value


def _after(value: AttributeValue | None, change: _Change) -> AttributeValue | None:
    """The value at one position after its change; None for nothing."""
    if change.leaf:
        return change.value
    kind = "L" if any(isinstance(step, int) for step in change.inner) else "M"
    if value is None or kind not in value:
        raise ValidationError(WRONG_PATH)
    if kind == "M":
        return {"M": _map_after(value["M"], change)}
    return {"L": _list_after(value["L"], change)}


def _map_after(members: Mapping[str, AttributeValue], change: _Change) -> Item:
    after = dict(members)
    for name, inner in change.inner.items():
        assert isinstance(name, str), "paths into lists and maps were told apart when parsed"
        value = _after(members.get(name), inner)
        if value is None:
            after.pop(name, None)
        else:
            after[name] = value
    return after


def _list_after(members: list[AttributeValue], change: _Change) -> list[AttributeValue]:
    """Indexes count in the list as it was; what lies beyond its end is appended in order."""
    after: list[AttributeValue | None] = list(members)
    for index, inner in sorted(change.inner.items(), key=_index):
        assert isinstance(index, int), "paths into lists and maps were told apart when parsed"
        present = members[index] if index < len(members) else None
        value = _after(present, inner)
        if index < len(members):
            after[index] = value
        elif value is not None:
            after.append(value)
    return [member for member in after if member is not None]


def _index(entry: tuple[Any, _Change]) -> Any:
    return entry[0]
