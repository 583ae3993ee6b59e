"""Whether a migration, well formed as it is, can be carried out: one small check a rule."""

from dualwrite.core.phases import Kind
from dualwrite.core.spec import Migration
from dualwrite.core.spec_checks.derivations import (
    derivation_faults,
    in_place_faults,
    key_faults,
    template_faults,
)
from dualwrite.core.spec_checks.fault import Fault
from dualwrite.core.spec_checks.lookups import cycle_faults, lookup_faults
from dualwrite.core.spec_checks.mappings import mapping_faults
from dualwrite.core.spec_checks.sides import name_faults, side_faults

__all__ = ["Fault", "faults", "mapping_faults", "warnings"]


def faults(migration: Migration) -> tuple[Fault, ...]:
    """Everything that keeps the migration from being carried out; empty: none."""
    found = [*name_faults(migration)]
    for table in migration.tables:
        found += side_faults(table)
        found += derivation_faults(table)
        found += template_faults(table)
        found += key_faults(table)
        found += lookup_faults(migration, table)
        if table.kind is Kind.IN_PLACE:
            found += in_place_faults(table)
    found += cycle_faults(migration)
    return tuple(found)


def warnings(migration: Migration) -> tuple[str, ...]:
    """What works, but is of no use or costs something, one sentence each."""
    found = []
    for table in migration.tables:
        if not table.alike:
            found.append(
                f"tables.{table.name}: a partition of {table.old.name} is none of "
                f"{table.new.name}, so a Query in either dialect is served by its own table, the "
                "one that follows too, and in done only in the new dialect"
            )
        templates = dict(table.derivation.templates)
        template = templates.get(table.new.keys.hash.name)
        for index in table.new.indexes:
            attribute = index.keys.range
            if template and index.local and attribute and attribute.name in template.fields:
                found.append(
                    f"tables.{table.name}.new.indexes.{index.name}: {attribute.name} is one value "
                    f"within each partition of {table.new.name}, so this index finds nothing that "
                    f"{table.new.keys.hash.name} alone does not"
                )
    return tuple(found)
