"""Whether the follower holds what the leader's row asks for: the one comparison of the service.

Reconcile, the cheap path over the streams, the backfill and the sweep all decide here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dualwrite.core.derivation import NO_ANSWERS, Answers, Problem, Question, Reason
from dualwrite.core.items import AttributeValue, Item, same, without_stamp
from dualwrite.core.phases import Side
from dualwrite.core.room import fits, fits_both
from dualwrite.core.spec import MigratedTable
from dualwrite.core.stamps import FLOOR
from dualwrite.core.transform import Row, annotated, row_from_stored

_TOO_LARGE = Problem(
    Reason.OVERSIZE, "with the derived attributes, entries in local indexes too, it is over 400 KB"
)


class Verdict(StrEnum):
    """How two copies of one key stand."""

    MATCH = "match"
    MISSING = "missing"
    """The follower lacks what the leader has."""
    EXTRA = "extra"
    """The follower has what the leader lacks."""
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A verdict and the cure."""

    verdict: Verdict
    wanted: Item | None
    """What the follower should hold, stamp included; None: nothing."""
    annotation: Item | None = None
    """Hidden map (``dw_other``'s members) that the leader's own item still lacks."""
    problem: Problem | None = None
    """Why the row stays on the old side only, or is carried without derived attributes."""
    left: bool = False
    """With ``problem``: the row is not carried, it stays where it is (in place: as it is)."""

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to write and nothing to report."""
        return self.verdict is Verdict.MATCH and self.annotation is None and self.problem is None


def transformed(
    table: MigratedTable,
    item: Mapping[str, AttributeValue],
    side: Side,
    answers: Answers = NO_ANSWERS,
) -> Row | Question | Problem:
    """The row of a stored item; also a Problem where a side has no room for it, the item's own
    once it has its hidden map included: a row that cannot be wholly on both is on neither."""
    row = row_from_stored(table, item, side, answers)
    if isinstance(row, Row) and not fits_both(table, row):
        return _TOO_LARGE
    return row


def compare(
    table: MigratedTable,
    leader: Side,
    leader_item: Mapping[str, AttributeValue] | None,
    follower_item: Mapping[str, AttributeValue] | None,
    answers: Answers = NO_ANSWERS,
) -> Comparison | Question:
    """Compare two copies of one key as they stand on the two sides of a rekey table."""
    if leader_item is None:
        return _without_leader(table, leader, follower_item, answers)
    row = transformed(table, leader_item, leader, answers)
    if isinstance(row, Question):
        return row
    if isinstance(row, Problem):
        verdict = Verdict.MATCH if follower_item is None else Verdict.EXTRA
        return Comparison(verdict, None, problem=row, left=True)
    wanted = row.stamped(row.stamp or FLOOR).stored(leader.other)
    annotation = None if annotated(table, leader_item, row, leader) else row.of(leader.other)
    if follower_item is None:
        verdict = Verdict.MISSING
    elif same(without_stamp(wanted), without_stamp(follower_item)):
        verdict = Verdict.MATCH
    else:
        verdict = Verdict.DIFFERENT
    return Comparison(verdict, wanted, annotation, row.problem)


def compare_in_place(
    table: MigratedTable,
    item: Mapping[str, AttributeValue] | None,
    answers: Answers = NO_ANSWERS,
) -> Comparison | Question:
    """Whether an item of an in-place table holds its derived attributes, and the right ones.

    MISSING: at least one is absent; DIFFERENT: all are there and one has another value.
    ``wanted`` is the whole item with them; a row they cannot be made for matches, with its problem.
    """
    if item is None:
        return Comparison(Verdict.MATCH, None)
    row = row_from_stored(table, item, Side.OLD, answers)
    if isinstance(row, Question):
        return row
    if isinstance(row, Problem):
        return Comparison(Verdict.MATCH, dict(item), problem=row, left=True)
    wanted = {**item, **row.new}
    if annotated(table, item, row, Side.OLD):
        return Comparison(Verdict.MATCH, wanted, problem=row.problem)
    if not fits(table.old, wanted):
        return Comparison(Verdict.MATCH, dict(item), problem=_TOO_LARGE, left=True)
    absent = any(name not in item for name in row.new)
    return Comparison(Verdict.MISSING if absent else Verdict.DIFFERENT, wanted)


def _without_leader(
    table: MigratedTable,
    leader: Side,
    follower_item: Mapping[str, AttributeValue] | None,
    answers: Answers,
) -> Comparison | Question:
    """The leader has nothing. On old, a row which new cannot hold was left there: no extra."""
    if follower_item is None:
        return Comparison(Verdict.MATCH, None)
    if leader is Side.NEW:
        row = transformed(table, follower_item, Side.OLD, answers)
        if isinstance(row, Question):
            return row
        if isinstance(row, Problem):
            return Comparison(Verdict.MATCH, dict(follower_item), problem=row, left=True)
    return Comparison(Verdict.EXTRA, None)
