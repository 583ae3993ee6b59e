"""One shard and its reader, whose records the test applies."""

import asyncio
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any

from consumers.changes import Change
from consumers.effort import Effort
from consumers.pace import Pace
from consumers.prefix import Mark
from consumers.streams.reader import ShardReader
from dualwrite.core.errors import LeaseExpired
from tests.fakes.clock import VirtualClock
from tests.fakes.shards import FakeStreams

PACE = Pace(page_records=3, unapplied_records_max=6)


class Scene:
    """A stream with one shard, and a reader whose records the test applies."""

    def __init__(
        self,
        checkpoint: str = "TRIM_HORIZON",
        proven_ms: int | None = None,
        pace: Pace = PACE,
    ) -> None:
        self.clock = VirtualClock()
        self.engine = FakeStreams()
        self.engine.shard("s1")
        self.taken: list[tuple[Change, Mark]] = []
        self.apply = True
        self.gaps = 0
        self.refusals = 0
        self.lagging = False
        self.reader = ShardReader(
            self.engine, "s1", lambda: self.engine.arn, checkpoint, self, self._gap, self.clock,
            Effort(self.clock, Random(1), pace), pace, proven_ms=proven_ms,
        )  # fmt: skip

    async def take(self, records: Sequence[tuple[Change, Mark]]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise LeaseExpired
        self.taken += records
        for _, mark in records:
            mark.done = self.apply

    def behind(self, behind: bool) -> None:
        self.lagging = behind

    def wake(self) -> None:
        pass

    def woken(self) -> bool:
        return False

    async def _gap(self) -> None:
        self.gaps += 1

    @property
    def keys(self) -> list[str]:
        return [change.keys["id"]["S"] for change, _ in self.taken]

    def write(self, *keys: str) -> list[str]:
        return [self.engine.write("s1", key, self.clock.wall_ms()) for key in keys]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)
