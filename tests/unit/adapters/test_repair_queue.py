"""The repair queue: durable, one entry a key, fenced by versions."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from dualwrite.adapters.repair_queue import Repairs, repair_name
from dualwrite.core.errors import EngineError
from dualwrite.core.phases import Side
from dualwrite.core.records import REPAIR
from tests.fakes.clock import VirtualClock
from tests.fakes.records import Fault, MemoryRecords


class Scene:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.records = MemoryRecords()
        self.repairs = Repairs(self.records, self.clock)

    async def put(self, reason: str = "failed") -> None:
        await self.repairs.put("t", Side.OLD, "k", reason)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_putting_a_key_twice_keeps_one_entry_and_its_age() -> None:
    """It is due at once again, and as old as its first trouble."""

    async def go() -> None:
        scene = Scene()
        await scene.put()
        [entry] = await scene.repairs.waiting()
        await scene.repairs.retry_later(entry, 60.0)
        assert await scene.repairs.due() == ()
        await scene.clock.advance(5.0)
        await scene.put("unknown")
        [again] = await scene.repairs.due()
        assert again.repair.first_ms == entry.repair.first_ms
        assert again.repair.next_ms == scene.clock.wall_ms()
        assert again.repair.attempts == 1
        assert again.repair.reason == "unknown"

    run(go())


def test_a_key_put_again_while_it_is_repaired_stays() -> None:
    """What a worker did for the older trouble does not forget the newer one."""

    async def go() -> None:
        scene = Scene()
        await scene.put()
        [entry] = await scene.repairs.due()
        await scene.put()
        await scene.repairs.done(entry)
        [kept] = await scene.repairs.due()
        await scene.repairs.retry_later(entry, 60.0)
        assert await scene.repairs.due() == (kept,)
        await scene.repairs.done(kept)
        assert await scene.repairs.list() == ()

    run(go())


def test_poison_is_listed_and_never_due() -> None:
    """And costs a write only when something new is to be said."""

    async def go() -> None:
        scene = Scene()
        await scene.repairs.poison("t", Side.OLD, "k", "orphan")
        [listed] = await scene.repairs.list("t")
        assert listed.poison
        assert await scene.repairs.due() == ()
        version = scene.records.seen(REPAIR)[0].version
        await scene.repairs.poison("t", Side.OLD, "k", "orphan")
        assert scene.records.seen(REPAIR)[0].version == version
        await scene.repairs.poison("t", Side.OLD, "k", "oversize")
        assert (await scene.repairs.list("t"))[0].reason == "oversize"
        assert await scene.repairs.list("u") == ()

    run(go())


def test_a_poisoned_key_that_is_written_again_is_tried_again() -> None:
    """The judgement was about what it was before."""

    async def go() -> None:
        scene = Scene()
        await scene.repairs.poison("t", Side.OLD, "k", "orphan")
        await scene.put()
        assert len(await scene.repairs.due()) == 1

    run(go())


def test_absolving_forgets_poison_only() -> None:
    """A waiting repair is not lost because its key once was poison."""

    async def go() -> None:
        scene = Scene()
        await scene.put()
        await scene.repairs.absolve("t", Side.OLD, "k")
        assert len(await scene.repairs.list()) == 1
        await scene.repairs.poison("t", Side.OLD, "k", "orphan")
        await scene.repairs.absolve("t", Side.OLD, "k")
        assert await scene.repairs.list() == ()

    run(go())


@pytest.mark.parametrize("fault", list(Fault))
def test_a_put_that_returned_is_durable(fault: Fault) -> None:
    """A hiccup of the engine is overcome; whatever happened to the first try."""

    async def go() -> None:
        scene = Scene()
        left = [fault]

        async def hook(operation: str, kind: str, name: str) -> Fault | None:
            return left.pop() if left else None

        scene.records.hook = hook
        await scene.clock.drive(scene.put())
        assert len(scene.records.seen(REPAIR)) == 1

    run(go())


def test_a_put_that_failed_says_so() -> None:
    """Bounded tries, then EngineError."""

    async def go() -> None:
        scene = Scene()

        async def hook(operation: str, kind: str, name: str) -> Fault | None:
            return Fault.UNREACHABLE

        scene.records.hook = hook
        with pytest.raises(EngineError):
            await scene.clock.drive(scene.put())

    run(go())


def test_names_are_bounded_and_tell_the_sides_apart() -> None:
    """Keys may be 2 KB long, and one text may be a key of either side."""
    long = "k" * 3000
    assert len(repair_name("t", Side.OLD, long)) < 64
    assert repair_name("t", Side.OLD, long) != repair_name("t", Side.NEW, long)
