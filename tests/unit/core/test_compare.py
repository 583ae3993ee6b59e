"""The one comparison: match, missing, extra, different, and rows with problems, both ways round."""

from dataclasses import replace
from typing import Any

import pytest

from dualwrite.core.compare import Comparison, Verdict, compare, compare_in_place, transformed
from dualwrite.core.derivation import Missing, Question, Reason
from dualwrite.core.items import OTHER, STAMP, Item, KeyAttribute, KeySchema
from dualwrite.core.phases import Kind, Side
from dualwrite.core.spec import Derivation, IndexSpec, MigratedTable, TableSide
from dualwrite.core.stamps import FLOOR
from dualwrite.core.transform import Row, row_from_client
from tests.fakes.verifying import boards, cards, row, stamp, text, votes

BOARDS, CARDS, VOTES = boards(), cards(), votes()
BOARD = text(endpoint_id="acme-prod", board_id="b1", title="t")
DERIVED = text(endpoint_id="aws-1", part_id="acme", partition_key="aws-1#acme")
OLD = row(BOARDS, BOARD).stored(Side.OLD)
NEW = row(BOARDS, BOARD).stored(Side.NEW)
BIG = {"S": "x" * 409_540}
"""Fits under 400 KB on old, with the derived attributes no more."""


def compared(*arguments: Any, **more: Any) -> Comparison:
    found = compare(*arguments, **more)
    assert isinstance(found, Comparison)
    return found


def plain(item: Item) -> Item:
    """The item without what the service hides in it."""
    return {name: value for name, value in item.items() if name not in (OTHER, STAMP)}


def test_copies_of_one_row_match_whoever_leads() -> None:
    """What T makes of a row is equal to the row, from either side."""
    for leader, lead, follow in ((Side.OLD, OLD, NEW), (Side.NEW, NEW, OLD)):
        found = compared(BOARDS, leader, lead, follow)
        assert found.verdict is Verdict.MATCH
        assert found.wanted == follow
        assert found.annotation is None
        assert found.is_clean


@pytest.mark.parametrize("leader", list(Side))
def test_a_table_that_derives_nothing_has_no_orphans(leader: Side) -> None:
    """Where only the roles of two keys are exchanged, no row lacks anything, written by whichever
    client and read on whichever side."""
    old, new = (KeySchema(KeyAttribute(h), KeyAttribute(r)) for h, r in (("a", "b"), ("b", "a")))
    sides = TableSide("turned", old), TableSide("turned-v2", new)
    turned = MigratedTable("turned", Kind.REKEY, *sides, Derivation(None, None, ()))
    for dialect in Side:
        made = row_from_client(turned, text(a="1", b="2", v="x"), dialect)
        assert isinstance(made, Row)
        assert made.problem is None
        stored = {side: made.stored(side, stamp(1)) for side in Side}
        assert compared(turned, leader, stored[leader], stored[leader.other]).is_clean


def test_stamps_are_no_contents() -> None:
    """Copies that differ in their stamps alone match."""
    later = NEW | text(**{STAMP: stamp(9)})
    assert compared(BOARDS, Side.OLD, OLD, later).verdict is Verdict.MATCH


def test_numbers_and_sets_compare_by_value() -> None:
    """1.0 is 1, and a set has no order."""
    item = BOARD | {"n": {"N": "1.0"}, "tags": {"SS": ["a", "b"]}}
    stored = row(BOARDS, item).stored(Side.NEW) | {"n": {"N": "1"}, "tags": {"SS": ["b", "a"]}}
    lead = row(BOARDS, item).stored(Side.OLD)
    assert compared(BOARDS, Side.OLD, lead, stored).verdict is Verdict.MATCH


def test_what_the_follower_lacks_is_missing() -> None:
    """The cure is the whole item, with the leader's stamp."""
    found = compared(BOARDS, Side.OLD, OLD, None)
    assert (found.verdict, found.wanted) == (Verdict.MISSING, NEW)


def test_an_item_nobody_stamped_is_copied_under_the_floor() -> None:
    """History is older than every write."""
    found = compared(BOARDS, Side.OLD, BOARD, None)
    assert found.wanted is not None
    assert found.wanted[STAMP] == {"S": FLOOR}
    assert found.annotation == DERIVED


def test_what_only_the_follower_has_is_extra() -> None:
    """The cure is nothing."""
    for leader, item in ((Side.OLD, NEW), (Side.NEW, OLD)):
        found = compared(BOARDS, leader, None, item)
        assert (found.verdict, found.wanted) == (Verdict.EXTRA, None)


def test_nothing_on_both_sides_matches() -> None:
    """A deleted row is equal to a deleted row."""
    for leader in Side:
        assert compared(BOARDS, leader, None, None).is_clean


