"""Whether the derived attributes can be made, and told apart again on the way back."""

from collections.abc import Iterator

from dualwrite.core.derivation import SEPARATOR
from dualwrite.core.items import HASH_BYTES_MAX
from dualwrite.core.phases import Kind
from dualwrite.core.spec import MigratedTable, Template
from dualwrite.core.spec_checks.fault import Fault


def derivation_faults(table: MigratedTable) -> Iterator[Fault]:
    rule, where = table.derivation, f"tables.{table.name}.derive"
    gives = set(rule.mapping.gives) if rule.mapping else set()
    if rule.mapping is None and rule.source is not None:
        yield Fault(f"{where}.source", "is read by a mapping only", "add mapping, or remove it")
    if rule.mapping is None and rule.lookups:
        yield Fault(f"{where}.lookups", "serve a mapping only", "add mapping, or remove them")
    if rule.mapping is not None and rule.source is None and not rule.lookups:
        yield Fault(f"{where}.mapping", "nothing says which id to map", "add source or lookups")
    for name, _ in rule.templates:
        if name in gives:
            yield Fault(
                f"{where}.templates.{name}", "the mapping gives it too", "derive it in one way"
            )
    if table.kind is Kind.IN_PLACE and not rule.names:
        yield Fault(where, "an in-place table without derived attributes", "remove the table")
    typed = {
        attribute.name: attribute.type
        for side in (table.old, table.new)
        for keys in (side.keys, *(index.keys for index in side.indexes))
        for attribute in keys.attributes
    }
    texts = {*rule.names, *(field for _, template in rule.templates for field in template.fields)}
    for name in sorted(texts | ({rule.source} if rule.source else set())):
        if typed.get(name, "S") != "S":
            yield Fault(
                where,
                f"{name} is a key of type {typed[name]}, and derivations work on strings",
                "only S is supported so far",
            )


def template_faults(table: MigratedTable) -> Iterator[Fault]:
    rule = table.derivation
    known = {*table.old.keys.names, *table.attributes}
    known |= set(rule.mapping.gives) if rule.mapping else set()
    known |= {rule.source} if rule.source else set()
    for name, template in rule.templates:
        where = f"tables.{table.name}.derive.templates.{name}"
        yield from _template_text_faults(where, template)
        for field in template.fields:
            if field not in known:
                yield Fault(
                    where,
                    f"{{{field}}} is neither given by the mapping nor a key nor a declared "
                    "attribute of the old table",
                    f'correct it, or add attributes = ["{field}"]',
                )
        if rule.mapping is None or not set(template.fields) <= set(rule.mapping.gives):
            continue
        for old_id, parts in rule.mapping.forward.items():
            filled = template.fill(dict(zip(rule.mapping.gives, parts, strict=True)))
            if len(filled.encode()) > HASH_BYTES_MAX:
                yield Fault(
                    where,
                    f"with the mapping's row {old_id!r} it is over {HASH_BYTES_MAX} bytes",
                    "give shorter values",
                )


def _template_text_faults(where: str, template: Template) -> Iterator[Fault]:
    if not template.fields:
        yield Fault(where, "has no field in braces", 'write e.g. "{endpoint_id}#{part_id}"')
    if len(set(template.fields)) != len(template.fields):
        yield Fault(where, "names a field twice", "name each once")
    between = SEPARATOR
    for literal, name in template.pieces:
        if name and SEPARATOR not in between:
            yield Fault(
                where,
                f"{{{name}}} is not parted by {SEPARATOR!r} from the field before it",
                "part them: composed values must be told apart again",
            )
        between = "" if name else between + literal


def key_faults(table: MigratedTable) -> Iterator[Fault]:
    """A key must be told from the other side's key alone, in both directions."""
    where = f"tables.{table.name}.new"
    for name in table.new.keys.names:
        lacking = _needed_for(table, name) - set(table.old.keys.names)
        if name not in table.derivation.names and name in lacking:
            yield Fault(
                where,
                f"key {name} is neither a key of the old table nor derived",
                "derive it by mapping or template: other attributes may change",
            )
        elif lacking:
            yield Fault(
                where,
                f"key {name} is derived from {', '.join(sorted(lacking))}, no part of the old key",
                "a key must be told from the key alone",
            )
    told = _told_by_new_key(table)
    for name in table.old.keys.names:
        if name not in told:
            yield Fault(
                where,
                f"the old key's {name} cannot be told from the new key",
                "two old rows would meet under one new key; put it into the new key",
            )


def _needed_for(table: MigratedTable, name: str) -> set[str]:
    """Old attributes that give the new key attribute ``name``."""
    rule = table.derivation
    gives = set(rule.mapping.gives) if rule.mapping else set()
    source = {rule.source or "a look-up"}
    if name in gives:
        return source
    template = dict(rule.templates).get(name)
    if template is None:
        return {name}
    fields = set(template.fields)
    return (fields - gives) | (source if fields & gives else set())


def _told_by_new_key(table: MigratedTable) -> set[str]:
    rule = table.derivation
    templates = dict(rule.templates)
    told: set[str] = set()
    for name in table.new.keys.names:
        if name in templates:
            told |= set(templates[name].fields)
        else:
            told.add(name)
    if rule.mapping is not None:
        gives = set(rule.mapping.gives)
        whole = gives <= told
        told -= gives
        if whole and rule.source:
            told.add(rule.source)
    return told


def in_place_faults(table: MigratedTable) -> Iterator[Fault]:
    """In place only ever adds names: what the old dialect reads must keep its value."""
    rule = table.derivation
    read = {*table.attributes, *table.old.keys.names}
    read |= {index_name for index in table.old.indexes for index_name in index.keys.names}
    read |= {rule.source} if rule.source else set()
    for name in rule.names:
        if name not in read or _keeps_value(table, name):
            continue
        yield Fault(
            f"tables.{table.name}.derive",
            f"{name} has two meanings: the old application reads it, and here it would get "
            "another value in the same rows",
            'write kind = "rekey" with unchanged keys and a new name, or derive another name',
        )


def _keeps_value(table: MigratedTable, name: str) -> bool:
    """Whether a mapping gives the source itself back, in each row."""
    mapping = table.derivation.mapping
    if mapping is None or name not in mapping.gives or name != table.derivation.source:
        return False
    place = mapping.gives.index(name)
    return all(parts[place] == old_id for old_id, parts in mapping.forward.items())
