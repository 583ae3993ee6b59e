"""Leases shards, reads those it owns, and keeps what is known of the streams' progress."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

import structlog

from consumers.changes import Change
from consumers.effort import Effort
from consumers.members import Consumers
from consumers.pace import Pace
from consumers.prefix import Mark
from consumers.streams.balance import Seat, choose
from consumers.streams.discovery import Discovery
from consumers.streams.evidence import Barriers, StreamReports
from consumers.streams.leases import Leases, has_ended, name_of, stream_of
from consumers.streams.reader import ShardGone, ShardReader
from consumers.streams.shards import (
    SHARD_END,
    StreamName,
    may_start,
)
from dualwrite.core.errors import EngineError, StateConflict
from dualwrite.core.phases import Side
from dualwrite.core.ports import Clock, Dynamo, Metrics, Record, Records
from dualwrite.core.records import BARRIER, MEMBER, ShardLease
from dualwrite.core.stillness import Stillness

log = structlog.get_logger()


@dataclass(slots=True)
class _Held:
    """A lease this process owns, and its reader while the shard may be read."""

    record: Record
    lease: ShardLease
    renewed_at: float
    """When the newest renewal was sent: nobody takes the lease before it stood still since then."""
    reader: ShardReader | None = None
    task: asyncio.Task[None] | None = None


class Taker(Protocol):
    """What the records of one table are for. A record is applied when its mark is done."""

    @property
    def lagging(self) -> set[Side]:
        """Where the readers note which sides' streams are known to be behind."""
        ...

    async def take(self, side: Side, records: Sequence[tuple[Change, Mark]]) -> None:
        """Note records, in order. Raises LeaseExpired before it has noted any."""
        ...


class _Feed:
    """Hands one stream's records to its table, and wakes the readers of both of its sides."""

    def __init__(self, stream: StreamName, taker: Taker, awake: set[StreamName]) -> None:
        self._stream = stream
        self._taker = taker
        self._awake = awake

    async def take(self, records: Sequence[tuple[Change, Mark]]) -> None:
        await self._taker.take(self._stream.side, records)

    def behind(self, behind: bool) -> None:
        sides = self._taker.lagging
        if behind:
            sides.add(self._stream.side)
        else:
            sides.discard(self._stream.side)

    def wake(self) -> None:
        self._awake.add(replace(self._stream, side=self._stream.side.other))

    def woken(self) -> bool:
        woken = self._stream in self._awake
        self._awake.discard(self._stream)
        return woken


