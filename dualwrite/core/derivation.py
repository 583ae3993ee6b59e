"""The declared derivation, both ways: the new dialect's attributes (``derive``), and the texts that
such were derived from (``invert``).

Both are total and deterministic. What has no place in the new design is a named ``Problem``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dualwrite.core.items import HASH_BYTES_MAX, RANGE_BYTES_MAX, AttributeValue, Item
from dualwrite.core.spec import LookupHow, MigratedTable, ParentLookup

SEPARATOR = "#"
"""The one separator of composite keys; the spec may not choose another yet."""
PART_BYTES_MAX = RANGE_BYTES_MAX
"""A mapping's parts become range keys of local indexes."""
KNOWN_MAX = 4096
"""Old ids whose derived attributes are remembered for each table."""


class Reason(StrEnum):
    """Why a row, or its key, has no place in the new design."""

    UNMAPPED = "unmapped"
    SEPARATOR = "separator"
    EMPTY = "empty"
    TOO_LONG = "too-long"
    WRONG_TYPE = "wrong-type"
    ORPHAN = "orphan"
    AMBIGUOUS = "ambiguous-parent"
    CONTRADICTION = "contradiction"
    OVERSIZE = "oversize"
    REFUSED = "refused"
    """The engine takes no such item there, e.g. for the type of an index's key."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A named refusal; ``detail`` names attributes, never their contents."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Question:
    """A parent look-up that must be answered before the row can be derived."""

    table: str
    how: LookupHow
    match: tuple[tuple[str, str], ...]
    """(parent's attribute, wanted S value) pairs."""


class Missing(StrEnum):
    """Answers to a ``Question`` other than the old id itself."""

    ABSENT = "absent"
    AMBIGUOUS = "ambiguous"


Answers = Mapping[Question, "str | Missing"]
NO_ANSWERS: Answers = {}


@dataclass(frozen=True, slots=True)
class Derived:
    """The new dialect's derived attributes."""

    values: Item


def derive(
    table: MigratedTable, item: Mapping[str, AttributeValue], answers: Answers = NO_ANSWERS
) -> Derived | Question | Problem:
    """The derived attributes of an old-dialect item, or the next look-up that is needed.

    A source of its own wins; one that is absent, NULL or "" is looked up in the declared order.
    """
    rule = table.derivation
    if rule.mapping is None:
        return _fill(table, item, {})
    old_id = own_source(table, item)
    if isinstance(old_id, Problem):
        return old_id
    ambiguous = False
    if old_id is None:
        for lookup in rule.lookups:
            question = _question(lookup, item)
            if question is None:
                continue
            answer = answers.get(question)
            if answer is None:
                return question
            if not isinstance(answer, Missing):
                old_id = answer
                break
            ambiguous = ambiguous or answer is Missing.AMBIGUOUS
    if old_id is None:
        if ambiguous:
            return Problem(Reason.AMBIGUOUS, "its parent stands under several tenants")
        return Problem(Reason.ORPHAN, f"no {rule.source or 'source'} of its own and no parent has")
    return _from_id(table, item, old_id)


def own_source(table: MigratedTable, item: Mapping[str, AttributeValue]) -> "str | Problem | None":
    """The old id that a row says itself; None where it says none: absent, NULL or ""."""
    source = table.derivation.source
    value = item.get(source) if source else None
    if value is None or "NULL" in value or value.get("S") == "":
        return None
    if "S" not in value:
        return Problem(Reason.WRONG_TYPE, f"{source} is not a string")
    text: str = value["S"]
    return text


def _question(lookup: ParentLookup, item: Mapping[str, AttributeValue]) -> Question | None:
    match = []
    for parents_name, childs_name in lookup.match:
        text = item.get(childs_name, {}).get("S")
        if not text:
            return None
        match.append((parents_name, text))
    return Question(lookup.table, lookup.how, tuple(match))


def _from_id(
    table: MigratedTable, item: Mapping[str, AttributeValue], old_id: str
) -> Derived | Problem:
    if not table.derivation.from_id_alone:
        return _made_from_id(table, item, old_id)
    known = table.derivation.known
    made: Derived | Problem | None = known.get(old_id)
    if made is None:
        if len(known) >= KNOWN_MAX:
            known.clear()
        made = known[old_id] = _made_from_id(table, item, old_id)
    return made


def _made_from_id(
    table: MigratedTable, item: Mapping[str, AttributeValue], old_id: str
) -> Derived | Problem:
    mapping = table.derivation.mapping
    assert mapping is not None
    parts = mapping.forward.get(old_id)
    if parts is None:
        problem = _part_problem(table.derivation.source or "source", old_id, PART_BYTES_MAX)
        if problem is not None:
            return problem
        if not mapping.identity_fallback:
            return Problem(Reason.UNMAPPED, f"its {table.derivation.source} is not in the mapping")
        parts = (old_id,) * len(mapping.gives)
        if parts in mapping.backward:
            return Problem(Reason.UNMAPPED, "another id is mapped to what the fall-back gives it")
    return _fill(table, item, dict(zip(mapping.gives, parts, strict=True)))


def _fill(
    table: MigratedTable, item: Mapping[str, AttributeValue], given: dict[str, str]
) -> Derived | Problem:
    values: Item = {name: {"S": text} for name, text in given.items()}
    for name, template in table.derivation.templates:
        texts = dict(given)
        for wanted in template.fields:
            if wanted not in texts:
                value = item.get(wanted, {"NULL": True})
                if "S" not in value:
                    reason = Reason.EMPTY if "NULL" in value else Reason.WRONG_TYPE
                    return Problem(reason, f"{wanted} is needed for {name}, as a string")
                texts[wanted] = value["S"]
            most = PART_BYTES_MAX if wanted in given else _bytes_max(table, wanted)
            problem = _part_problem(wanted, texts[wanted], most)
            if problem is not None:
                return problem
        filled = template.fill(texts)
        most = _bytes_max(table, name)
        if len(filled.encode()) > most:
            return Problem(Reason.TOO_LONG, f"{name} would be over {most} bytes")
        values[name] = {"S": filled}
    return Derived(values)


def _bytes_max(table: MigratedTable, name: str) -> int:
    keys = (table.new.keys, *(index.keys for index in table.new.indexes))
    is_range = any(
        kind == "RANGE" and attribute.name == name
        for schema in keys
        for attribute, kind in schema.roles
    )
    return RANGE_BYTES_MAX if is_range else HASH_BYTES_MAX


def _part_problem(name: str, text: str, bytes_max: int) -> Problem | None:
    if not text:
        return Problem(Reason.EMPTY, f"{name} is empty")
    if SEPARATOR in text:
        return Problem(Reason.SEPARATOR, f"{name} holds the separator {SEPARATOR!r}")
    if len(text.encode()) > bytes_max:
        return Problem(Reason.TOO_LONG, f"{name} is over {bytes_max} bytes")
    return None


# -- and back -------------------------------------------------------------------------------


def invert(
    table: MigratedTable, values: Mapping[str, AttributeValue]
) -> "dict[str, str] | Problem | None":
    """The texts that were derived from: source and template fields, by name.

    ``values`` is any part of a new-dialect item. None where nothing derived stands in it.
    """
    rule = table.derivation
    texts: dict[str, str] = {}
    for name in rule.names:
        if name in values and "S" not in values[name]:
            return Problem(Reason.WRONG_TYPE, f"{name} is not a string")
    for name, template in rule.templates:
        if name not in values:
            continue
        filled = template.split(values[name]["S"], SEPARATOR)
        if filled is None:
            return Problem(Reason.UNMAPPED, f"{name} does not have the form {template.text!r}")
        for shared in filled.keys() & set(table.new.keys.names) - table.swapped:
            if values.get(shared, {"S": filled[shared]}) != {"S": filled[shared]}:
                return Problem(Reason.CONTRADICTION, f"{name} contradicts {shared}")
        texts.update(filled)
    gives = rule.mapping.gives if rule.mapping else ()
    for name in gives:
        text = values.get(name, {}).get("S")
        if text is not None and texts.setdefault(name, text) != text:
            return Problem(Reason.CONTRADICTION, f"{name} contradicts the composed key")
    if not texts:
        return None
    for name, text in texts.items():
        most = PART_BYTES_MAX if name in gives else _bytes_max(table, name)
        problem = _part_problem(name, text, most)
        if problem is not None:
            return problem
    if rule.mapping is None:
        return texts
    if any(name not in texts for name in gives):
        return Problem(Reason.EMPTY, f"all of {', '.join(gives)} are needed")
    parts = tuple(texts[name] for name in gives)
    old_id = rule.mapping.backward.get(parts)
    if old_id is None:
        identical = rule.mapping.identity_fallback and len(set(parts)) == 1
        if not identical or parts[0] in rule.mapping.forward:
            return Problem(Reason.UNMAPPED, f"({', '.join(gives)}) is not in the mapping")
        old_id = parts[0]
    if rule.source:
        texts[rule.source] = old_id
    return texts
