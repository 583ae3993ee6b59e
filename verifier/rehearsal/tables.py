"""Reads both physical tables at the engine itself, and says whether new = T(old)."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, TypeVarTuple

from dualwrite.core.compare import Verdict, compare, transformed
from dualwrite.core.derivation import Answers, Derived, Missing, Problem, Question, derive
from dualwrite.core.items import HIDDEN, Item, key_of, key_token
from dualwrite.core.phases import Kind, Side
from dualwrite.core.ports import Dynamo
from dualwrite.core.spec import LookupHow, MigratedTable, Migration
from dualwrite.core.transform import Row, translate_key
from dualwrite.lookups import QUESTIONS_MAX
from verifier.rehearsal.judge import EXAMPLES_MAX, Example, Rows

T = TypeVar("T")
Given = TypeVarTuple("Given")
PAGES_MAX = 10_000
PAGE_ITEMS = 500
"""Larger pages keep DynamoDB Local from everything else for seconds."""


@dataclass(frozen=True, slots=True)
class Dump:
    """Both sides, by logical table and key token in old words. In place: the same rows twice."""

    old: Rows
    new: Rows
    strays: int = 0
    """Rows of new whose key no old key maps to."""

    def rows(self, side: Side) -> Rows:
        return self.old if side is Side.OLD else self.new


@dataclass(slots=True)
class Differences:
    """Where new is not T(old)."""

    compared: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    problems: dict[tuple[str, str], str] = field(default_factory=dict)
    """(table, token) of each row without a whole counterpart -> the reason."""
    examples: list[Example] = field(default_factory=list)

    @property
    def different(self) -> int:
        return sum(self.verdicts.values())


async def dump(dynamo: Dynamo, migration: Migration, sides: tuple[Side, ...]) -> Dump:
    """Scan the wanted sides, consistently; the others are left empty."""
    read: dict[Side, dict[str, dict[str, Item]]] = {Side.OLD: {}, Side.NEW: {}}
    strays = 0
    for table in migration.tables:
        for side in sides if table.kind is Kind.REKEY else (Side.OLD,):
            rows: dict[str, Item] = {}
            for item in await scan(dynamo, table.side(side).name):
                key = key_of(item, table.side(side).keys)
                mapped = translate_key(table, key, side, Side.OLD)
                if isinstance(mapped, Problem):
                    strays += 1
                    continue
                rows[key_token(mapped, table.old.keys)] = item
            read[side][table.name] = rows
        if table.kind is Kind.IN_PLACE:
            read[Side.NEW][table.name] = read[Side.OLD][table.name]
    return Dump(read[Side.OLD], read[Side.NEW], strays)


async def scan(dynamo: Dynamo, name: str) -> list[Item]:
    """All items of one physical table."""
    items: list[Item] = []
    request: dict[str, object] = {"TableName": name, "ConsistentRead": True, "Limit": PAGE_ITEMS}
    for _ in range(PAGES_MAX):
        page = await dynamo.call("Scan", request)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    raise AssertionError(f"{name} has more than {PAGES_MAX} pages")


def plain(migration: Migration, rows: Rows) -> dict[str, dict[str, Item]]:
    """Rows without what the service itself adds to their side."""
    result: dict[str, dict[str, Item]] = {}
    for name, items in rows.items():
        table = migration.by_name[name]
        added = HIDDEN
        if table.kind is Kind.IN_PLACE:
            added = HIDDEN | set(table.derivation.names)
        result[name] = {
            token: {key: value for key, value in item.items() if key not in added}
            for token, item in items.items()
        }
    return result


def differences(migration: Migration, dump: Dump, leader: Side) -> Differences:
    """Compare all rows, with the comparison that the service itself uses."""
    found = Differences()
    parents = _Parents(migration, dump.old)
    found.verdicts[Verdict.EXTRA.value] += dump.strays
    for table in migration.tables:
        name = table.name
        tokens = dump.old[name].keys() | dump.new[name].keys()
        for token in sorted(tokens):
            found.compared += 1
            if table.kind is Kind.IN_PLACE:
                verdict, problem = _derived_in_place(table, dump.old[name][token], parents)
            else:
                verdict = _compared(table, leader, dump, token, parents)
                problem = _problem(table, dump.old[name].get(token), parents)
            if problem is not None:
                found.problems[name, token] = problem.reason.value
            if verdict is Verdict.MATCH:
                continue
            found.verdicts[verdict.value] += 1
            if len(found.examples) < EXAMPLES_MAX:
                found.examples.append(Example(verdict.value, name, token, "both", "new != T(old)"))
    return found


def _compared(
    table: MigratedTable, leader: Side, dump: Dump, token: str, parents: "_Parents"
) -> Verdict:
    leads = dump.rows(leader)[table.name].get(token)
    follows = dump.rows(leader.other)[table.name].get(token)
    return parents.settle(compare, table, leader, leads, follows).verdict


def _problem(table: MigratedTable, item: Item | None, parents: "_Parents") -> Problem | None:
    """Why a row of old has no whole counterpart; old alone can say it by name."""
    if item is None:
        return None
    row = parents.settle(transformed, table, item, Side.OLD)
    assert isinstance(row, Row | Problem)
    return row if isinstance(row, Problem) else row.problem


def _derived_in_place(
    table: MigratedTable, item: Item, parents: "_Parents"
) -> tuple[Verdict, Problem | None]:
    source = {
        name: value
        for name, value in item.items()
        if name == table.derivation.source or name not in table.derivation.names
    }
    derived = parents.settle(derive, table, source)
    assert isinstance(derived, Derived | Problem)
    if isinstance(derived, Problem):
        return Verdict.MATCH, derived
    right = all(item.get(name) == value for name, value in derived.values.items())
    return (Verdict.MATCH if right else Verdict.DIFFERENT), None


class _Parents:
    """Answers look-ups from the dumped rows of the old side."""

    def __init__(self, migration: Migration, old: Rows) -> None:
        self._migration = migration
        self._old = old
        self._indexes: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], list[str]]] = {}

    def settle(self, decide: "Callable[[*Given, Answers], T | Question]", *given: *Given) -> T:
        """Call ``decide(*given, answers)`` with ever more answers until it asks no more."""
        answers: dict[Question, str | Missing] = {}
        for _ in range(QUESTIONS_MAX):
            outcome = decide(*given, answers)
            if not isinstance(outcome, Question):
                return outcome
            answers[outcome] = self.answer(outcome)
        raise AssertionError("a row asked for more parents than its spec declares")

    def answer(self, question: Question) -> str | Missing:
        names = tuple(name for name, _ in question.match)
        index = self._index(question.table, names)
        held = index.get(tuple(value for _, value in question.match), [])
        if question.how is LookupHow.HASH:
            held = held[:1]
        distinct = {text for text in held if text}
        if len(distinct) > 1:
            return Missing.AMBIGUOUS
        return next(iter(distinct), Missing.ABSENT)

    def _index(self, name: str, names: tuple[str, ...]) -> dict[tuple[str, ...], list[str]]:
        if (name, names) not in self._indexes:
            source = self._migration.by_name[name].derivation.source or ""
            index: dict[tuple[str, ...], list[str]] = defaultdict(list)
            for _, item in sorted(self._old[name].items()):
                values = tuple(item.get(wanted, {}).get("S", "") for wanted in names)
                index[values].append(item.get(source, {}).get("S", ""))
            self._indexes[name, names] = index
        return self._indexes[name, names]
