"""Whether one key's history is that of a single register: Wing and Gong's search, with what was
tried remembered.

Each call takes effect at one moment between its beginning and its end. One whose outcome is unknown
takes effect at some moment after its beginning, or never.
"""

from collections.abc import Sequence

from tests.simulation.checks.history import (
    ACKED,
    NEVER,
    NOTHING,
    REFUSED,
    UNKNOWN,
    Entry,
    Op,
    State,
    applied,
    holds,
    shown,
)

LOOKS_MAX = 200_000


class Undecided(Exception):
    """The search took too long."""


def explained(entries: Sequence[Entry], first: State) -> bool:
    """Whether some order explains all answers. Raises Undecided."""
    calls = [entry for entry in entries if entry.outcome != NOTHING]
    calls.sort(key=lambda entry: entry.began)
    must = sum(1 << at for at, entry in enumerate(calls) if entry.outcome != UNKNOWN)
    tried: set[tuple[int, State]] = set()
    waiting: list[tuple[int, State]] = [(0, first)]
    while waiting:
        done, state = waiting.pop()
        if done & must == must:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        if len(tried) > LOOKS_MAX:
            raise Undecided
        # Nothing may take effect after the end of a call that has not yet.
        bound = NEVER
        for at, entry in enumerate(calls):
            if entry.began >= bound:
                break
            if not done >> at & 1 and entry.outcome != UNKNOWN:
                bound = min(bound, entry.ended)
        for at, entry in enumerate(calls):
            if entry.began > bound:
                break
            if not done >> at & 1:
                waiting += [(done | 1 << at, after) for after in _after(entry, state)]
    return False


def _after(entry: Entry, state: State) -> list[State]:
    """The states in which the call may leave the key, given its answer; none if it does not fit."""
    op = entry.op
    true = holds(op.condition, state)
    if entry.outcome == REFUSED:
        fits = not true and (entry.seen is True or entry.seen == state)
        return [state] if fits else []
    if not true:
        return []
    after = applied(op, state)
    if entry.outcome == ACKED and entry.seen is not True:
        expected = shown(op, state, after)
        if expected is not True and expected != entry.seen:
            return []
    return [after]


def final(entries: Sequence[Entry], found: State, now: float) -> list[Entry]:
    """The history with a last look at what stands there when all is over."""
    look = Entry(entries[0].table, entries[0].key, _READ, now, "end")
    look.ended, look.outcome, look.seen = now, ACKED, found
    return [*entries, look]


_READ = Op("read")
