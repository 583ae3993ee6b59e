"""Keys whose two copies looked unequal, and whether they are drift or merely in flight.

The two sides are never read at one instant, so a difference alone proves nothing. A suspect is
looked at again, with pauses, until one of three things is sure: the copies agree (or the follower
held just what the leader had said a moment before: it follows); they differ while neither of them
moved for a while: drift; or neither could be shown in time: nothing proven.
"""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

from dualwrite.core.compare import Comparison, Verdict, compare, compare_in_place
from dualwrite.core.derivation import NO_ANSWERS, Answers, Question
from dualwrite.core.items import Item, stamp_of
from dualwrite.core.phases import Kind, Side
from dualwrite.core.spec import MigratedTable

PAUSES_SECONDS = (0.1, 0.3, 0.6, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
"""Before each look. The fifth look ends three seconds after the sweep first saw the key."""
STILL_SECONDS_MIN = 2.5
"""Drift: both copies stood still this long. A mirror write and the stream's cure take less."""
REMEMBERED_MAX = 8


class Outcome(StrEnum):
    """What became of a suspect."""

    MATCH = "match"
    DRIFT = "drift"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Look:
    """Both copies as they were read, one shortly after the other, and how they compare."""

    leader: Item | None
    follower: Item | None
    comparison: Comparison

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.comparison)


@dataclass(slots=True)
class Watched:
    """What the looks at one suspect have shown so far."""

    looks: int = 0
    digest: bytes = b""
    still_since_seconds: float = 0.0
    leader_stamp: str | None = None
    remembered: dict[str, Item] = field(default_factory=dict)
    """What the leader held under its newest stamps, for a key that is being written."""

    def see(self, table: MigratedTable, leader: Side, look: Look, now_seconds: float) -> Outcome:
        """Take a look in; UNPROVEN means that another one is needed."""
        self.looks += 1
        if look.verdict is Verdict.MATCH or self._follows(table, leader, look):
            return Outcome.MATCH
        digest = _digest(look)
        if digest != self.digest:
            self.digest, self.still_since_seconds = digest, now_seconds
        elif now_seconds - self.still_since_seconds >= STILL_SECONDS_MIN:
            return Outcome.DRIFT
        self._remember(look)
        return Outcome.UNPROVEN

    def _follows(self, table: MigratedTable, leader: Side, look: Look) -> bool:
        stamp = stamp_of(look.follower)
        if stamp is None or stamp == stamp_of(look.leader):
            return False
        then = self.remembered.get(stamp)
        if then is None:
            return False
        comparison = compare(table, leader, then, look.follower)
        return isinstance(comparison, Comparison) and comparison.verdict is Verdict.MATCH

    def _remember(self, look: Look) -> None:
        stamp = stamp_of(look.leader)
        if self.looks > 1 and stamp is not None and stamp != self.leader_stamp:
            assert look.leader is not None
            self.remembered[stamp] = look.leader
            while len(self.remembered) > REMEMBERED_MAX:
                del self.remembered[next(iter(self.remembered))]
        self.leader_stamp = stamp


def judge(
    table: MigratedTable,
    leader: Side,
    old: Item | None,
    new: Item | None,
    answers: Answers = NO_ANSWERS,
) -> Comparison | Question:
    """Compare both copies, or the only one of an in-place table (``old``)."""
    if table.kind is Kind.IN_PLACE:
        return compare_in_place(table, old, answers)
    if leader is Side.OLD:
        return compare(table, leader, old, new, answers)
    return compare(table, leader, new, old, answers)


def verdict_of(comparison: Comparison) -> Verdict:
    """The verdict; a leader's item without its hidden map is unequal to what it should be too."""
    if comparison.verdict is Verdict.MATCH and comparison.annotation is not None:
        return Verdict.DIFFERENT
    return comparison.verdict


def _digest(look: Look) -> bytes:
    images = orjson.dumps([look.leader, look.follower], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(images, digest_size=16).digest()
