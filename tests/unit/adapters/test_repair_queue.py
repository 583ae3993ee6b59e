"""The repair queue: durable, one entry a key, fenced by versions."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from dualwrite.adapters.repair_queue import Repairs
from dualwrite.core.errors import EngineError
from dualwrite.core.phases import Side
from dualwrite.core.ports import WaitingRepair
from dualwrite.core.records import POISON, REPAIR, Repair, load, repair_name
from tests.fakes.clock import VirtualClock
from tests.fakes.records import Fault, MemoryRecords


class Scene:
    def __init__(self, page_records: int = 200) -> None:
        self.clock = VirtualClock()
        self.records = MemoryRecords(page_records=page_records)
        self.repairs = Repairs(self.records, self.clock)

    async def put(self, reason: str = "failed") -> None:
        await self.repairs.put("t", Side.OLD, "k", reason)

    async def poison(self, reason: str) -> None:
        await self.repairs.poison("t", Side.OLD, "k", reason)

    async def waiting(self) -> tuple[WaitingRepair, ...]:
        return (await self.repairs.waiting()).entries

    def listed(self) -> list[Repair]:
        return [load(Repair, record.value) for record in self.records.seen(POISON)]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_putting_a_key_twice_keeps_one_entry_and_its_age() -> None:
    """It is due at once again, and as old as its first trouble."""

    async def go() -> None:
        scene = Scene()
        await scene.put()
        [entry] = await scene.waiting()
        await scene.repairs.retry_later(entry, 60.0)
        [later] = await scene.waiting()
        assert later.repair.next_ms == scene.clock.wall_ms() + 60_000
        await scene.clock.advance(5.0)
        await scene.put("unknown")
        [again] = await scene.waiting()
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
        [entry] = await scene.waiting()
        await scene.put()
        await scene.repairs.done(entry)
        [kept] = await scene.waiting()
        await scene.repairs.retry_later(entry, 60.0)
        assert await scene.waiting() == (kept,)
        await scene.repairs.done(kept)
        assert await scene.waiting() == ()

    run(go())


def test_poison_is_listed_and_never_waits() -> None:
    """And costs a write only when something new is to be said."""

    async def go() -> None:
        scene = Scene()
        await scene.poison("orphan")
        [listed] = scene.listed()
        assert (await scene.repairs.poisoned()).entries == (repair_name("t", Side.OLD, "k"),)
        assert await scene.waiting() == ()
        version = scene.records.seen(POISON)[0].version
        await scene.clock.advance(5.0)
        await scene.poison("orphan")
        assert scene.records.seen(POISON)[0].version == version
        await scene.poison("oversize")
        [changed] = scene.listed()
        assert (changed.reason, changed.first_ms) == ("oversize", listed.first_ms)

    run(go())


def test_a_poisoned_key_that_is_written_again_is_tried_again() -> None:
    """The judgement was about what it was before; it holds until there is a new one."""

    async def go() -> None:
        scene = Scene()
        await scene.poison("orphan")
        await scene.put()
        assert len(await scene.waiting()) == 1
        assert len(scene.listed()) == 1

    run(go())


def test_absolving_forgets_poison_only() -> None:
    """A waiting repair is not lost because its key once was poison."""

    async def go() -> None:
        scene = Scene()
        await scene.put()
        await scene.repairs.absolve("t", Side.OLD, "k")
        await scene.poison("orphan")
        await scene.repairs.absolve("t", Side.OLD, "k")
        assert scene.listed() == []
        assert len(await scene.waiting()) == 1

    run(go())


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_a_long_queue_is_read_part_by_part(length: int) -> None:
    """Each part says behind which name the next one begins."""

    async def go() -> None:
        scene = Scene(page_records=2)
        for number in range(length):
            await scene.repairs.put("t", Side.OLD, f"k{number}", "failed")
            await scene.repairs.poison("t", Side.OLD, f"k{number}", "orphan")
        names, poison, after = [], [], ""
        for _ in range(max(1, (length + 1) // 2)):
            page, listed = await scene.repairs.waiting(after), await scene.repairs.poisoned(after)
            names += [entry.name for entry in page.entries]
            poison += listed.entries
            assert page.next == listed.next
            after = page.next
        assert after == ""
        assert names == poison == sorted(names)
        assert len(set(names)) == length

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
        left = [fault]
        await scene.clock.drive(scene.poison("orphan"))
        assert len(scene.records.seen(REPAIR)) == len(scene.records.seen(POISON)) == 1

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
