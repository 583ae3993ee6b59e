"""T, the declared mapping between the two designs, both ways.

A row is split once into what both dialects share (``body``) and what each of them says under the
swapped names. A side stores its own dialect's values at the top and the other's in ``dw_other``,
so that going from one side to the other is a swap and needs no look-up.
T is total, deterministic and injective; what it cannot map is a named ``Problem``, never a guess.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dualwrite.core.derivation import (
    NO_ANSWERS,
    Answers,
    Derived,
    Problem,
    Question,
    Reason,
    derive,
    invert,
    own_source,
)
from dualwrite.core.items import (
    OTHER,
    STAMP,
    AttributeValue,
    Item,
    Key,
    canonical,
    exceeds,
    visible,
)
from dualwrite.core.phases import Kind, Side
from dualwrite.core.spec import MigratedTable


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


# -- keys -----------------------------------------------------------------------------------


def translate_key(
    table: MigratedTable, key: Mapping[str, AttributeValue], dialect: Side, to: Side
) -> Key | Problem:
    """A key (or a page key, index attributes too) from one dialect in the words of the other."""
    if dialect is to:
        return dict(key)
    problem = _carried_problem(table, key, dialect)
    if problem is not None:
        return problem
    if not table.swapped:
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


def _carried_problem(
    table: MigratedTable, item: Mapping[str, AttributeValue], dialect: Side
) -> Problem | None:
    """What keeps its name and its value may have another role in the other key, with less room."""
    there = table.side(dialect.other).keys
    for attribute in table.shortened[dialect]:
        value = item.get(attribute.name, {})
        if attribute.type in value and exceeds(value, attribute, there):
            most = there.bytes_max(attribute)
            return Problem(Reason.TOO_LONG, f"{attribute.name} is over {most} bytes")
    return None


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
    problem = _carried_problem(table, item, dialect)
    if problem is not None:
        return problem
    swapped = table.swapped
    body = {name: value for name, value in item.items() if name not in swapped}
    own = {name: item[name] for name in swapped if name in item}
    if dialect is Side.NEW:
        return _row_from_new(table, body, own)
    derived = derive(table, item, answers)
    if isinstance(derived, Derived):
        return Row(body, own, derived.values)
    if isinstance(derived, Question) or table.key_is_derived:
        return derived
    return Row(body, own, {}, problem=derived)


def _row_from_new(table: MigratedTable, body: Item, own: Item) -> Row | Problem:
    texts = invert(table, {**body, **own})
    if texts is None and not table.derivation.names:
        return Row(body, {}, own)  # only its keys are turned: nothing is derived from anything
    if texts is None:
        texts = Problem(Reason.ORPHAN, "no derived attribute is given")
    if isinstance(texts, Problem):
        return texts if table.key_is_derived else Row(body, {}, own, problem=texts)
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
    problem = _carried_problem(table, item, side)
    if problem is not None:
        return problem
    shown = visible(item)
    stamp = item.get(STAMP, {}).get("S")
    other = item.get(OTHER, {}).get("M")
    # An empty map on new says that old has none of these names, and nothing else can say so; on
    # old it says that nothing could be derived yet, which a parent that came since may change.
    if other is not None and (side is Side.NEW or (other and not _disproved(table, shown, other))):
        swapped = table.swapped
        body = {name: value for name, value in shown.items() if name not in swapped}
        own = {name: shown[name] for name in swapped if name in shown}
        old, new = (own, other) if side is Side.OLD else (other, own)
        lacks = table.derivation.names and not new
        problem = Problem(Reason.ORPHAN, "no derived attribute stands in it") if lacks else None
        return Row(body, old, new, stamp, problem)
    row = row_from_client(table, shown, side, answers)
    return row.stamped(stamp) if isinstance(row, Row) and stamp is not None else row


def _disproved(table: MigratedTable, shown: Item, other: Item) -> bool:
    """Whether the row's own source and attributes give other values than those that ``dw_other``
    holds. Under the name of an old key that new has not, it holds what a new client wrote there, if
    anything; and nothing is proved by what is not there, which a new client need not write."""
    if table.derivation.mapping is not None and not isinstance(own_source(table, shown), str):
        return False
    derived = derive(_fillable(table, shown), shown)
    if not isinstance(derived, Derived):
        return True
    return any(
        canonical(derived.values[name]) != canonical(value)
        for name, value in other.items()
        if name in derived.values
    )


def _fillable(table: MigratedTable, shown: Item) -> MigratedTable:
    """The table with those templates alone whose fields a row holds: mostly, all of them."""
    rule = table.derivation
    lacking = {name for name in rule.filled_from if "NULL" in shown.get(name, {"NULL": True})}
    if not lacking:
        return table
    kept = tuple(each for each in rule.templates if lacking.isdisjoint(each[1].fields))
    return replace(table, derivation=replace(rule, templates=kept))


def annotated(
    table: MigratedTable, item: Mapping[str, AttributeValue], row: Row, side: Side
) -> bool:
    """Whether a stored item already holds the hidden map (in place: the derived attributes)."""
    if table.kind is Kind.IN_PLACE:
        return all(item.get(name) == value for name, value in row.new.items())
    held = item.get(OTHER)
    return held is not None and canonical(held) == canonical({"M": row.of(side.other)})
