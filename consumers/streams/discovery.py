"""Keeps an eye on which shards the streams have, and sees to it that each has a lease."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from consumers.pace import Pace
from consumers.streams.leases import Leases, has_ended
from consumers.streams.shards import Listing, StreamName, listed
from dualwrite.core.errors import EngineError
from dualwrite.core.phases import Side
from dualwrite.core.ports import Clock, Dynamo

log = structlog.get_logger()


class Discovery:
    """``listings`` holds what the newest look at each stream has shown."""

    def __init__(
        self,
        dynamo: Dynamo,
        sources: Mapping[StreamName, str],
        leases: Leases,
        clock: Clock,
        pace: Pace,
    ) -> None:
        """``sources``: the physical table of each stream."""
        self.listings: dict[StreamName, Listing] = {}
        self._dynamo = dynamo
        self._sources = sources
        self._leases = leases
        self._clock = clock
        self._pace = pace
        self._looked_at: dict[StreamName, float] = {}
        self._failed: set[StreamName] = set()
        self._looking: asyncio.Task[None] | None = None

    async def keep_up(self) -> None:
        """Look at the streams whose time it is: the first time before this returns, later beside
        the caller, whose leases run out while an engine keeps it waiting."""
        looking = self._looking
        if looking is not None:
            if not looking.done():
                return
            self._looking = None
            looking.result()  # a mistake in it is the caller's to hear
        if not (due := self._due()):
            return
        first = not self._looked_at
        self._looked_at |= dict.fromkeys(due, self._clock.monotonic_seconds())
        if first:
            await self._look_at_all(due)
        else:
            self._looking = asyncio.create_task(self._look_at_all(due))

    async def stop(self) -> None:
        """Look no further."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def look_at(self, stream: StreamName) -> Listing:
        """List one stream's shards, and create the leases that lack. Raises EngineError."""
        found = await listed(self._dynamo, self._sources[stream])
        if not found.arn:
            log.warning("the table has no stream", stream=stream.text)
        self.listings[stream] = found
        known = await self._leases.of(stream)
        await self._leases.create(
            stream, found.shards, {shard: lease for shard, (_, lease) in known.items()}
        )
        ids = {shard.id for shard in found.shards}
        parents = {shard.parent for shard in found.shards}
        await self._leases.forget(
            record
            for shard, (record, lease) in known.items()
            if found.shards and has_ended(lease) and shard not in ids | parents
        )
        return found

    def _due(self) -> list[StreamName]:
        """One that could not be looked at is due again as soon as a lease is."""
        now, pace = self._clock.monotonic_seconds(), self._pace

        def is_due(stream: StreamName) -> bool:
            pause = pace.renew_seconds if stream in self._failed else pace.discover_seconds
            return now - self._looked_at.get(stream, float("-inf")) >= pause

        return list(filter(is_due, self._sources))

    async def _look_at_all(self, streams: Sequence[StreamName]) -> None:
        """Each side for itself, as one may not answer; one stream after another, for AWS allows ten
        DescribeStream a second."""

        async def look(side: Side) -> None:
            for stream in streams:
                if stream.side is not side:
                    continue
                try:
                    await self.look_at(stream)
                except EngineError as error:
                    self._failed.add(stream)
                    log.warning("shards not listed", stream=stream.text, error=str(error))
                else:
                    self._failed.discard(stream)

        await asyncio.gather(*(look(side) for side in Side))
