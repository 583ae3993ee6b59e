"""The ``MutationFeed`` port in memory."""

import asyncio
from collections.abc import Sequence

from dualwrite.core.errors import EngineError
from dualwrite.core.ports import FeedEvent


class MemoryFeed:
    """Refuses a call that has an event longer than ``takes_bytes``, with what comes before it
    stored, and then says half of what it had said."""

    def __init__(self, takes_bytes: int, says_bytes: int | None = None) -> None:
        self.event_bytes_max = takes_bytes if says_bytes is None else says_bytes
        self.calls: list[list[FeedEvent]] = []
        self.refusals = 0
        self._takes_bytes = takes_bytes

    async def tell(self, events: Sequence[FeedEvent]) -> None:
        await asyncio.sleep(0)
        if any(event.size_bytes > self._takes_bytes for event in events):
            self.refusals += 1
            self.event_bytes_max //= 2
            raise EngineError("too large")
        self.calls.append(list(events))

    async def close(self) -> None:
        return
