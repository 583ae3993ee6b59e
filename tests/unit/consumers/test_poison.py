"""Which keys are listed as poison, as one process knows it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from consumers.poison import PAGES_MAX, Poison
from dualwrite.adapters.repair_queue import Repairs
from dualwrite.core.dirty_keys import DirtyKey
from dualwrite.core.errors import Unreachable
from dualwrite.core.phases import Side
from dualwrite.core.records import POISON
from tests.fakes.clock import VirtualClock
from tests.fakes.records import Fault, MemoryRecords

KEY = DirtyKey(Side.OLD, "k")
PAGE = 3


def key(number: int) -> DirtyKey:
    return DirtyKey(Side.OLD, f"k{number}")


class Scene:
    def __init__(self) -> None:
        self.records = MemoryRecords(page_records=PAGE)
        self.repairs = Repairs(self.records, VirtualClock())
        self.poison = Poison(self.repairs)

    async def elsewhere(self, *keys: DirtyKey) -> None:
        """Another process lists keys."""
        for dirty in keys:
            await self.repairs.poison("t", dirty.side, dirty.token, "orphan")

    def pages(self) -> int:
        return sum(operation == "page" for operation, _, _ in self.records.calls)

    def writes(self) -> int:
        return sum(operation == "write" for operation, _, _ in self.records.calls)

    def known(self, amount: int) -> set[int]:
        return {number for number in range(amount) if self.poison.lists("t", key(number))}


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_what_is_listed_costs_no_second_write() -> None:
    """Hot rows that cannot be derived are judged at each of their records."""

    async def go() -> None:
        scene = Scene()
        await scene.poison.add("t", KEY, "orphan")
        for _ in range(3):
            await scene.poison.add("t", KEY, "orphan")
            await scene.poison.look()
        assert scene.writes() == 1
        assert scene.poison.lists("t", KEY)
        assert not scene.poison.lists("u", KEY)

    run(go())


def test_a_key_that_another_took_off_is_listed_again() -> None:
    """Whatever this process believes: what cannot be made equal must stand on the list."""

    async def go() -> None:
        scene = Scene()
        await scene.poison.add("t", KEY, "orphan")
        await scene.repairs.absolve("t", KEY.side, KEY.token)
        await scene.poison.add("t", KEY, "orphan")
        assert scene.records.seen(POISON)

    run(go())


def test_a_key_that_became_clean_leaves_the_list() -> None:
    """Whoever put it there."""

    async def go() -> None:
        scene = Scene()
        await scene.elsewhere(KEY)
        await scene.poison.look()
        await scene.poison.clear("t", KEY)
        assert not scene.records.seen(POISON)
        assert not scene.poison.lists("t", KEY)
        await scene.elsewhere(KEY)
        await scene.poison.clear("t", KEY)
        assert scene.records.seen(POISON)
        await scene.poison.clear("t", KEY, ask=True)
        assert not scene.records.seen(POISON)

    run(go())


def test_an_older_answer_does_not_hide_what_was_listed_meanwhile() -> None:
    """The list may have been read before the entry was written."""

    async def go() -> None:
        scene = Scene()
        inner = scene.records.page

        async def late(*arguments: Any) -> Any:
            answer = await inner(*arguments)
            await scene.poison.add("t", KEY, "orphan")
            return answer

        scene.records.page = late  # type: ignore[method-assign]
        await scene.poison.look()
        assert scene.poison.lists("t", KEY)

    run(go())


def test_a_look_costs_the_same_however_long_the_list() -> None:
    """Only the first one reads it whole; later ones go on where the one before stopped, and what
    has come and gone elsewhere is known after a round of them."""

    async def go() -> None:
        scene, amount = Scene(), 4 * PAGES_MAX * PAGE
        await scene.elsewhere(*map(key, range(amount)))
        await scene.poison.look()
        assert scene.known(amount) == set(range(amount))
        await scene.elsewhere(*map(key, range(amount, amount + 5)))
        for number in range(5):
            await scene.repairs.absolve("t", Side.OLD, key(number).token)
        costs = []
        while scene.known(amount + 5) != set(range(5, amount + 5)):
            before = scene.pages()
            await scene.poison.look()
            costs.append(scene.pages() - before)
        assert max(costs) == PAGES_MAX
        assert 1 < len(costs) <= 5

    run(go())


def test_a_list_that_did_not_answer_is_read_on() -> None:
    """What was read before is not read again for it."""

    async def go() -> None:
        scene, amount = Scene(), 3 * PAGE
        await scene.elsewhere(*map(key, range(amount)))
        faults: list[Fault | None] = [Fault.UNREACHABLE, None]

        async def hook(operation: str, kind: str, name: str) -> Fault | None:
            return faults.pop() if operation == "page" and faults else None

        scene.records.hook = hook
        with pytest.raises(Unreachable):
            await scene.poison.look()
        assert len(scene.known(amount)) == PAGE
        await scene.poison.look()
        assert scene.known(amount) == set(range(amount))
        assert scene.pages() == 4

    run(go())


def test_keys_are_counted_by_table() -> None:
    """Also where one table's name begins with another's."""

    async def go() -> None:
        scene = Scene()
        for table in ("t", "t", "t-2", "t0", "s"):
            number = len(scene.records.seen(POISON))
            await scene.poison.add(table, key(number), "orphan")
        assert [scene.poison.count(table) for table in ("t", "t-2", "t0", "s", "u")] == [
            2, 1, 1, 1, 0
        ]  # fmt: skip

    run(go())
