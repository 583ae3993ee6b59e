"""What one key with one writer may hold, told by that writer's history: a small model checker.

The key is a register: absent, or present with a tag and a revision. Its writer works one call at
a time, so the history is a sequence; only calls with an unknown outcome float: each may take
effect at any later moment, or never. ``Register`` carries the set of all states that are possible
so far, and every acknowledged answer must fit at least one of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from dualwrite.core.settle import CONDITION_FAILED
from verifier.rehearsal.history import (
    ACKED,
    BEFORE,
    DELETE,
    PUT,
    READ,
    REFUSED,
    UNKNOWN,
    UPDATE,
    Entry,
    Seen,
)

FLOATING_MAX = 6
"""More unknown outcomes than this on one key: their number of orders is not worth the time, and
the key is judged by tags alone."""

ABSENT = Seen(False)


class Fault(StrEnum):
    """What can be wrong with one key."""

    LOST = "lost"
    RESURRECTED = "resurrected"
    MISAPPLIED = "misapplied"
    """An update was applied twice, or only in part."""
    MISJUDGED = "misjudged"
    """A condition was decided against the state of the key."""
    STALE_READ = "stale-read"
    """A consistent read by its only writer did not show the last write."""
    WRONG_RETURN = "wrong-return"
    """Return values that a single table would not have given."""


@dataclass(frozen=True, slots=True)
class _State:
    """One possible world: the key's value, and which unknown writes may still arrive."""

    value: Seen
    floating: frozenset[int]


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault and the entry (or the final state) that shows it."""

    fault: Fault
    detail: str
    entry: Entry | None = None


class Register:
    """Follows one key through its history; ``initial`` is what stood there before."""

    def __init__(self, initial: Seen) -> None:
        self._unknown: dict[int, Entry] = {}
        self._states = frozenset({_State(initial, frozenset())})
        self._exact = True
        self._last_effect: Entry | None = None
        self.findings: list[Finding] = []

    def follow(self, entries: Iterable[Entry]) -> None:
        """Take the entries of this key, in the order of their writer."""
        for entry in entries:
            if not self._exact:
                self._remember(entry)
                continue
            self._states = self._with_arrivals()
            if entry.outcome == UNKNOWN and entry.writes:
                self._let_float(entry)
            elif entry.outcome == ACKED:
                self._acknowledged(entry)
            elif entry.outcome == REFUSED and entry.code == CONDITION_FAILED:
                self._refused(entry)

    def judge(self, found: Seen) -> Finding | None:
        """Hold what a table holds at the end against what is possible."""
        if not self._exact:
            return self._judge_by_tags(found)
        possible = {state.value for state in self._with_arrivals()}
        if found in possible:
            return None
        if found.present and any(value.present and value.tag == found.tag for value in possible):
            revisions = sorted(value.revision for value in possible if value.tag == found.tag)
            detail = f"revision {found.revision} where {revisions} is explained"
            return Finding(Fault.MISAPPLIED, detail, self._last_effect)
        if found.present and not any(value.present for value in possible):
            return Finding(Fault.RESURRECTED, f"present as {found.tag!r}", self._last_effect)
        here = f"tag {found.tag!r}" if found.present else "nothing"
        wanted = sorted({value.tag if value.present else "nothing" for value in possible})
        return Finding(Fault.LOST, f"{here} where {wanted} is explained", self._last_effect)

    # -- one entry -------------------------------------------------------------------------

    def _acknowledged(self, entry: Entry) -> None:
        fitting = [state for state in self._states if _holds(entry.condition, state.value)]
        if not fitting:
            self._find(Fault.MISJUDGED, f"accepted although not {entry.condition!r}", entry)
            fitting = list(self._states)
        moved = [(state, _State(_apply(entry, state.value), state.floating)) for state in fitting]
        if entry.seen is not None:
            agreeing = [
                pair
                for pair in moved
                if entry.seen == pair[0 if entry.seen_when == BEFORE else 1].value
            ]
            if not agreeing:
                fault = Fault.STALE_READ if entry.kind == READ else Fault.WRONG_RETURN
                self._find(fault, f"saw {entry.seen}", entry)
            moved = agreeing or moved
        self._states = frozenset(after for _, after in moved)
        if entry.writes:
            self._last_effect = entry

    def _refused(self, entry: Entry) -> None:
        fitting = [state for state in self._states if not _holds(entry.condition, state.value)]
        if not fitting:
            self._find(Fault.MISJUDGED, f"refused although {entry.condition!r}", entry)
            return
        self._states = frozenset(fitting)

    def _let_float(self, entry: Entry) -> None:
        self._unknown[entry.number] = entry
        if len(self._unknown) > FLOATING_MAX:
            self._exact = False
        self._states = frozenset(
            _State(state.value, state.floating | {entry.number}) for state in self._states
        )

    def _with_arrivals(self) -> frozenset[_State]:
        """All states, and those in which some of the floating writes have arrived by now."""
        seen = set(self._states)
        waiting = list(seen)
        while waiting:
            state = waiting.pop()
            for number in state.floating:
                entry = self._unknown[number]
                if not _holds(entry.condition, state.value):
                    continue
                arrived = _State(_apply(entry, state.value), state.floating - {number})
                if arrived not in seen:
                    seen.add(arrived)
                    waiting.append(arrived)
        return frozenset(seen)

    def _find(self, fault: Fault, detail: str, entry: Entry) -> None:
        self.findings.append(Finding(fault, detail, entry))

    # -- when too much is unknown -----------------------------------------------------------

    def _remember(self, entry: Entry) -> None:
        if not entry.writes:
            return
        if entry.outcome == UNKNOWN:
            self._unknown[entry.number] = entry
        elif entry.outcome == ACKED:
            self._last_effect = entry
            self._states = frozenset({_State(_apply(entry, ABSENT), frozenset())})

    def _judge_by_tags(self, found: Seen) -> Finding | None:
        tags = {state.value.tag for state in self._states if state.value.present}
        tags |= {entry.tag for entry in self._unknown.values() if entry.kind != DELETE}
        absent = any(not state.value.present for state in self._states) or any(
            entry.kind == DELETE for entry in self._unknown.values()
        )
        if (found.tag in tags) if found.present else absent:
            return None
        fault = Fault.LOST if tags else Fault.RESURRECTED
        return Finding(fault, f"{found} after many unknown outcomes", self._last_effect)


def _apply(entry: Entry, value: Seen) -> Seen:
    """The register after the entry took effect."""
    if entry.kind == PUT:
        return Seen(True, entry.tag, 1)
    if entry.kind == UPDATE:
        return Seen(True, entry.tag, value.revision + 1)
    return ABSENT if entry.kind == DELETE else value


def _holds(condition: str, value: Seen) -> bool:
    match condition:
        case "":
            return True
        case "absent":
            return not value.present
        case "present":
            return value.present
    return value.present and condition == f"tag={value.tag}"
