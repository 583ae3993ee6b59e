"""Reads: sent again where that may help, waited for where capacity lacks, and never taken for
absence when they fail."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dualwrite.core.errors import EngineError, OutcomeUnknown, Refused, Unreachable
from dualwrite.core.items import key_token
from tests.fakes.clock import VirtualClock
from tests.fakes.verifying import boards, text
from verifier.reading import TRIES_MAX, TableReader
from verifier.throttling import PAUSE_SECONDS_MAX

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


class NotWanted(Exception):
    """Nobody waits any more."""


def for_an_hour(clock: VirtualClock) -> Callable[[], None]:
    def wanted() -> None:
        if clock.monotonic_seconds() > 3600:
            raise NotWanted

    return wanted


def get(engine: Engine) -> dict[str, Any]:
    clock = VirtualClock()

    async def go() -> dict[str, Any]:
        reader = TableReader(engine, clock, calls_max=2)
        return await clock.drive(reader.get(SIDE, KEYS, wanted=for_an_hour(clock)), 7200)

    return asyncio.run(go())


def test_unprocessed_keys_are_asked_for_again() -> None:
    """What the engine left out of an answer is not absent."""
    engine = Engine(one_at_a_time)
    assert get(engine).keys() == {key_token(key, SIDE.keys) for key in KEYS}
    assert engine.calls == len(KEYS)


def later(request: Mapping[str, Any]) -> dict[str, Any]:
    raise Refused("ProvisionedThroughputExceededException", "later", 400, {})


def nothing(request: Mapping[str, Any]) -> dict[str, Any]:
    return {"UnprocessedKeys": request["RequestItems"]}


@pytest.mark.parametrize("answer", [later, nothing])
def test_capacity_is_waited_for_as_long_as_it_is_wanted(answer: Answer) -> None:
    """An engine that refuses, or leaves over all keys of a batch, is asked ever more rarely: a few
    hundred times in an hour. The end of the wait is no absence."""
    engine = Engine(answer)
    with pytest.raises(NotWanted):
        get(engine)
    assert 3600 / PAUSE_SECONDS_MAX <= engine.calls < 3600 / PAUSE_SECONDS_MAX + 10


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("no connection"),
        OutcomeUnknown("no answer"),
        Refused("LimitExceededException", "later", 400, {}),
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
            *(
                reader.page(SIDE, segment=n, segments=20, start=None, wanted=lambda: None)
                for n in range(20)
            )
        )

    asyncio.run(go())
    assert engine.calls == 20
    assert engine.at_once_max == 3
