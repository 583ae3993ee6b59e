"""Holds the tables, as they stand at the end, against what the clients were told.

Pure: entries and dumped tables in, a judgement out. Keys with one writer are followed write by
write (``register``); keys with many writers carry counters and claims, whose rules need no order.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dualwrite.core.items import Item, KeySchema, key_token, same
from dualwrite.core.phases import Kind, Side
from dualwrite.core.spec import Migration
from verifier.rehearsal.history import (
    ACKED,
    ADD,
    CLAIM,
    LOOK,
    REVISION,
    TAG,
    UNKNOWN,
    VIOLATION,
    Entry,
    Seen,
)
from verifier.rehearsal.register import Fault, Register

EXAMPLES_MAX = 40
"""Findings told in full; all are counted."""

COUNTER = "counter"
CLAIMED = "claim"
TORN = "torn-transaction"
PLAIN = "unlike-a-plain-table"
CHANGED = "changed-untouched"
"""Faults beside those of ``register``."""

Rows = Mapping[str, Mapping[str, Item]]
"""Logical table -> key token in old words -> stored item, of one side."""


@dataclass(frozen=True, slots=True)
class Example:
    """One finding for people. Holds keys and tags, never contents."""

    fault: str
    table: str
    key: str
    side: str
    detail: str
    worker: str = ""
    number: int = 0


@dataclass(slots=True)
class Judgement:
    """How many of each fault, and some of them in full."""

    faults: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)
    keys: int = 0
    """Keys with a history."""

    def find(self, example: Example) -> None:
        self.faults[example.fault] += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(example)

    def merge(self, other: "Judgement") -> None:
        """Take over another judgement's findings."""
        self.faults.update(other.faults)
        self.examples = (self.examples + other.examples)[:EXAMPLES_MAX]
        self.keys = max(self.keys, other.keys)


@dataclass(frozen=True, slots=True)
class _Where:
    table: str
    token: str


