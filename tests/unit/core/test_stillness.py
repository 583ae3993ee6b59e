"""Records that move are told from those that stand still by the observer's clock."""

import asyncio

from dualwrite.core.ports import Record
from dualwrite.core.stillness import Stillness
from tests.fakes.clock import VirtualClock


def record(name: str, version: int) -> Record:
    return Record("member", name, version, {})


def test_stillness_is_measured_from_the_last_change_seen() -> None:
    """A record that is seen for the first time may have stood still for long: its age is not known
    before it moves. One that is gone is forgotten."""
    clock = VirtualClock()
    stillness = Stillness(clock)

    async def go() -> None:
        stillness.observe([record("a", 1), record("b", 1)])
        await clock.advance(3.0)
        assert (stillness.seconds("a"), stillness.age_seconds("a")) == (3.0, None)
        stillness.observe([record("a", 2), record("b", 1)])
        await clock.advance(2.0)
        assert (stillness.seconds("a"), stillness.age_seconds("a")) == (2.0, 2.0)
        assert (stillness.seconds("b"), stillness.age_seconds("b")) == (5.0, None)
        stillness.observe([record("b", 1)])
        assert (stillness.seconds("a"), stillness.age_seconds("a")) == (0.0, None)
        assert stillness.seconds("b") == 5.0
        assert stillness.age_seconds("never") is None

    asyncio.run(go())
