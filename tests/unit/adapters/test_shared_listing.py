"""One look serves all who asked before it began, and nobody who asked later."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from dualwrite.adapters.shared_listing import APART_SECONDS, SharedListing
from dualwrite.core.errors import Unreachable
from dualwrite.core.ports import Record
from tests.fakes.clock import VirtualClock
from tests.fakes.records import Fault, MemoryRecords

LOOK_SECONDS = 0.01


class Scene:
    """A list whose every look takes a while; what it shows was true at its start."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.faults: list[Fault] = []
        self.records = MemoryRecords(self._hook)
        self.listing = SharedListing(self.records, self.clock, "work", "lane/")
        self.looks = 0
        self.looking = 0

    async def _hook(self, operation: str, kind: str, name: str) -> Fault | None:
        assert (operation, kind, name) == ("list", "work", "lane/")
        self.looks += 1
        self.looking += 1
        assert self.looking == 1, "two looks at once"
        await self.clock.sleep(LOOK_SECONDS)
        self.looking -= 1
        return self.faults.pop() if self.faults else None

    def put(self, name: str) -> None:
        self.records.put("work", f"lane/{name}", {})

    def ask(self) -> "asyncio.Task[tuple[Record, ...]]":
        return asyncio.create_task(self.listing.look())


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_who_asks_during_a_look_gets_the_next_one_together() -> None:
    """Ten askers cost two looks, and each sees what stood there when he asked."""

    async def go() -> None:
        scene = Scene()
        scene.put("a")
        first = scene.ask()
        await scene.clock.advance(LOOK_SECONDS / 2)
        others = [scene.ask() for _ in range(9)]
        await scene.clock.advance(LOOK_SECONDS)
        scene.put("b")
        await scene.clock.advance(1.0)
        assert [record.name for record in first.result()] == ["lane/a"]
        for other in others:
            assert [record.name for record in other.result()] == ["lane/a", "lane/b"]
        assert scene.looks == 2

    run(go())


def test_looks_keep_apart() -> None:
    """However often one asks, there are so many looks a second and no more."""

    async def go() -> None:
        scene = Scene()

        async def keep_asking() -> None:
            while True:
                await scene.listing.look()

        asking = [asyncio.create_task(keep_asking()) for _ in range(5)]
        await scene.clock.advance(1.0)
        assert scene.looks <= 1.0 / APART_SECONDS + 1
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    run(go())


def test_a_look_that_failed_answers_nobody_else() -> None:
    """Its own asker hears of it; the others get a look of their own, and no old answer."""

    async def go() -> None:
        scene = Scene()
        scene.put("a")
        seen = scene.ask()
        await scene.clock.advance(1.0)
        assert len(seen.result()) == 1
        scene.put("b")
        scene.faults = [Fault.UNREACHABLE]
        failing, following = scene.ask(), scene.ask()
        await scene.clock.advance(1.0)
        with pytest.raises(Unreachable):
            failing.result()
        assert len(following.result()) == 2

    run(go())
