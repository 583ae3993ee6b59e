"""Reads of whole tables for the verifier: pages of a scan, and batches of keys, both consistent.

A read that keeps failing raises, so that it can be counted as "nothing proven" rather than be taken
for an absent item. Only a lack of capacity is waited out, for as long as the answer is wanted.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from dualwrite.core.errors import (
    RETRYABLE,
    THROTTLED,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from dualwrite.core.items import Item, Key, key_projection, key_token
from dualwrite.core.ports import Clock, Dynamo
from dualwrite.core.spec import TableSide
from verifier.page_size import PageSize
from verifier.throttling import ReadPace, Wanted, patiently, pause_seconds, units_of

TRIES_MAX = 6
"""Sends of one read that nobody answers: it gives up after 3 seconds of pauses."""
BATCH_KEYS_MAX = 100
"""AWS: BatchGetItem retrieves "up to 100 items" a call."""
FULL_UNITS = 128.0
"""Read units of 512 KB. AWS leaves keys over where an answer grows beyond 1 MB of a partition, and
an item may have 400 KB: an answer that cost less left them over for want of capacity."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a scan."""

    items: tuple[Item, ...]
    next: Mapping[str, Any] | None
    """ExclusiveStartKey of the page after it; None after the last."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """An engine's answer, what was asked for it, and how long the engine took."""

    asked: int
    """Items."""
    body: dict[str, Any]
    seconds: float


class TableReader:
    """Consistent reads, never more than ``calls_max`` of them at once. Once a table has throttled,
    its reads keep to a pace that it bears."""

    def __init__(self, dynamo: Dynamo, clock: Clock, *, calls_max: int) -> None:
        self._dynamo = dynamo
        self._clock = clock
        self._calls = asyncio.Semaphore(calls_max)
        self._size = PageSize()
        self._paces: dict[str, ReadPace] = defaultdict(lambda: ReadPace(clock))
        """By physical table."""

    async def page(
        self,
        side: TableSide,
        *,
        segment: int,
        segments: int,
        start: Mapping[str, Any] | None,
        wanted: Wanted,
        keys_only: bool = False,
    ) -> Page:
        """One page of a parallel scan. Raises EngineError, and what ``wanted`` does."""
        fixed: dict[str, Any] = {
            "TableName": side.name,
            "ConsistentRead": True,
            "Segment": segment,
            "TotalSegments": segments,
        }
        if start:
            fixed["ExclusiveStartKey"] = start
        if keys_only:
            fixed |= key_projection(side.keys)
        pace = self._paces[side.name]

        def ask() -> tuple[int, dict[str, Any]]:
            asked = pace.items("Scan", self._size.items)
            return asked, fixed | {"Limit": asked}

        answer = await self._answer(side, "Scan", ask, wanted)
        items = tuple(answer.body.get("Items", ()))
        self._size.took(answer.asked, len(items), answer.seconds)
        pace.spend("Scan", len(items), units_of(answer.body, items))
        return Page(items, answer.body.get("LastEvaluatedKey") or None)

    async def get(
        self,
        side: TableSide,
        keys: Sequence[Key],
        *,
        wanted: Wanted,
        keys_only: bool = False,
    ) -> dict[str, Item]:
        """The items that exist under at most 100 distinct ``keys``, by key token.

        Raises EngineError, and what ``wanted`` does.
        """
        assert len(keys) <= BATCH_KEYS_MAX, "callers go by batches"
        found: dict[str, Item] = {}
        fixed = {"ConsistentRead": True} | (key_projection(side.keys) if keys_only else {})
        waiting: list[Key] = list(keys)
        pace = self._paces[side.name]

        def ask() -> tuple[int, dict[str, Any]]:
            asked = pace.items("BatchGetItem", len(waiting))
            return asked, {"RequestItems": {side.name: fixed | {"Keys": waiting[:asked]}}}

        refusals = 0
        while waiting:
            answer = await self._answer(side, "BatchGetItem", ask, wanted)
            items = answer.body.get("Responses", {}).get(side.name, [])
            found.update((key_token(item, side.keys), item) for item in items)
            left = answer.body.get("UnprocessedKeys", {}).get(side.name, {}).get("Keys", [])
            processed = answer.asked - len(left)
            units = units_of(answer.body, items) if processed else 0.0
            pace.spend("BatchGetItem", processed, units)
            waiting = [*left, *waiting[answer.asked :]]
            if left and units < FULL_UNITS:
                self._slow_down(side, pace)
            refusals = 0 if processed else refusals + 1
            if refusals:
                await self._clock.sleep(pause_seconds(refusals))
                wanted()
        return found

    async def _answer(
        self,
        side: TableSide,
        operation: str,
        ask: Callable[[], tuple[int, dict[str, Any]]],
        wanted: Wanted,
    ) -> _Answer:
        """Send what ``ask`` gives: less, where the table bears less. Raises EngineError, and what
        ``wanted`` does."""
        pace = self._paces[side.name]
        return await patiently(
            self._clock,
            wanted,
            lambda: self._sent(operation, ask, pace),
            lambda: self._slow_down(side, pace),
        )

    async def _sent(
        self, operation: str, ask: Callable[[], tuple[int, dict[str, Any]]], pace: ReadPace
    ) -> _Answer:
        """Raises EngineError: at once for a refusal that stays, or that is for want of capacity."""
        for tries in range(1, TRIES_MAX + 1):
            await pace.ready()
            try:
                async with self._calls:
                    asked, request = ask()
                    request["ReturnConsumedCapacity"] = "TOTAL"
                    sent = self._clock.monotonic_seconds()
                    with pace.sending(operation, asked):
                        answer = await self._dynamo.call(operation, request)
                    return _Answer(asked, answer, self._clock.monotonic_seconds() - sent)
            except (Refused, Unreachable, OutcomeUnknown) as error:
                final = isinstance(error, Refused) and error.code not in RETRYABLE - THROTTLED
                if final or tries == TRIES_MAX:
                    raise
            await self._clock.sleep(pause_seconds(tries))
        raise AssertionError("the last try returns or raises")

    def _slow_down(self, side: TableSide, pace: ReadPace) -> None:
        if pace.throttled():
            log.warning("sweep slows down: no capacity", physical=side.name)