@pytest.mark.parametrize(
    "change",
    [{"title": {"S": "other"}}, {"more": {"S": "x"}}, {OTHER: {"M": {}}}, {"title": None}],
)
def test_any_other_difference_is_different(change: dict[str, Any]) -> None:
    """Changed, added, hidden and removed attributes all count."""
    follower = {name: value for name, value in (NEW | change).items() if value is not None}
    found = compared(BOARDS, Side.OLD, OLD, follower)
    assert (found.verdict, found.wanted) == (Verdict.DIFFERENT, NEW)


def test_a_leader_without_its_hidden_map_is_to_be_annotated() -> None:
    """The copies match, and the cure of the leader's own item is named."""
    lead = {name: value for name, value in OLD.items() if name != OTHER}
    found = compared(BOARDS, Side.OLD, lead, NEW)
    assert (found.verdict, found.annotation) == (Verdict.MATCH, DERIVED)
    assert not found.is_clean


def test_a_hidden_map_that_the_source_disproves_is_not_believed() -> None:
    """A bypass writer changed the source and left the map: T decides."""
    card = text(board_id="b", card_id="c", endpoint_id="acme-prod")
    lead = row(CARDS, card).stored(Side.OLD) | text(endpoint_id="birch-prod")
    found = compared(CARDS, Side.OLD, lead, row(CARDS, card).stored(Side.NEW))
    assert found.verdict is Verdict.DIFFERENT
    assert found.wanted is not None
    assert found.wanted["partition_key"] == {"S": "aws-1#birch"}
    assert found.annotation == text(
        endpoint_id="aws-1", part_id="birch", partition_key="aws-1#birch"
    )


# -- rows that stay where they are ------------------------------------------------------------


def test_a_row_whose_key_cannot_map_is_left_on_old() -> None:
    """Before and after the flip: it is reported, not missing and not extra."""
    left = BOARD | text(endpoint_id="unmapped")
    for leader, lead, follow in ((Side.OLD, left, None), (Side.NEW, None, left)):
        found = compared(BOARDS, leader, lead, follow)
        assert (found.verdict, found.left) == (Verdict.MATCH, True)
        assert found.problem is not None
        assert found.problem.reason is Reason.UNMAPPED


def test_a_row_that_grew_too_large_must_not_stand_on_the_follower() -> None:
    """An older copy of a row that cannot be carried any more is extra."""
    large = BOARD | {"title": BIG}
    assert compared(BOARDS, Side.OLD, large, None).verdict is Verdict.MATCH
    found = compared(BOARDS, Side.OLD, large, NEW)
    assert (found.verdict, found.wanted, found.left) == (Verdict.EXTRA, None, True)
    assert found.problem is not None
    assert found.problem.reason is Reason.OVERSIZE


@pytest.mark.parametrize("side", Side)
def test_a_side_whose_indexes_leave_no_room_keeps_a_row_from_both(side: Side) -> None:
    """Entries in local indexes count, of new's table and of old's own, where the hidden map would
    be added: such a row is left, and not half of it done again and again."""
    index = IndexSpec("by-title", KeySchema(KeyAttribute("endpoint_id"), KeyAttribute("title")))
    if side is Side.NEW:
        index = replace(index, keys=KeySchema(BOARDS.new.keys.hash, KeyAttribute("part_id")))
    place = replace(BOARDS.side(side), indexes=(index,))
    indexed = replace(BOARDS, old=place) if side is Side.OLD else replace(BOARDS, new=place)
    board = BOARD | {"text": {"S": "x" * 204_750}}
    assert compared(BOARDS, Side.OLD, board, None).problem is None
    found = compared(indexed, Side.OLD, board, None)
    assert (found.verdict, found.left, found.wanted) == (Verdict.MATCH, True, None)
    assert found.problem is not None
    assert found.problem.reason is Reason.OVERSIZE
    smaller = BOARD | {"text": {"S": "x" * 204_400}}
    assert compared(indexed, Side.OLD, smaller, None).problem is None


def test_a_new_row_without_a_way_back_is_left_on_new() -> None:
    """When new leads, a key that cannot be translated back is reported, and old lacks nothing."""
    stray = text(partition_key="nobody#knows", board_id="b1")
    found = compared(BOARDS, Side.NEW, stray, None)
    assert (found.verdict, found.left, found.wanted) == (Verdict.MATCH, True, None)
    assert compared(BOARDS, Side.OLD, None, stray).verdict is Verdict.EXTRA


# -- rows that are carried bare ---------------------------------------------------------------


