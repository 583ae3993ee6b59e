"""From everything that was seen to the verdict: every invariant, whether it held, and why not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from verifier.rehearsal.gaps import FLIP_FACTOR_MAX, FlipGap
from verifier.rehearsal.judge import (
    CHANGED,
    CLAIMED,
    COUNTER,
    PLAIN,
    TORN,
    Example,
    Judgement,
)
from verifier.rehearsal.register import Fault
from verifier.rehearsal.tables import Differences
from verifier.rehearsal.walk import Refusal

OPERATIONS = frozenset(
    {
        "PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Scan", "BatchGetItem",
        "BatchWriteItem", "TransactGetItems", "TransactWriteItems",
    }
)  # fmt: skip
PAUSE_MS = 1000.0
"""A gap that a person would call a pause, where nothing struck a process. Below it the goal of
three times p99.9 is told, not enforced, for it measures the machine as much as the flip."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """One promise; the run passes if all of them held."""

    name: str
    held: bool
    detail: str
    judged: bool = True
    """False: the rehearsal did not come to where it is judged, and nothing speaks against it."""


@dataclass(frozen=True, slots=True)
class EdgeOutcome:
    """What became of one labelled row of the data set."""

    label: str
    table: str
    expected: str
    outcome: str

    @property
    def held(self) -> bool:
        return self.expected == self.outcome


@dataclass(frozen=True, slots=True)
class Case:
    """All there is to judge; None for what the rehearsal did not come to."""

    error: str
    before_done: Judgement | None
    at_end: Judgement | None
    differences: Differences | None
    edges: Sequence[EdgeOutcome]
    flips: Sequence[FlipGap]
    refusals: Sequence[Refusal]
    operations: Counter[str]
    died: Sequence[str]


def invariants(case: Case) -> list[Invariant]:
    """All of them, in the order of the report."""
    judged = case.before_done is not None and case.at_end is not None

    def none(fault: str, name: str, noun: str) -> Invariant:
        found = count(case, fault)
        detail = f"{found} {noun}" + ("" if judged else "; the last judgement was not reached")
        return Invariant(name, judged and found == 0, detail, judged or found > 0)

    return [
        Invariant("the walk came to its end", not case.error, case.error or "off to done"),
        none(Fault.LOST.value, "no acknowledged write is lost", "lost"),
        none(Fault.RESURRECTED.value, "no deleted row came back", "resurrected"),
        _equal(case.differences),
        none(Fault.MISAPPLIED.value, "each update applied once", "misapplied"),
        none(COUNTER, "shared counters add up", "wrong counters"),
        none(CLAIMED, "one claimant wins", "claims with two winners or none"),
        none(TORN, "transactions are whole", "torn transactions"),
        none(Fault.MISJUDGED.value, "conditions decided right", "misjudged"),
        none(Fault.STALE_READ.value, "read your writes", "stale reads"),
        none(Fault.WRONG_RETURN.value, "return values exact", "wrong returns"),
        none(PLAIN, "no answer unlike a plain table's", "violations"),
        none(CHANGED, "untouched rows unchanged", "changed rows"),
        _edges(case.edges),
        _operations(case.operations),
        _refused(case.refusals),
        _no_pause(case.flips),
        Invariant("no process died by itself", not case.died, ", ".join(case.died) or "none did"),
    ]


def examples(case: Case) -> list[Example]:
    """Findings in full, the gravest judgement first."""
    found: list[Example] = []
    for judgement in (case.before_done, case.at_end):
        found += judgement.examples if judgement else []
    return found + (case.differences.examples if case.differences else [])


def count(case: Case, fault: str) -> int:
    """How often a fault was found."""
    return sum(j.faults[fault] for j in (case.before_done, case.at_end) if j is not None)


def _equal(differences: Differences | None) -> Invariant:
    name = "new = T(old)"
    if differences is None:
        return Invariant(name, False, "never compared", judged=False)
    found = ", ".join(f"{n} {word}" for word, n in sorted(differences.verdicts.items()) if n)
    detail = found or f"all {differences.compared} rows"
    return Invariant(name, differences.different == 0, detail)


def _edges(edges: Sequence[EdgeOutcome]) -> Invariant:
    wrong = [edge.label for edge in edges if not edge.held]
    detail = f"otherwise: {', '.join(wrong[:8])}" if wrong else f"all {len(edges)}"
    return Invariant("edge rows end as declared", bool(edges) and not wrong, detail, bool(edges))


def _operations(operations: Counter[str]) -> Invariant:
    missing = sorted(OPERATIONS - operations.keys())
    detail = f"never used: {', '.join(missing)}" if missing else "all ten were used"
    return Invariant("every operation was exercised", not missing, detail)


def _refused(refusals: Sequence[Refusal]) -> Invariant:
    name = "a closed gate refuses, by name"
    accepted = [refusal.asked for refusal in refusals if not refusal.held]
    if accepted or not refusals:
        detail = f"not refused: {', '.join(accepted) or 'nothing was asked'}"
        return Invariant(name, False, detail, bool(refusals))
    return Invariant(name, True, "; ".join(refusal.asked for refusal in refusals))


def _no_pause(flips: Sequence[FlipGap]) -> Invariant:
    name = "no pause at a flip"
    if not flips:
        return Invariant(name, False, "no flip took place", judged=False)
    worst = max(flips, key=lambda flip: flip.gap_ms)
    goal = FLIP_FACTOR_MAX * worst.ordinary_p999_ms
    met = all(flip.within_goal for flip in flips)
    detail = f"longest {worst.gap_ms:.0f} ms; goal {goal:.0f} ms {'met' if met else 'missed'}"
    if worst.own_gap_ms < worst.gap_ms:
        detail += f"; {worst.own_gap_ms:.0f} ms beside what struck a process"
    held = all(
        flip.writes > 0 and (flip.within_goal or flip.own_gap_ms < PAUSE_MS) for flip in flips
    )
    return Invariant(name, held, detail)
