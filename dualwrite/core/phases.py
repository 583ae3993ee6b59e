"""The write square: the states a table can be in, and one table of the legal moves.

    off -> mirror/old <-> atomic/old <-> atomic/new <-> mirror/new -> done

One coordinate changes at a time, and the leader changes only on the atomic edge; so any two
adjacent states may be live in different processes at once (F1's online schema change, VLDB 2013).
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """A place: the old or the new table. Also a dialect: the way a client names things."""

    OLD = "old"
    NEW = "new"

    @property
    def other(self) -> "Side":
        return Side.NEW if self is Side.OLD else Side.OLD


class Mode(StrEnum):
    """How the follower is written: after the leader, or in one transaction with it."""

    SINGLE = "single"
    MIRROR = "mirror"
    ATOMIC = "atomic"


class Phase(StrEnum):
    """Where a table stands on the square."""

    OFF = "off"
    MIRROR_OLD = "mirror/old"
    ATOMIC_OLD = "atomic/old"
    ATOMIC_NEW = "atomic/new"
    MIRROR_NEW = "mirror/new"
    DONE = "done"

    @property
    def leader(self) -> Side:
        return _COORDINATES[self][0]

    @property
    def mode(self) -> Mode:
        return _COORDINATES[self][1]


class Kind(StrEnum):
    """``rekey`` copies into a second table, ``in-place`` adds attributes to the same one."""

    REKEY = "rekey"
    IN_PLACE = "in-place"


def is_followed(kind: Kind, phase: Phase) -> bool:
    """Whether what is written asks for a cure: of a table that is changed in place also in `done`,
    for an upsert does not give an item its derived attributes."""
    if kind is Kind.IN_PLACE:
        return phase is not Phase.OFF
    return phase.mode is not Mode.SINGLE


_COORDINATES: Mapping[Phase, tuple[Side, Mode]] = {
    Phase.OFF: (Side.OLD, Mode.SINGLE),
    Phase.MIRROR_OLD: (Side.OLD, Mode.MIRROR),
    Phase.ATOMIC_OLD: (Side.OLD, Mode.ATOMIC),
    Phase.ATOMIC_NEW: (Side.NEW, Mode.ATOMIC),
    Phase.MIRROR_NEW: (Side.NEW, Mode.MIRROR),
    Phase.DONE: (Side.NEW, Mode.SINGLE),
}

NEXT: Mapping[Kind, Mapping[Phase, tuple[Phase, ...]]] = {
    Kind.REKEY: {
        Phase.OFF: (Phase.MIRROR_OLD,),
        Phase.MIRROR_OLD: (Phase.ATOMIC_OLD, Phase.OFF),
        Phase.ATOMIC_OLD: (Phase.ATOMIC_NEW, Phase.MIRROR_OLD),
        Phase.ATOMIC_NEW: (Phase.MIRROR_NEW, Phase.ATOMIC_OLD),
        Phase.MIRROR_NEW: (Phase.DONE, Phase.ATOMIC_NEW),
        Phase.DONE: (),
    },
    Kind.IN_PLACE: {
        Phase.OFF: (Phase.MIRROR_OLD,),
        Phase.MIRROR_OLD: (Phase.DONE, Phase.OFF),
        Phase.DONE: (),
    },
}
"""The legal moves; the forward one stands first."""


@dataclass(frozen=True, slots=True)
class TableState:
    """What the control item of one table says; ``epoch`` rises with every change."""

    table: str
    epoch: int = 0
    phase: Phase = Phase.OFF
    read_share: int = 0
    """Percentage (0..100) of eventually consistent reads that the new side serves."""
    shadow_share: int = 0
    """Percentage (0..100) of reads that are sent to both sides and compared."""
    lead_epoch: int = 0
    """The epoch in which the present leader took the lead."""


def route(kind: Kind, start: Phase, goal: Phase) -> tuple[Phase, ...] | None:
    """The shortest walk from ``start`` to ``goal``, without ``start``; None where none exists."""
    moves = NEXT[kind]
    ways: deque[tuple[Phase, ...]] = deque([()])
    seen = {start}
    while ways:
        way = ways.popleft()
        here = way[-1] if way else start
        if here is goal:
            return way
        for step in moves[here]:
            if step not in seen:
                seen.add(step)
                ways.append((*way, step))
    return None


def is_flip(start: Phase, goal: Phase) -> bool:
    """Whether a move changes the leader while both tables are written."""
    return start.leader is not goal.leader and Mode.SINGLE not in (start.mode, goal.mode)


def drawing(kind: Kind = Kind.REKEY) -> str:
    """The square as Mermaid text, drawn from the table above."""
    lines = ["stateDiagram-v2", "    direction LR"]
    lines += [f"    {_node(phase)}: {phase.value}" for phase in NEXT[kind]]
    for start, goals in NEXT[kind].items():
        lines += [
            f"    {_node(start)} --> {_node(goal)}" + (": flip" if is_flip(start, goal) else "")
            for goal in goals
        ]
    return "\n".join(lines)


def _node(phase: Phase) -> str:
    return phase.name.lower()
