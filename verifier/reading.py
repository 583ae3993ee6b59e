"""Reads of whole tables for the verifier: pages of a scan, and batches of keys, both consistent.

Every wait and retry is bounded: a read that keeps failing raises, so that it can be counted as
"nothing proven" rather than be taken for an absent item.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dualwrite.core.errors import (
    RETRYABLE,
    EngineError,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from dualwrite.core.items import Item, Key, key_projection, key_token
from dualwrite.core.ports import Clock, Dynamo
from dualwrite.core.spec import TableSide
from verifier.page_size import PageSize

TRIES_MAX = 6
"""Sends of one read; with the pauses below it gives up after about 3 seconds."""
PAUSE_SECONDS = 0.1
BATCH_KEYS_MAX = 100
"""AWS: BatchGetItem retrieves "up to 100 items" a call."""
ROUNDS_MAX = 40
"""Calls for one batch of keys: 16 MB a call and 400 KB an item need 3; throttling needs more."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a scan."""

    items: tuple[Item, ...]
    next: Mapping[str, Any] | None
    """ExclusiveStartKey of the page after it; None after the last."""


class TableReader:
    """Consistent reads, never more than ``calls_max`` of them at once."""

    def __init__(self, dynamo: Dynamo, clock: Clock, *, calls_max: int) -> None:
        self._dynamo = dynamo
        self._clock = clock
        self._calls = asyncio.Semaphore(calls_max)
        self._size = PageSize()

    async def page(
        self,
        side: TableSide,
        *,
        segment: int,
        segments: int,
        start: Mapping[str, Any] | None,
        keys_only: bool = False,
    ) -> Page:
        """One page of a parallel scan. Raises EngineError."""
        asked = self._size.items
        request: dict[str, Any] = {
            "TableName": side.name,
            "ConsistentRead": True,
            "Limit": asked,
            "Segment": segment,
            "TotalSegments": segments,
        }
        if start:
            request["ExclusiveStartKey"] = start
        if keys_only:
            request |= key_projection(side.keys)
        answer, seconds = await self._call("Scan", request)
        items = tuple(answer.get("Items", ()))
        self._size.took(asked, len(items), seconds)
        return Page(items, answer.get("LastEvaluatedKey") or None)

    async def get(
        self, side: TableSide, keys: Sequence[Key], *, keys_only: bool = False
    ) -> dict[str, Item]:
        """The items that exist under at most 100 distinct ``keys``, by key token.

        Raises EngineError.
        """
        assert len(keys) <= BATCH_KEYS_MAX, "callers go by batches"
        found: dict[str, Item] = {}
        wanted: dict[str, Any] = {"ConsistentRead": True}
        if keys_only:
            wanted |= key_projection(side.keys)
        waiting: list[Key] = list(keys)
        if not waiting:
            return found
        for calls in range(ROUNDS_MAX):
            request = {"RequestItems": {side.name: wanted | {"Keys": waiting}}}
            answer, _ = await self._call("BatchGetItem", request)
            items = answer.get("Responses", {}).get(side.name, ())
            found.update((key_token(item, side.keys), item) for item in items)
            waiting = answer.get("UnprocessedKeys", {}).get(side.name, {}).get("Keys", [])
            if not waiting:
                return found
            if not items:
                await self._clock.sleep(min(PAUSE_SECONDS * 2**calls, 1.0))
        raise EngineError(f"{len(waiting)} keys of {side.name} were never processed")

    async def _call(
        self, operation: str, request: Mapping[str, Any]
    ) -> tuple[dict[str, Any], float]:
        """The answer, and how many seconds the engine took for it. Raises EngineError."""
        for tries in range(1, TRIES_MAX + 1):
            try:
                async with self._calls:
                    sent = self._clock.monotonic_seconds()
                    answer = await self._dynamo.call(operation, request)
                    return answer, self._clock.monotonic_seconds() - sent
            except (Refused, Unreachable, OutcomeUnknown) as error:
                final = isinstance(error, Refused) and error.code not in RETRYABLE
                if final or tries == TRIES_MAX:
                    raise
            await self._clock.sleep(PAUSE_SECONDS * 2 ** (tries - 1))
        raise AssertionError("the last try returns or raises")