def orphan() -> tuple[Item, dict[Question, str | Missing]]:
    item = text(board_id="gone", card_id="c1", title="t")
    question = transformed(CARDS, item, Side.OLD)
    assert isinstance(question, Question)
    return item, {question: Missing.ABSENT}


def test_an_orphan_is_carried_without_derived_attributes() -> None:
    """It is wanted on the follower, with an empty hidden map on both sides."""
    item, answers = orphan()
    found = compared(CARDS, Side.OLD, item, None, answers)
    assert found.verdict is Verdict.MISSING
    assert found.wanted == item | {OTHER: {"M": {}}} | text(**{STAMP: FLOOR})
    assert found.annotation == {}
    assert not found.left
    assert found.problem is not None
    assert found.problem.reason is Reason.ORPHAN


def test_a_carried_orphan_matches_from_either_side() -> None:
    """And it is still known as an orphan when new leads."""
    item, answers = orphan()
    stored = item | {OTHER: {"M": {}}} | text(**{STAMP: stamp(1)})
    for leader in Side:
        found = compared(CARDS, leader, stored, stored, answers)
        assert (found.verdict, found.annotation, found.left) == (Verdict.MATCH, None, False)
        assert found.problem is not None
        assert found.problem.reason is Reason.ORPHAN


def test_an_orphan_whose_parent_came_is_derived() -> None:
    """An empty map on old is no last word."""
    item, answers = orphan()
    stored = item | {OTHER: {"M": {}}} | text(**{STAMP: stamp(1)})
    known: dict[Question, str | Missing] = dict.fromkeys(answers, "acme-prod")
    found = compared(CARDS, Side.OLD, stored, stored, known)
    assert (found.verdict, found.annotation) == (Verdict.DIFFERENT, DERIVED)


def test_new_says_of_old_only_what_old_said() -> None:
    """A row whose tenant came from its parent has no source on old, nor after the flip."""
    card = text(board_id="b1", card_id="c1") | text(**{STAMP: stamp(1)})
    on_old = card | {OTHER: {"M": DERIVED}}
    on_new = card | DERIVED | {OTHER: {"M": {}}}
    found = compared(CARDS, Side.NEW, on_new, on_old)
    assert found.is_clean
    assert found.wanted == on_old


def test_a_null_source_is_kept_on_old() -> None:
    """Absent and NULL are two things, and both come back as they were."""
    card = text(board_id="b1", card_id="c1") | {"endpoint_id": {"NULL": True}}
    question = transformed(CARDS, card, Side.OLD)
    assert isinstance(question, Question)
    made = transformed(CARDS, card, Side.OLD, {question: "acme-prod"})
    assert isinstance(made, Row)
    on_old, on_new = (made.stamped(stamp(1)).stored(side) for side in Side)
    assert compared(CARDS, Side.NEW, on_new, on_old).is_clean
    assert compared(CARDS, Side.OLD, on_old, on_new).is_clean


def test_a_parent_is_asked_for_before_anything_is_decided() -> None:
    """No verdict is given on half the knowledge."""
    item, _ = orphan()
    assert isinstance(compare(CARDS, Side.OLD, item, None), Question)
    assert isinstance(compare(CARDS, Side.NEW, None, item), Question)


# -- in place ---------------------------------------------------------------------------------


def in_place(item: Item | None, answer: str | Missing = "acme-prod") -> Comparison:
    found = compare_in_place(VOTES, item)
    if isinstance(found, Question):
        found = compare_in_place(VOTES, item, {found: answer})
    assert isinstance(found, Comparison)
    return found


VOTE = text(card_id="c1", vote_id="v1", board_id="b1")


def test_in_place_attributes_are_there_and_right() -> None:
    """With all of them it matches; without, or with others, the cure is named."""
    whole = VOTE | DERIVED
    assert in_place(whole).is_clean
    assert in_place(None).is_clean
    lacking = in_place(VOTE | text(part_id="acme"))
    assert (lacking.verdict, lacking.wanted) == (Verdict.MISSING, whole)
    wrong = in_place(whole | text(part_id="birch"))
    assert (wrong.verdict, wrong.wanted) == (Verdict.DIFFERENT, whole)


def test_an_in_place_row_that_cannot_be_derived_is_as_it_should_be() -> None:
    """An orphan is reported and left alone, and so is a row with no room for the attributes."""
    alone = in_place(VOTE, Missing.ABSENT)
    assert (alone.verdict, alone.left) == (Verdict.MATCH, False)
    assert alone.problem is not None
    assert alone.problem.reason is Reason.ORPHAN
    full = in_place(VOTE | {"title": BIG})
    assert (full.verdict, full.left) == (Verdict.MATCH, True)
    assert full.problem is not None
    assert full.problem.reason is Reason.OVERSIZE
