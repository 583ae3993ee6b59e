"""Whether parent look-ups find their parents, and end."""

from collections.abc import Iterator

from dualwrite.core.spec import LookupHow, MigratedTable, Migration, ParentLookup
from dualwrite.core.spec_checks.fault import Fault

LOOKUPS_MAX = 7
"""``dualwrite.lookups`` asks no more for one row."""


def lookup_faults(migration: Migration, table: MigratedTable) -> Iterator[Fault]:
    """What is wrong with the look-ups of one table."""
    where = f"tables.{table.name}.derive.lookups"
    lookups = table.derivation.lookups
    if len(lookups) > LOOKUPS_MAX:
        yield Fault(where, f"{len(lookups)} look-ups", f"at most {LOOKUPS_MAX} are supported")
    if lookups and table.key_is_derived:
        yield Fault(
            where,
            "are never asked: the key is derived, so the old key always holds the source",
            "remove them",
        )
    for number, lookup in enumerate(lookups):
        parent = migration.by_name.get(lookup.table)
        if parent is None:
            yield Fault(
                f"{where}[{number}].table",
                f"there is no table {lookup.table!r}",
                f"name one of: {', '.join(migration.by_name)}",
            )
        else:
            yield from _parent_faults(f"{where}[{number}]", parent, lookup)


def _parent_faults(where: str, parent: MigratedTable, lookup: ParentLookup) -> Iterator[Fault]:
    if parent.derivation.source is None:
        yield Fault(
            f"{where}.table",
            f"{parent.name} has no source of its own to answer with",
            "look up a table that declares derive.source",
        )
    names = {parents_name for parents_name, _ in lookup.match}
    keys = parent.old.keys
    if lookup.how is LookupHow.KEY and names != set(keys.names):
        yield Fault(
            f"{where}.match",
            f"a look-up by key names the parent's whole key: {', '.join(keys.names)}",
            'name those, or write how = "index"',
        )
    if lookup.how is LookupHow.HASH and names != {keys.hash.name}:
        yield Fault(
            f"{where}.match",
            f"a look-up by hash names the parent's hash key: {keys.hash.name}",
            'name that, or write how = "index"',
        )
    moved = keys.hash.name in parent.swapped or keys.hash.name != parent.new.keys.hash.name
    if lookup.how is LookupHow.HASH and moved:
        yield Fault(
            f"{where}.how",
            f"{keys.hash.name} is not the hash key of {parent.name} in both designs",
            'write how = "key" or "index"',
        )
    for attribute in keys.attributes:
        if attribute.name in names and attribute.type != "S":
            yield Fault(
                f"{where}.match", f"{attribute.name} is no string", "only S is supported so far"
            )


def cycle_faults(migration: Migration) -> Iterator[Fault]:
    """A parent without a source asks its own parents, so the way up must end."""
    above = {
        table.name: {lookup.table for lookup in table.derivation.lookups}
        for table in migration.tables
    }
    for name in above:
        reached: set[str] = set()
        waiting = set(above[name])
        while waiting:
            step = waiting.pop()
            if step not in reached:
                reached.add(step)
                waiting |= above.get(step, set())
        if name in reached:
            yield Fault(
                f"tables.{name}.derive.lookups",
                f"lead back to {name} itself",
                "let parents be looked up in one direction",
            )
