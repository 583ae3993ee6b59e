"""Reads: bounded, sent again where that may help, and never taken for absence when they fail."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dualwrite.core.errors import EngineError, OutcomeUnknown, Refused, Unreachable
from dualwrite.core.items import key_token
from tests.fakes.clock import VirtualClock
from tests.fakes.verifying import boards, text
from verifier.reading import ROUNDS_MAX, TRIES_MAX, TableReader

SIDE = boards().old
KEYS = [text(endpoint_id="acme-prod", board_id=f"b{n}") for n in range(5)]
Answer = Callable[[Mapping[str, Any]], dict[str, Any]]


class Engine:
    """A ``Dynamo`` that answers as told and counts."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.calls = 0
        self.at_once = 0
        self.at_once_max = 0

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.calls += 1
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return self.answer(request)


def one_at_a_time(request: Mapping[str, Any]) -> dict[str, Any]:
    """Answers one key and leaves the others."""
    keys = request["RequestItems"][SIDE.name]["Keys"]
    answer: dict[str, Any] = {"Responses": {SIDE.name: keys[:1]}}
    if keys[1:]:
        answer["UnprocessedKeys"] = {SIDE.name: {"Keys": keys[1:]}}
    return answer


def get(engine: Engine) -> dict[str, Any]:
    clock = VirtualClock()

    async def go() -> dict[str, Any]:
        return await clock.drive(TableReader(engine, clock, calls_max=2).get(SIDE, KEYS))

    return asyncio.run(go())


def test_unprocessed_keys_are_asked_for_again() -> None:
    """What the engine left out of an answer is not absent."""
    engine = Engine(one_at_a_time)
    assert get(engine).keys() == {key_token(key, SIDE.keys) for key in KEYS}
    assert engine.calls == len(KEYS)


def test_keys_that_are_never_processed_are_an_error() -> None:
    """The rounds are bounded, and their end is no absence."""

    def nothing(request: Mapping[str, Any]) -> dict[str, Any]:
        return {"UnprocessedKeys": request["RequestItems"]}

    engine = Engine(nothing)
    with pytest.raises(EngineError):
        get(engine)
    assert engine.calls == ROUNDS_MAX


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("no connection"),
        OutcomeUnknown("no answer"),
        Refused("ThrottlingException", "later", 400, {}),
    ],
)
def test_a_read_is_sent_again_but_not_for_ever(error: EngineError) -> None:
    """A read changes nothing, so it may be repeated whatever became of it."""

    def fail(request: Mapping[str, Any]) -> dict[str, Any]:
        raise error

    engine = Engine(fail)
    with pytest.raises(type(error)):
        get(engine)
    assert engine.calls == TRIES_MAX


def test_a_refusal_for_good_is_not_sent_again() -> None:
    """What is denied stays denied."""

    def deny(request: Mapping[str, Any]) -> dict[str, Any]:
        raise Refused("AccessDeniedException", "no", 400, {})

    engine = Engine(deny)
    with pytest.raises(Refused):
        get(engine)
    assert engine.calls == 1


def test_reads_in_flight_are_bounded() -> None:
    """However many ask, no more than so many are sent at once."""
    engine = Engine(lambda request: {"Items": []})

    async def go() -> None:
        reader = TableReader(engine, VirtualClock(), calls_max=3)
        await asyncio.gather(
            *(reader.page(SIDE, segment=n, segments=20, start=None) for n in range(20))
        )

    asyncio.run(go())
    assert engine.calls == 20
    assert engine.at_once_max == 3