def judge(
    migration: Migration,
    entries: Iterable[Entry],
    initial: Rows,
    sides: Mapping[Side, Rows],
) -> Judgement:
    """Judge a whole history. ``initial`` is the data set as it was loaded; ``sides`` the stored
    items of those sides that are to hold the final state."""
    judgement = Judgement()
    by_key: dict[_Where, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.kind == VIOLATION:
            judgement.find(_example(PLAIN, entry, "", entry.note))
        if entry.kind in (LOOK, VIOLATION):
            continue
        keys = migration.by_name[entry.table].old.keys
        by_key[_Where(entry.table, _token(entry, keys))].append(entry)
    judgement.keys = len(by_key)
    for where, history in by_key.items():
        base = initial.get(where.table, {}).get(where.token)
        tables = _tables_of(migration, where.table, sides)
        found = {side: rows.get(where.table, {}).get(where.token) for side, rows in tables.items()}
        if any(entry.kind in (ADD, CLAIM) for entry in history):
            _judge_shared(judgement, history, base, found)
        else:
            _judge_owned(judgement, history, base, found)
    for side, rows in sides.items():
        _judge_transactions(judgement, by_key, side, rows)
    return judgement


def seen_of(item: Item | None) -> Seen:
    """What a client sees of an item, as far as the judge cares."""
    if item is None:
        return Seen(False)
    return Seen(True, item.get(TAG, {}).get("S", ""), number_of(item, REVISION))


def number_of(item: Item | None, name: str) -> int:
    """A whole number attribute; 0 where it is absent."""
    return int(float((item or {}).get(name, {}).get("N", "0")))


def _token(entry: Entry, keys: KeySchema) -> str:
    return key_token({name: {"S": text} for name, text in entry.key.items()}, keys)


def _tables_of(migration: Migration, table: str, sides: Mapping[Side, Rows]) -> Mapping[Side, Rows]:
    """An in-place table is one: it is judged once, whichever side it was dumped as."""
    if migration.by_name[table].kind is Kind.REKEY:
        return sides
    side = next(iter(sides))
    return {side: sides[side]}


def _judge_owned(
    judgement: Judgement,
    history: list[Entry],
    base: Item | None,
    found: Mapping[Side, Item | None],
) -> None:
    register = Register(seen_of(base))
    register.follow(sorted(history, key=lambda entry: entry.started))
    for finding in register.findings:
        entry = finding.entry or history[-1]
        judgement.find(_example(finding.fault.value, entry, "", finding.detail))
    for side, item in found.items():
        final = register.judge(seen_of(item))
        if final is not None:
            entry = final.entry or history[-1]
            judgement.find(_example(final.fault.value, entry, side.value, final.detail))


def _judge_shared(
    judgement: Judgement,
    history: list[Entry],
    base: Item | None,
    found: Mapping[Side, Item | None],
) -> None:
    for name in sorted({entry.field for entry in history if entry.kind == ADD}):
        deltas = [e for e in history if e.kind == ADD and e.field == name]
        acked = sum(e.delta for e in deltas if e.outcome == ACKED)
        maybe = [e.delta for e in deltas if e.outcome == UNKNOWN]
        start = number_of(base, name) + acked
        low = start + sum(delta for delta in maybe if delta < 0)
        high = start + sum(delta for delta in maybe if delta > 0)
        for side, item in found.items():
            value = number_of(item, name)
            if not low <= value <= high:
                detail = f"{name} is {value} where {low} to {high} is explained"
                judgement.find(_example(COUNTER, history[-1], side.value, detail))
    for name in sorted({entry.field for entry in history if entry.kind == CLAIM}):
        claims = [e for e in history if e.kind == CLAIM and e.field == name]
        winners = [e.tag for e in claims if e.outcome == ACKED]
        maybes = [e.tag for e in claims if e.outcome == UNKNOWN]
        if len(winners) > 1:
            detail = f"{len(winners)} clients were told that they won {name}"
            judgement.find(_example(CLAIMED, claims[-1], "", detail))
        for side, item in found.items():
            holder = (item or {}).get(name, {}).get("S", "")
            if holder not in (winners or [*maybes, ""]):
                detail = f"{name} is held by {holder!r}"
                judgement.find(_example(CLAIMED, claims[-1], side.value, detail))


def _judge_transactions(
    judgement: Judgement, by_key: Mapping[_Where, list[Entry]], side: Side, rows: Rows
) -> None:
    """A transaction of unknown outcome was applied whole or not at all.

    Only its writes that nothing followed can bear witness.
    """
    witnesses: dict[str, list[tuple[Entry, bool]]] = defaultdict(list)
    for where, history in by_key.items():
        writes = sorted((e for e in history if e.writes), key=lambda entry: entry.started)
        if not writes or not writes[-1].group or writes[-1].outcome != UNKNOWN:
            continue
        last = writes[-1]
        tag = seen_of(rows.get(where.table, {}).get(where.token)).tag
        if last.tag:
            witnesses[last.group].append((last, tag == last.tag))
    for group, seen in witnesses.items():
        if len({applied for _, applied in seen}) > 1:
            judgement.find(_example(TORN, seen[0][0], side.value, f"transaction {group}"))


def judge_untouched(
    migration: Migration, entries: Iterable[Entry], before: Rows, after: Rows, side: Side
) -> Judgement:
    """Rows no client ever wrote must still say what they said, whatever copied or repaired them.

    ``before`` and ``after`` hold items of one side without what the service adds.
    """
    touched = {
        (entry.table, _token(entry, migration.by_name[entry.table].old.keys))
        for entry in entries
        if entry.writes
    }
    judgement = Judgement()
    for table, rows in before.items():
        for token, item in rows.items():
            now = after.get(table, {}).get(token)
            if (table, token) in touched or (now is not None and same(now, item)):
                continue
            detail, fault = "was changed", CHANGED
            if now is None:
                detail, fault = "is gone", Fault.LOST.value
            judgement.find(Example(fault, table, token, side.value, detail))
    return judgement


def _example(fault: str, entry: Entry, side: str, detail: str) -> Example:
    key = "/".join(entry.key.values())
    return Example(fault, entry.table, key, side, detail, entry.worker, entry.number)
