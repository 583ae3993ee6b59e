"""T, the declared mapping between the two designs, both ways.

A row is split once into what both dialects share (``body``) and what each of them says under the
swapped names. A side stores its own dialect's values at the top and the other's in ``dw_other``,
so that going from one side to the other is a swap and needs no look-up.
T is total, deterministic and injective; what it cannot map is a named ``Problem``, never a guess.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dualwrite.core.items import OTHER, STAMP, AttributeValue, Item, Key, canonical
from dualwrite.core.phases import Kind, Side
from dualwrite.core.spec import LookupHow, MigratedTable, ParentLookup

PART_BYTES_MAX = 1024
"""AWS: a range key holds 1 to 1024 bytes, and a mapping's parts become range keys of local
indexes."""
HASH_BYTES_MAX = 2048
"""AWS: a hash key holds 1 to 2048 bytes."""
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


@dataclass(frozen=True, slots=True)
class Row:
    """One item, free of side and dialect."""

    body: Item
    old: Item
    """What the old dialect says under the swapped names."""
    new: Item
    """What the new dialect says under them; for an in-place table, the attributes to add."""
    stamp: str | None = None
    problem: Problem | None = None
    """Why ``new`` is empty, for a row that is carried without its derived attributes."""

    def of(self, dialect: Side) -> Item:
        return self.old if dialect is Side.OLD else self.new

    def seen(self, dialect: Side) -> Item:
        """The client's item in that dialect, free of everything hidden."""
        return {**self.body, **self.of(dialect)}

    def stored(self, side: Side, stamp: str | None = None) -> Item:
        """The item as that side of a rekey table keeps it, with ``stamp`` or its own."""
        own, other = (self.old, self.new) if side is Side.OLD else (self.new, self.old)
        item = {**self.body, **own, OTHER: {"M": other}}
        stamp = stamp or self.stamp
        if stamp is not None:
            item[STAMP] = {"S": stamp}
        return item

    def stamped(self, stamp: str) -> "Row":
        return Row(self.body, self.old, self.new, stamp, self.problem)


# -- deriving the new attributes ------------------------------------------------------------


def derive(
    table: MigratedTable, item: Mapping[str, AttributeValue], answers: Answers = NO_ANSWERS
) -> Derived | Question | Problem:
    """The derived attributes of an old-dialect item, or the next look-up that is needed.

    A source of its own wins; one that is absent, NULL or "" is looked up in the declared order.
    """
    rule = table.derivation
    if rule.mapping is None:
        return _fill(table, item, {})
    old_id = _own_source(table, item)
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


def _own_source(table: MigratedTable, item: Mapping[str, AttributeValue]) -> "str | Problem | None":
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
    return PART_BYTES_MAX if is_range else HASH_BYTES_MAX


def _part_problem(name: str, text: str, bytes_max: int) -> Problem | None:
    if not text:
        return Problem(Reason.EMPTY, f"{name} is empty")
    if SEPARATOR in text:
        return Problem(Reason.SEPARATOR, f"{name} holds the separator {SEPARATOR!r}")
    if len(text.encode()) > bytes_max:
        return Problem(Reason.TOO_LONG, f"{name} is over {bytes_max} bytes")
    return None


SEPARATOR = "#"
"""The one separator of composite keys; the spec may not choose another yet."""


# -- and back -------------------------------------------------------------------------------


def invert(
    table: MigratedTable, values: Mapping[str, AttributeValue]
) -> "dict[str, str] | Problem | None":
    """The texts that were derived from: source and template fields, by name.

    ``values`` is any part of a new-dialect item. None where nothing derived stands in it.
    """
    rule = table.derivation
    texts: dict[str, str] = {}
    for name, template in rule.templates:
        text = values.get(name, {}).get("S")
        if text is None:
            continue
        filled = template.split(text, SEPARATOR)
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


# -- keys -----------------------------------------------------------------------------------


def translate_key(
    table: MigratedTable, key: Mapping[str, AttributeValue], dialect: Side, to: Side
) -> Key | Problem:
    """A key (or a page key, index attributes too) from one dialect in the words of the other."""
    if dialect is to or not table.swapped:
        return dict(key)
    carried = {name: value for name, value in key.items() if name not in table.swapped}
    if dialect is Side.OLD:
        wanted = [name for name in table.new.keys.names if name in table.swapped]
        if not wanted:
            return carried
        derived = derive(table, key)
        if isinstance(derived, Problem):
            return derived
        assert isinstance(derived, Derived), "preflight: a key is derived from the key alone"
        return carried | {name: derived.values[name] for name in wanted}
    wanted = [name for name in table.old.keys.names if name in table.swapped]
    if not wanted:
        return carried
    texts = invert(table, key)
    if isinstance(texts, Problem):
        return texts
    if texts is None or any(name not in texts for name in wanted):
        return Problem(Reason.EMPTY, f"{', '.join(wanted)} cannot be told from the key")
    return carried | {name: {"S": texts[name]} for name in wanted}