class Streams:
    """The streams of some tables, shared with the other live consumers."""

    def __init__(
        self,
        dynamo: Dynamo,
        records: Records,
        sources: Mapping[StreamName, str],
        takers: Mapping[str, Taker],
        consumers: Consumers,
        before_checkpoints: Callable[[], Awaitable[None]],
        clock: Clock,
        metrics: Metrics,
        effort: Effort,
        pace: Pace,
    ) -> None:
        """``sources``: the physical table of each stream; ``takers`` by table.
        ``before_checkpoints`` makes durable what was counted from the records."""
        self._before_checkpoints = before_checkpoints
        self._dynamo = dynamo
        self._records = records
        self._sources = sources
        self._takers = takers
        self._consumers = consumers
        self._clock = clock
        self._effort = effort
        self._pace = pace
        self._leases = Leases(records, clock, consumers.me, pace)
        self._discovery = Discovery(dynamo, sources, self._leases, clock, pace)
        self._stillness = Stillness(clock)
        self._barriers = Barriers(clock, pace.barrier_margin_seconds)
        self._reports = StreamReports(records, clock, metrics)
        self._renewed_at = float("-inf")
        self._held: dict[str, _Held] = {}
        self._known: dict[str, tuple[Record, ShardLease]] = {}
        self._awake: set[StreamName] = set()

    async def step(self) -> None:
        """One look at the control table and at the streams. Raises EngineError."""
        now = self._clock.monotonic_seconds()
        await self._discovery.keep_up()
        if now - self._renewed_at >= self._pace.renew_seconds:
            await self._before_checkpoints()
            await asyncio.gather(*(self._renew(name) for name in tuple(self._held)))
            self._renewed_at = now
        self._consumers.observe(await self._records.list(MEMBER))
        self._barriers.observe(await self._records.list(BARRIER))
        self._known = await self._leases.all()
        self._stillness.observe(record for record, _ in self._known.values())
        await self._take_leases()
        self._start_readers()
        await self._report()

    async def stop(self) -> None:
        """Stop reading and release the leases, with their checkpoints."""
        await self._discovery.stop()
        held, self._held = self._held, {}
        for one in held.values():
            await _end(one.task)
        with suppress(EngineError):
            await self._before_checkpoints()
        for name, one in held.items():
            lease = replace(self._as_read(one), owner="")
            with suppress(EngineError, StateConflict):
                await self._leases.renew(one.record, lease)
                log.info("shard released", shard=name)

    async def _shard_gone(self, stream: StreamName, shard_id: str) -> bool:
        """Whether the engine forgot the shard for good; then that is a gap. Raises EngineError."""
        listing = await self._discovery.look_at(stream)
        if not listing.arn or shard_id in {shard.id for shard in listing.shards}:
            return False
        await self._leases.gap(stream)
        return True

    # -- leases -------------------------------------------------------------------------------

    async def _take_leases(self) -> None:
        seats = {}
        for name, (_, lease) in self._known.items():
            stream, _ = stream_of(name)
            if has_ended(lease) or stream.table not in self._takers:
                continue
            lost = lease.owner == self._consumers.me and name not in self._held
            still = self._stillness.seconds(name) > self._pace.silence_seconds
            free = not lease.owner or lost or (still and name not in self._held)
            seats[name] = Seat(stream.table, lease.owner, free)
        for name in choose(seats, self._consumers.live, self._consumers.me):
            if name in self._held:
                continue
            record, lease = self._known[name]
            asked_at = self._clock.monotonic_seconds()
            taken = await self._leases.take(record, lease)
            if taken is not None:
                log.info("shard taken", shard=name, before=lease.owner)
                self._held[name] = _Held(*taken, asked_at)
                self._known[name] = taken

    def _start_readers(self) -> None:
        by_stream: dict[StreamName, dict[str, ShardLease]] = defaultdict(dict)
        for name, (_, lease) in self._known.items():
            stream, shard_id = stream_of(name)
            by_stream[stream][shard_id] = lease
        for name, held in self._held.items():
            stream, shard_id = stream_of(name)
            listing = self._discovery.listings.get(stream)
            if held.task is not None and held.task.done():
                log.error("reader ended", shard=name, error=repr(held.task.exception()))
                held.task = None
            if held.task is not None or listing is None or not listing.arn:
                continue
            if may_start(held.lease, by_stream[stream]):
                held.reader = self._reader(stream, shard_id, held)
                held.task = asyncio.create_task(self._read(name, held, held.reader))

    def _reader(self, stream: StreamName, shard_id: str, held: _Held) -> ShardReader:
        async def on_gap() -> None:
            await self._leases.gap(stream)

        def may_read() -> bool:
            silence = self._clock.monotonic_seconds() - held.renewed_at
            return silence < self._pace.silence_seconds

        return ShardReader(
            self._dynamo,
            shard_id,
            lambda: self._discovery.listings[stream].arn,
            held.lease.checkpoint,
            _Feed(stream, self._takers[stream.table], self._awake),
            on_gap,
            self._clock,
            self._effort,
            self._pace,
            lag_seconds=held.lease.lag_seconds,
            proven_ms=held.lease.read_until_ms,
            may_read=may_read,
        )

    async def _read(self, name: str, held: _Held, reader: ShardReader) -> None:
        """Read a shard to its end, then let its children begin."""
        stream, shard_id = stream_of(name)
        for attempt in count(1):
            try:
                await reader.run()
                # The children's leases exist before this one says that they may start.
                await self._discovery.look_at(stream)
                break
            except ShardGone:
                with suppress(EngineError):
                    if await self._shard_gone(stream, shard_id):
                        break
            except EngineError as error:
                log.warning("shard's end not settled", shard=name, error=str(error))
            await self._effort.back_off(attempt)
        while name in self._held:
            ended = replace(self._as_read(held), checkpoint=SHARD_END, lag_seconds=0.0)
            try:
                held.record, held.lease = await self._leases.renew(held.record, ended)
            except StateConflict:
                break
            except EngineError:
                await self._effort.back_off(1)
            else:
                log.info("shard read to its end", shard=name)
                break
        self._held.pop(name, None)

    async def _renew(self, name: str) -> None:
        held = self._held.get(name)
        if held is None or has_ended(held.lease):
            return
        asked_at = self._clock.monotonic_seconds()
        try:
            held.record, held.lease = await self._leases.renew(held.record, self._as_read(held))
            held.renewed_at = asked_at
        except StateConflict:
            if self._held.get(name) is held:
                log.warning("shard lost to another consumer", shard=name)
                del self._held[name]
                await _end(held.task)
        except EngineError as error:
            log.warning("shard lease not renewed", shard=name, error=str(error))

    def _as_read(self, held: _Held) -> ShardLease:
        """The lease with what its reader has proven by now."""
        reader = held.reader
        if reader is None:
            return held.lease
        seen = reader.progress()
        return replace(
            held.lease,
            checkpoint=reader.prefix.checkpoint,
            barrier=self._barriers.passed(held.record.name, seen.tip_sent_at) or held.lease.barrier,
            tip_ms=seen.tip_ms or held.lease.tip_ms,
            lag_seconds=seen.lag_seconds,
            lag_records=seen.lag_records,
        )

    # -- evidence -----------------------------------------------------------------------------

    async def _report(self) -> None:
        """Write the evidence of the streams this consumer speaks for: those whose first unread
        shard it owns. Raises EngineError."""
        for stream in self._sources:
            leases = {
                shard_id: self._as_read(self._held[record.name])
                if record.name in self._held
                else lease
                for shard_id, (record, lease) in _of_stream(self._known, stream).items()
            }
            unread = sorted(shard for shard, lease in leases.items() if not has_ended(lease))
            if unread and name_of(stream, unread[0]) in self._held:
                await self._reports.report(stream, leases, self._pace.renew_seconds)


def _of_stream(
    known: Mapping[str, tuple[Record, ShardLease]], stream: StreamName
) -> dict[str, tuple[Record, ShardLease]]:
    """One stream's leases by shard id."""
    prefix = stream.text + "/"
    return {
        name.removeprefix(prefix): held for name, held in known.items() if name.startswith(prefix)
    }


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
