"""Single rows that are wanted at the same moment are read in one call, each asker for itself."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest

from dualwrite.adapters.rows import BATCH_KEYS_MAX, Rows
from dualwrite.core.errors import Unreachable
from dualwrite.core.items import Item, Key, KeyAttribute, KeySchema
from dualwrite.core.spec import TableSide

SIDE = TableSide("rows", KeySchema(KeyAttribute("k")))


def key(number: int) -> Key:
    return {"k": {"S": f"k{number}"}}


class Engine:
    """Has the even keys, and leaves what it is told unprocessed."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.left = 0
        self.broken = False

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        if operation == "GetItem":
            self.calls.append((operation, 1))
            found = self._items([request["Key"]])
            return {"Item": found[0]} if found else {}
        keys = request["RequestItems"]["rows"]["Keys"]
        self.calls.append((operation, len(keys)))
        if self.broken:
            raise Unreachable("away")
        answer: dict[str, Any] = {"Responses": {"rows": self._items(keys[self.left :])}}
        if self.left:
            answer["UnprocessedKeys"] = {"rows": {"Keys": keys[: self.left]}}
        return answer

    def _items(self, keys: list[Key]) -> list[Item]:
        return [one | {"v": {"N": "1"}} for one in keys if int(one["k"]["S"][1:]) % 2 == 0]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_one_alone_is_one_call() -> None:
    """A row is found, or is known not to be there."""

    async def go() -> None:
        engine = Engine()
        rows = Rows(engine)
        assert await rows.get(SIDE, key(2)) == key(2) | {"v": {"N": "1"}}
        assert await rows.get(SIDE, key(3)) is None
        assert engine.calls == [("GetItem", 1), ("GetItem", 1)]

    run(go())


@pytest.mark.parametrize("left", [0, 7])
def test_many_at_once_share_calls_and_each_hears_of_its_own(left: int) -> None:
    """Also those that the engine left unprocessed; a key wanted twice is asked for once."""

    async def go() -> None:
        engine = Engine()
        engine.left = left
        rows = Rows(engine)
        wanted = [*range(BATCH_KEYS_MAX + 20), 4]
        found = await asyncio.gather(*(rows.get(SIDE, key(number)) for number in wanted))
        assert [one is not None for one in found] == [number % 2 == 0 for number in wanted]
        batches = [size for name, size in engine.calls if name == "BatchGetItem"]
        assert sorted(batches) == [20, BATCH_KEYS_MAX]

    run(go())


def test_trouble_is_every_askers_and_one_who_leaves_is_nobodys() -> None:
    """An engine that is away fails all of a call; a cancelled asker fails none."""

    async def go() -> None:
        engine = Engine()
        rows = Rows(engine)
        asking = [asyncio.create_task(rows.get(SIDE, key(number))) for number in (2, 2, 4)]
        await asyncio.sleep(0)
        asking[0].cancel()
        assert all([await one for one in asking[1:]])
        engine.broken = True
        found = await asyncio.gather(
            *(rows.get(SIDE, key(number)) for number in (2, 4)), return_exceptions=True
        )
        assert [type(one) for one in found] == [Unreachable, Unreachable]

    run(go())
