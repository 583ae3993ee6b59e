"""Which keys are listed as poison, as one process knows it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from consumers.keys import DirtyKey
from consumers.poison import Poison
from dualwrite.adapters.repair_queue import Repairs
from dualwrite.core.phases import Side
from dualwrite.core.records import REPAIR
from tests.fakes.clock import VirtualClock
from tests.fakes.records import MemoryRecords

KEY = DirtyKey(Side.OLD, "k")


class Scene:
    def __init__(self) -> None:
        self.records = MemoryRecords()
        self.repairs = Repairs(self.records, VirtualClock())
        self.poison = Poison(self.repairs)

    async def list(self) -> None:
        self.poison.asking()
        self.poison.refresh(await self.repairs.waiting())


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_what_is_listed_costs_no_second_write() -> None:
    """Hot rows that cannot be derived are judged at each of their records."""

    async def go() -> None:
        scene = Scene()
        await scene.poison.add("t", KEY, "orphan")
        calls = len(scene.records.calls)
        await scene.poison.add("t", KEY, "orphan")
        assert len(scene.records.calls) == calls
        await scene.list()
        calls = len(scene.records.calls)
        await scene.poison.add("t", KEY, "orphan")
        assert len(scene.records.calls) == calls
        assert scene.poison.lists("t", KEY)
        assert not scene.poison.lists("u", KEY)

    run(go())


def test_a_key_that_became_clean_leaves_the_list() -> None:
    """Whoever put it there."""

    async def go() -> None:
        scene = Scene()
        await scene.repairs.poison("t", KEY.side, KEY.token, "orphan")
        await scene.list()
        await scene.poison.clear("t", KEY)
        assert not scene.records.seen(REPAIR)
        await scene.repairs.poison("t", KEY.side, KEY.token, "orphan")
        await scene.poison.clear("t", KEY)
        assert scene.records.seen(REPAIR)
        await scene.poison.clear("t", KEY, ask=True)
        assert not scene.records.seen(REPAIR)

    run(go())


def test_an_older_answer_does_not_hide_what_was_listed_meanwhile() -> None:
    """The queue may have been read before the entry was written."""

    async def go() -> None:
        scene = Scene()
        scene.poison.asking()
        older = await scene.repairs.waiting()
        await scene.poison.add("t", KEY, "orphan")
        scene.poison.refresh(older)
        assert scene.poison.lists("t", KEY)

    run(go())
