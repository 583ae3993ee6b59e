"""What a token is bound to, and for how long."""

import pytest

from dualwrite.core.client_tokens import (
    REMEMBERED_SECONDS,
    Claim,
    Standing,
    begun_under,
    claim_of,
)
from dualwrite.core.errors import ValidationError
from dualwrite.core.phases import TableState

PUT = {"Put": {"TableName": "t", "Item": {"a": {"S": "x"}, "b": {"N": "1"}}}}
NOW_MS = 1_700_000_000_999


def claim(request: object = PUT, token: str = "token") -> Claim:
    found = claim_of(token, request)
    assert found is not None
    return found


def test_no_token_claims_nothing() -> None:
    """A request without a token is never a repetition."""
    assert claim_of(None, PUT) is None


@pytest.mark.parametrize("token", ["", "x" * 37])
def test_a_token_has_1_to_36_characters(token: str) -> None:
    """Others are refused before anything is sent."""
    with pytest.raises(ValidationError, match="clientRequestToken"):
        claim_of(token, PUT)


def test_the_order_of_members_does_not_count_and_contents_do() -> None:
    """A client may write its JSON as it likes, but not another request."""
    turned = {"Put": {"Item": {"b": {"N": "1"}, "a": {"S": "x"}}, "TableName": "t"}}
    other = {"Put": {"TableName": "t", "Item": {"a": {"S": "x"}, "b": {"N": "1.0"}}}}
    assert claim(turned) == claim()
    assert claim(other).request != claim().request
    assert claim(other).key() == claim().key()


def test_a_record_binds_for_ten_minutes() -> None:
    """It tells the same request from another one, and nothing once it is over."""
    record = claim().put("control", NOW_MS, ())["Item"]
    last = NOW_MS + (REMEMBERED_SECONDS - 1) * 1000
    assert claim().judge(record, last) is Standing.SAME
    assert claim({}).judge(record, last) is Standing.OTHER
    assert claim({}).judge(record, last + 1000) is Standing.FREE
    assert claim().judge(None, NOW_MS) is Standing.FREE


def test_tokens_do_not_share_a_partition_and_keep_no_contents() -> None:
    """Nothing of the client's stands in the record."""
    put = claim().put("control", NOW_MS, ())
    assert claim(token="a").key()["pk"] != claim(token="b").key()["pk"]
    assert "token" not in put["Item"]["pk"]["S"].removeprefix("token#")


def test_a_record_tells_under_which_epochs_its_request_was_begun() -> None:
    """So that who finds it can judge whether it came in time; an old record tells none."""
    states = [TableState("tasks", epoch=3), TableState("notes", epoch=0)]
    record = claim().put("control", NOW_MS, states)["Item"]
    assert begun_under(record) == {"tasks": 3, "notes": 0}
    assert begun_under({"request": {"S": "x"}}) == {}
