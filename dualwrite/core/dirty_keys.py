"""A key that may differ, named the same whichever side's words it came in."""

from collections.abc import Mapping
from dataclasses import dataclass

from dualwrite.core.derivation import Problem
from dualwrite.core.items import AttributeValue, Key, key_from_token, key_token
from dualwrite.core.phases import Side
from dualwrite.core.spec import MigratedTable
from dualwrite.core.transform import translate_key


@dataclass(frozen=True, slots=True)
class DirtyKey:
    """``token`` is in the words of ``side``: old's, or new's where old has no place for the key."""

    side: Side
    token: str


def dirty_key(table: MigratedTable, item: Mapping[str, AttributeValue], side: Side) -> DirtyKey:
    """The one name of the key that ``item`` (or a key) of ``side`` has."""
    if side is Side.NEW:
        key = {name: item[name] for name in table.new.keys.names}
        there = translate_key(table, key, Side.NEW, Side.OLD)
        if isinstance(there, Problem):
            return DirtyKey(Side.NEW, key_token(key, table.new.keys))
        return DirtyKey(Side.OLD, key_token(there, table.old.keys))
    return DirtyKey(Side.OLD, key_token(item, table.old.keys))


def renamed(table: MigratedTable, side: Side, token: str) -> DirtyKey:
    """The one name of a key that somebody wrote down in the words of ``side``."""
    if side is Side.OLD:
        return DirtyKey(side, token)
    return dirty_key(table, key_from_token(token, table.new.keys), side)


def places(table: MigratedTable, dirty: DirtyKey) -> dict[Side, Key | None]:
    """The key on either side; None where T gives it no place."""
    own = key_from_token(dirty.token, table.side(dirty.side).keys)
    there = translate_key(table, own, dirty.side, dirty.side.other)
    across = None if isinstance(there, Problem) else there
    return {dirty.side: own, dirty.side.other: across}
