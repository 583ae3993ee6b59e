"""Shard leases in the control table: created with the shard, owned, renewed with a checkpoint."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from consumers.pace import Pace
from consumers.streams.shards import SHARD_END, TRIM_HORIZON, Shard, StreamName, parents_first
from dualwrite.core.errors import StateConflict
from dualwrite.core.phases import Side
from dualwrite.core.ports import Clock, Record, Records
from dualwrite.core.records import SHARD, STREAM, ShardLease, StreamProgress, dump, load
from dualwrite.revising import revised

SETTLING_SECONDS = 60.0
"""Consumers that start together create a stream's first leases together, and within this; unless
streams forget faster, so that a shard may have come and gone."""


class Leases:
    """Reads and writes SHARD records, and the coverage that STREAM records promise."""

    def __init__(self, records: Records, clock: Clock, process_id: str, pace: Pace) -> None:
        self._settling_ms = min(SETTLING_SECONDS, pace.retention_seconds) * 1000
        self._records = records
        self._clock = clock
        self._me = process_id

    async def all(self) -> dict[str, tuple[Record, ShardLease]]:
        """Every lease by its name. Raises EngineError."""
        return {
            record.name: (record, load(ShardLease, record.value))
            for record in await self._records.list(SHARD)
        }

    async def of(self, stream: StreamName) -> dict[str, tuple[Record, ShardLease]]:
        """One stream's leases by shard id. Raises EngineError."""
        return {
            stream_of(record.name)[1]: (record, load(ShardLease, record.value))
            for record in await self._records.list(SHARD, f"{stream.text}/")
        }

    async def create(
        self, stream: StreamName, shards: Iterable[Shard], known: Mapping[str, ShardLease]
    ) -> None:
        """Create the leases that lack, parents first; all start at the oldest record there is.

        ``known``: the stream's leases by shard id. A shard that continues none of them begins
        after records nobody read: a gap. Raises EngineError.
        """
        now_ms = self._clock.wall_ms()
        settled = any(lease.created_ms < now_ms - self._settling_ms for lease in known.values())
        fresh = [shard for shard in parents_first(shards) if shard.id not in known]
        if not fresh:
            return
        since_ms = await self._begin_coverage(stream)
        # Where an earlier try got no further than the coverage, that holds from then on.
        first = ShardLease(created_ms=now_ms if settled else since_ms)
        covered = dict(known)
        for shard in fresh:
            if settled and shard.parent not in covered:
                await self.gap(stream)
            # A shard begins after its parent: what was read of that is all there was.
            begun = covered.get(shard.parent, first)
            lease = ShardLease(
                checkpoint=TRIM_HORIZON, parent=shard.parent,
                created_ms=begun.created_ms, tip_ms=begun.tip_ms,
            )  # fmt: skip
            covered[shard.id] = lease
            try:
                await self._records.write(SHARD, name_of(stream, shard.id), dump(lease), expected=0)
            except StateConflict:
                continue  # another consumer was faster

    async def forget(self, records: Iterable[Record]) -> None:
        """Remove leases of shards that are read to the end and trimmed. Raises EngineError."""
        for record in records:
            try:
                await self._records.delete(SHARD, record.name, expected=record.version)
            except StateConflict:
                continue

    async def take(self, record: Record, lease: ShardLease) -> tuple[Record, ShardLease] | None:
        """Become the owner; None where somebody else changed the lease. Raises EngineError."""
        mine = replace(lease, owner=self._me, counter=lease.counter + 1)
        try:
            return await self._records.write(
                SHARD, record.name, dump(mine), expected=record.version
            ), mine
        except StateConflict:
            return None

    async def renew(self, record: Record, lease: ShardLease) -> tuple[Record, ShardLease]:
        """Write an owned lease as it is now. Raises StateConflict where it is no longer ours."""
        renewed = replace(lease, counter=lease.counter + 1)
        return await self._records.write(
            SHARD, record.name, dump(renewed), expected=record.version
        ), renewed

    async def gap(self, stream: StreamName) -> None:
        """Say durably that records were lost unread. Raises EngineError."""
        now_ms = self._clock.wall_ms()

        def broken(held: Record | None) -> Mapping[str, Any]:
            before = _coverage(now_ms) if held is None else load(StreamProgress, held.value)
            return dump(replace(before, gaps=before.gaps + 1, unbroken_since_ms=now_ms))

        await revised(self._records, STREAM, stream.text, broken)

    async def _begin_coverage(self, stream: StreamName) -> int:
        """Since when the stream is covered, by the wall clock in ms. Raises EngineError."""
        begun = _coverage(self._clock.wall_ms())
        try:
            await self._records.write(STREAM, stream.text, dump(begun), expected=0)
        except StateConflict:
            held = await self._records.read(STREAM, stream.text)
            if held is not None:
                return load(StreamProgress, held.value).unbroken_since_ms
        return begun.unbroken_since_ms


def _coverage(since_ms: int) -> StreamProgress:
    return StreamProgress(
        lag_seconds=0.0, lag_records=0, tip_ms=0, unbroken_since_ms=since_ms, updated_ms=0
    )


def name_of(stream: StreamName, shard_id: str) -> str:
    """A lease's name in the control table."""
    return f"{stream.text}/{shard_id}"


def stream_of(name: str) -> tuple[StreamName, str]:
    """The stream and shard id of a lease's name."""
    table, side, shard_id = name.rsplit("/", 2)
    return StreamName(table, Side(side)), shard_id


def has_ended(lease: ShardLease) -> bool:
    return lease.checkpoint == SHARD_END
