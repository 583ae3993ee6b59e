"""Suspects: when a difference is drift, when it is on its way, when nothing is proven."""

from itertools import accumulate

from dualwrite.core.compare import Comparison, Verdict, compare
from dualwrite.core.items import OTHER, Item
from dualwrite.core.phases import Side
from dualwrite.core.transform import Row
from tests.fakes.verifying import boards, row, stamp, text
from verifier.suspects import (
    PAUSES_SECONDS,
    STILL_SECONDS_MIN,
    Look,
    Outcome,
    Watched,
    verdict_of,
)

BOARDS = boards()
LOOKS_AT = list(accumulate(PAUSES_SECONDS))
"""When, in seconds, each look happens where reading takes no time."""


def old(version: int) -> Item:
    return _row(version).stored(Side.OLD)


def new(version: int) -> Item:
    return _row(version).stored(Side.NEW)


def _row(version: int) -> Row:
    item = text(endpoint_id="acme-prod", board_id="b1", title=f"v{version}")
    return row(BOARDS, item, stamp(version))


def look(leader: Item | None, follower: Item | None) -> Look:
    found = compare(BOARDS, Side.OLD, leader, follower)
    assert isinstance(found, Comparison)
    return Look(leader, follower, found)


def outcomes(*looks: Look) -> list[Outcome]:
    watched = Watched()
    return [
        watched.see(BOARDS, Side.OLD, seen, now) for seen, now in zip(looks, LOOKS_AT, strict=False)
    ]


def test_equal_copies_settle_at_once() -> None:
    """A suspect that matches at its first look is none."""
    assert outcomes(look(old(1), new(1))) == [Outcome.MATCH]


def test_a_difference_that_stands_still_is_drift() -> None:
    """But not before both copies stood still long enough; then there is a look left to see it."""
    seen = outcomes(*[look(old(2), new(1))] * len(LOOKS_AT))
    first = seen.index(Outcome.DRIFT)
    assert set(seen[:first]) == {Outcome.UNPROVEN}
    assert LOOKS_AT[first] - LOOKS_AT[0] >= STILL_SECONDS_MIN
    assert LOOKS_AT[-1] - LOOKS_AT[0] >= 2 * STILL_SECONDS_MIN - 0.5


def test_a_difference_that_moves_is_not_yet_drift() -> None:
    """Each change of either copy begins the waiting anew, also one without a new stamp."""
    bypassed = old(2) | text(title="past the proxy")
    moving = [look(old(2), new(1))] * 4 + [look(bypassed, new(1))]
    assert set(outcomes(*moving)) == {Outcome.UNPROVEN}


def test_a_follower_that_shows_what_the_leader_had_follows() -> None:
    """A busy key is proven though its copies are never equal at one look."""
    looks = [look(old(version + 1), new(version)) for version in (1, 2, 3)]
    assert outcomes(*looks)[-1] is Outcome.MATCH


def test_a_follower_with_other_contents_under_a_stamp_does_not_follow() -> None:
    """The stamp alone proves nothing."""
    wrong = new(3) | text(title="wrong")
    looks = [look(old(2), new(1)), look(old(3), new(1)), look(old(4), wrong)]
    assert set(outcomes(*looks)) == {Outcome.UNPROVEN}


def test_a_follower_that_never_moves_is_never_proven_by_a_busy_leader() -> None:
    """The leader ran ahead of a follower that stood still from the start."""
    looks = [look(old(version + 2), new(1)) for version in range(len(LOOKS_AT))]
    assert set(outcomes(*looks)) == {Outcome.UNPROVEN}


def test_a_deleted_row_in_flight_settles() -> None:
    """The follower's delete comes a moment later."""
    looks = [look(None, new(1)), look(None, None)]
    assert outcomes(*looks) == [Outcome.UNPROVEN, Outcome.MATCH]


def test_a_leader_without_its_hidden_map_is_different() -> None:
    """Though the follower holds all it should."""
    plain = {name: value for name, value in old(1).items() if name != OTHER}
    found = look(plain, new(1))
    assert found.comparison.verdict is Verdict.MATCH
    assert verdict_of(found.comparison) is Verdict.DIFFERENT
