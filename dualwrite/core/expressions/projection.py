"""Cuts an item down to the paths that a read asked for."""

from collections.abc import Mapping
from typing import Any

from dualwrite.core.expressions.ast import Projection
from dualwrite.core.items import AttributeValue, Item

_Wanted = dict[str | int, "Any"]
"""Steps to further steps; an empty one asks for all that is there."""


def project(projection: Projection, item: Mapping[str, AttributeValue]) -> Item:
    """What ``item`` holds at the projected paths.

    Maps on the way keep only what was asked for; members of a list close up in its order.
    """
    wanted: _Wanted = {}
    for path in projection.paths:
        node = wanted
        for step in path:
            node = node.setdefault(step, {})
    return _members(item, wanted)


def _members(members: Mapping[str, AttributeValue], wanted: _Wanted) -> Item:
    found: Item = {}
    for name, inner in wanted.items():
        value = members.get(name) if isinstance(name, str) else None
        part = None if value is None else _part(value, inner)
        if part is not None:
            found[str(name)] = part
    return found


def _part(value: AttributeValue, wanted: _Wanted) -> AttributeValue | None:
    """What of ``value`` is wanted; None where nothing of it is there."""
    if not wanted:
        return value
    if "M" in value:
        found = _members(value["M"], wanted)
        return {"M": found} if found else None
    if "L" in value:
        steps = sorted(step for step in wanted if isinstance(step, int))
        members = value["L"]
        parts = [_part(members[step], wanted[step]) for step in steps if step < len(members)]
        kept = [part for part in parts if part is not None]
        return {"L": kept} if kept else None
    return None
