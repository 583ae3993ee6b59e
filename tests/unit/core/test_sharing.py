"""Which side serves a read, and how its pages stay there."""

import pytest

from dualwrite.core.errors import ValidationError
from dualwrite.core.items import PAGE
from dualwrite.core.phases import Phase, Side, TableState
from dualwrite.core.sharing import PageKey, marked, pinned, read_side
from tests.proxy_harness import a_migration

TABLES = a_migration("s-").by_name


def side_of(share: int, partition: str, phase: Phase = Phase.MIRROR_OLD, **more: bool) -> Side:
    state = TableState("notes", 1, phase, share)
    consistent = more.get("consistent", False)
    return read_side(TABLES["notes"], state, consistent=consistent, partition=partition)


def test_raising_the_share_only_moves_partitions_from_old_to_new() -> None:
    """A partition that new serves at some share is served by new at every higher one."""
    for number in range(200):
        sides = [side_of(share, f"tenant-{number}") for share in range(101)]
        assert sides[0] is Side.OLD
        assert sides[100] is Side.NEW
        assert sides == sorted(sides, key=[Side.OLD, Side.NEW].index)


def test_the_share_is_kept() -> None:
    """About as many partitions are served by new as the share says."""
    new = sum(side_of(25, f"tenant-{number}") is Side.NEW for number in range(4000))
    assert 800 < new < 1200


def test_consistent_reads_go_to_the_leader() -> None:
    """Whatever the share: only the leader knows the newest write in mirror mode."""
    assert side_of(100, "t", consistent=True) is Side.OLD
    assert side_of(0, "t", Phase.MIRROR_NEW, consistent=True) is Side.NEW


def test_the_ends_of_the_square_have_one_side() -> None:
    """Before the migration all is old, after it all is new."""
    assert side_of(100, "t", Phase.OFF) is Side.OLD
    assert side_of(0, "t", Phase.DONE) is Side.NEW


def test_a_page_key_pins_the_next_page_to_its_side() -> None:
    """Only a page key of the other side is marked; one of the client's own looks like any other."""
    key = {"k": {"S": "v"}}
    assert marked(key, Side.OLD, Side.OLD) == key
    for translated in (True, False):
        given = marked(key, Side.NEW, Side.OLD, translated=translated)
        assert pinned(given, Side.OLD) == PageKey(key, Side.NEW, translated)
    assert pinned(key, Side.OLD) == PageKey(key, Side.OLD, True)


@pytest.mark.parametrize("mark", ["x", {"S": "x"}, {"N": "1"}, {}])
def test_a_mark_of_nobody_is_refused(mark: object) -> None:
    """A page key that no page gave is the client's mistake."""
    with pytest.raises(ValidationError):
        pinned({"k": {"S": "v"}, PAGE: mark}, Side.OLD)  # type: ignore[dict-item]
