"""What is asked at a start is asked a few times, and not for ever."""

import asyncio

import pytest

from dualwrite.core.errors import EngineError, Refused, Unanswered, Unreachable
from dualwrite.starting import TRIES_MAX, tried
from tests.fakes.clock import VirtualClock

THROTTLED = Refused("ThrottlingException", "", 400, {})
ABSENT = Refused("ResourceNotFoundException", "", 400, {})


def ask(*faults: EngineError) -> tuple[str | None, int]:
    """What comes of a question that goes wrong in these ways first, and how often it was put."""
    left, asked = list(faults), 0

    async def question() -> str:
        nonlocal asked
        asked += 1
        if left:
            raise left.pop(0)
        return "answer"

    async def go() -> str | None:
        clock = VirtualClock()
        try:
            return await clock.drive(tried(clock, question))
        except EngineError:
            return None

    return asyncio.run(go()), asked


@pytest.mark.parametrize("fault", [Unanswered("lost"), Unreachable("gone"), THROTTLED])
def test_what_may_pass_is_asked_again_within_a_bound(fault: EngineError) -> None:
    """Up to the last try an answer is an answer; then the fault is the caller's."""
    assert ask(*[fault] * (TRIES_MAX - 1)) == ("answer", TRIES_MAX)
    assert ask(*[fault] * TRIES_MAX) == (None, TRIES_MAX)


def test_what_is_refused_for_good_is_asked_once() -> None:
    """A table that is not there does not come by asking."""
    assert ask(ABSENT) == (None, 1)
