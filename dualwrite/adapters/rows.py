"""Consistent reads of single rows; those that are wanted at the same moment go in one call."""

import asyncio
from collections.abc import Mapping
from typing import Any

from dualwrite.core.items import Item, Key, key_token
from dualwrite.core.ports import Dynamo
from dualwrite.core.spec import TableSide

BATCH_KEYS_MAX = 100
"""AWS: BatchGetItem takes up to 100 keys."""

Waiting = dict[str, tuple[Key, "asyncio.Future[Item | None]"]]
"""By key token."""


class Rows:
    """Whoever asks while others of the same turn of the event loop do shares their call."""

    def __init__(self, dynamo: Dynamo) -> None:
        self._dynamo = dynamo
        self._waiting: dict[TableSide, Waiting] = {}
        self._calls: set[asyncio.Task[None]] = set()

    async def get(self, side: TableSide, key: Key) -> Item | None:
        """The row under a key. Raises EngineError."""
        waiting = self._waiting.setdefault(side, {})
        if not waiting:
            self._begin(self._later(side))
        token = key_token(key, side.keys)
        if token not in waiting:
            waiting[token] = key, asyncio.get_running_loop().create_future()
        # Shielded, for others may wait for the same row.
        return await asyncio.shield(waiting[token][1])

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _later(self, side: TableSide) -> None:
        await asyncio.sleep(0)
        waiting = list(self._waiting.pop(side).items())
        for at in range(0, len(waiting), BATCH_KEYS_MAX):
            self._begin(self._answer(side, dict(waiting[at : at + BATCH_KEYS_MAX])))

    async def _answer(self, side: TableSide, waiting: Waiting) -> None:
        try:
            found = await self._read(side, waiting)
        except Exception as error:  # whatever it is, it is its askers' to deal with
            for _, future in waiting.values():
                future.set_exception(error)
                future.exception()  # its asker may be gone
            return
        for token, (_, future) in waiting.items():
            future.set_result(found.get(token))

    async def _read(self, side: TableSide, waiting: Waiting) -> Mapping[str, Item]:
        keys = [key for key, _ in waiting.values()]
        found: list[Item] = []
        if len(keys) > 1:
            wanted = {"Keys": keys, "ConsistentRead": True}
            answer = await self._dynamo.call("BatchGetItem", {"RequestItems": {side.name: wanted}})
            found += answer.get("Responses", {}).get(side.name, ())
            keys = answer.get("UnprocessedKeys", {}).get(side.name, {}).get("Keys", [])
        for key in keys:
            answer = await self._dynamo.call(
                "GetItem", {"TableName": side.name, "Key": key, "ConsistentRead": True}
            )
            if "Item" in answer:
                found.append(answer["Item"])
        return {key_token(item, side.keys): item for item in found}
