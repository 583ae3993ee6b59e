"""One name for a key, whichever side's words it came in."""

from dualwrite.core.dirty_keys import DirtyKey, dirty_key, places
from dualwrite.core.phases import Side
from tests.fakes.verifying import migration, text, token

BOARDS = migration().tables[0]
OLD = text(endpoint_id="acme-prod", board_id="b1")
NEW = text(partition_key="aws-1#acme", board_id="b1")


def test_a_key_has_its_old_name_where_it_has_one() -> None:
    """So that streams, backfill and sweep call one key by one name."""
    named = DirtyKey(Side.OLD, token(BOARDS, Side.OLD, endpoint_id="acme-prod", board_id="b1"))
    assert dirty_key(BOARDS, OLD | text(title="t"), Side.OLD) == named
    assert dirty_key(BOARDS, NEW, Side.NEW) == named
    assert places(BOARDS, named) == {Side.OLD: OLD, Side.NEW: NEW}
    stray = dirty_key(BOARDS, text(partition_key="nobody#knows", board_id="b1"), Side.NEW)
    assert stray.side is Side.NEW
    assert places(BOARDS, stray)[Side.OLD] is None