# -- rows -----------------------------------------------------------------------------------


def row_from_client(
    table: MigratedTable,
    item: Mapping[str, AttributeValue],
    dialect: Side,
    answers: Answers = NO_ANSWERS,
) -> Row | Question | Problem:
    """Split an item as a client of ``dialect`` writes it.

    Problem: its key has no place on the other side. A row that merely lacks its derived
    attributes is a Row with ``problem`` set.
    """
    swapped = table.swapped
    body = {name: value for name, value in item.items() if name not in swapped}
    own = {name: item[name] for name in swapped if name in item}
    if dialect is Side.NEW:
        return _row_from_new(table, body, own)
    derived = derive(table, item, answers)
    if isinstance(derived, Derived):
        return Row(body, own, derived.values)
    if isinstance(derived, Question) or _key_is_derived(table):
        return derived
    return Row(body, own, {}, problem=derived)


def _row_from_new(table: MigratedTable, body: Item, own: Item) -> Row | Problem:
    texts = invert(table, {**body, **own})
    if texts is None:
        texts = Problem(Reason.ORPHAN, "no derived attribute is given")
    if isinstance(texts, Problem):
        return texts if _key_is_derived(table) else Row(body, {}, own, problem=texts)
    wanted = [name for name in table.old.keys.names if name in table.swapped]
    if any(name not in texts for name in wanted):
        return Problem(Reason.EMPTY, f"{', '.join(wanted)} cannot be told from the item")
    source = table.derivation.source
    if source is not None and source in table.swapped and source not in wanted:
        wanted.append(source)
    old: Item = {name: {"S": texts[name]} for name in wanted if name in texts}
    return Row(body, old, own)


def row_from_stored(
    table: MigratedTable,
    item: Mapping[str, AttributeValue],
    side: Side,
    answers: Answers = NO_ANSWERS,
) -> Row | Question | Problem:
    """Split an item as ``side`` keeps it.

    What ``dw_other`` says is believed unless the side's own attributes prove it wrong; where it
    is missing (history, a bypass writer) it is derived.
    """
    visible = {name: value for name, value in item.items() if name not in (OTHER, STAMP)}
    stamp = item.get(STAMP, {}).get("S")
    other = item.get(OTHER, {}).get("M")
    # An empty map on new says that old has none of these names, and nothing else can say so; on
    # old it says that nothing could be derived yet, which a parent that came since may change.
    if other is not None and (
        side is Side.NEW or (other and not _disproved(table, visible, other))
    ):
        swapped = table.swapped
        body = {name: value for name, value in visible.items() if name not in swapped}
        own = {name: visible[name] for name in swapped if name in visible}
        old, new = (own, other) if side is Side.OLD else (other, own)
        problem = None if new else Problem(Reason.ORPHAN, "no derived attribute stands in it")
        return Row(body, old, new, stamp, problem)
    row = row_from_client(table, visible, side, answers)
    return row.stamped(stamp) if isinstance(row, Row) and stamp is not None else row


def _disproved(table: MigratedTable, visible: Item, other: Item) -> bool:
    """Whether the row's own source gives other values than those that ``dw_other`` holds. Under the
    name of an old key that new has not, it holds what a new client wrote there, if anything."""
    if table.derivation.mapping is not None and not isinstance(_own_source(table, visible), str):
        return False
    derived = derive(table, visible)
    if not isinstance(derived, Derived):
        return True
    return any(
        name not in derived.values or canonical(derived.values[name]) != canonical(value)
        for name, value in other.items()
        if name in table.derivation.names
    )


def _key_is_derived(table: MigratedTable) -> bool:
    return any(name in table.swapped for name in (*table.new.keys.names, *table.old.keys.names))


def annotated(
    table: MigratedTable, item: Mapping[str, AttributeValue], row: Row, side: Side
) -> bool:
    """Whether a stored item already holds the hidden map (in place: the derived attributes)."""
    if table.kind is Kind.IN_PLACE:
        return all(item.get(name) == value for name, value in row.new.items())
    held = item.get(OTHER)
    return held is not None and canonical(held) == canonical({"M": row.of(side.other)})
