"""The values of ``core.spec``, out of the shapes that were parsed."""

from collections.abc import Mapping

from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.phases import Kind
from dualwrite.core.spec import (
    Derivation,
    IndexSpec,
    LookupHow,
    MigratedTable,
    ParentLookup,
    Place,
    TableSide,
    Template,
    Underivable,
    Unmappable,
    ValueMap,
)
from dualwrite.spec_file import shapes


def frozen_place(shape: shapes.Place) -> Place:
    return Place(shape.endpoint, shape.region, shape.profile, shape.timeout_seconds)


def frozen_table(name: str, shape: shapes.Table, mappings: Mapping[str, ValueMap]) -> MigratedTable:
    old = _side(shape.old)
    new = old if shape.new is None else _side(shape.new)
    rule = shape.derive
    lookups = tuple(
        ParentLookup(lookup.table, LookupHow(lookup.how), tuple(lookup.match.items()))
        for lookup in rule.lookups
    )
    return MigratedTable(
        name=name,
        kind=Kind(shape.kind),
        old=old,
        new=new,
        derivation=Derivation(
            source=rule.source,
            mapping=None if rule.mapping is None else mappings[rule.mapping],
            templates=tuple((target, Template(text)) for target, text in rule.templates.items()),
            lookups=lookups,
        ),
        underivable=Underivable(shape.underivable),
        unmappable=Unmappable(shape.unmappable),
        attributes=frozenset(shape.attributes),
    )


def _side(shape: shapes.Side) -> TableSide:
    indexes = tuple(
        IndexSpec(name, _index_keys(index), index.kind == "local", _projected(index))
        for name, index in shape.indexes.items()
    )
    return TableSide(shape.name, _keys(shape), indexes)


def _keys(shape: shapes.Keys) -> KeySchema:
    range_key = None if shape.range is None else _attribute(shape.range)
    return KeySchema(_attribute(shape.hash), range_key)


def _index_keys(shape: shapes.Index) -> KeySchema:
    hashes, ranges = tuple(map(_attribute, shape.hash)), tuple(map(_attribute, shape.range))
    return KeySchema(hashes[0], ranges[0] if ranges else None, hashes[1:], ranges[1:])


def _projected(shape: shapes.Index) -> tuple[str, ...] | None:
    if shape.projection == "ALL":
        return None
    return () if shape.projection == "KEYS_ONLY" else tuple(shape.projection)


def _attribute(shape: shapes.Attribute) -> KeyAttribute:
    return KeyAttribute(shape.name, shape.type)
