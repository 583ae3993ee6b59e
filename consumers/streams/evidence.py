"""What the gates are told of each stream: lag, tip, and the barrier that it has passed."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from consumers.streams.leases import has_ended, stream_of
from consumers.streams.shards import StreamName
from dualwrite.core import metric_names
from dualwrite.core.errors import StateConflict
from dualwrite.core.ports import Clock, Metrics, Record, Records
from dualwrite.core.records import STREAM, Barrier, ShardLease, StreamProgress, dump, load


class Barriers:
    """The newest barrier of each table, and when this process first saw it."""

    def __init__(self, clock: Clock, margin_seconds: float) -> None:
        self._clock = clock
        self._margin = margin_seconds
        self._seen: dict[str, tuple[str, float]] = {}

    def observe(self, records: Iterable[Record]) -> None:
        """Take over what the BARRIER records say."""
        now = self._clock.monotonic_seconds()
        for record in records:
            id = load(Barrier, record.value).id
            if self._seen.get(record.name, ("", 0.0))[0] != id:
                self._seen[record.name] = (id, now)

    def passed(self, lease_name: str, tip_sent_at: float) -> str:
        """The barrier that a proven tip has passed, "" for none: the request that found the tip
        was sent a margin after the barrier was seen, so that no clock but ours matters."""
        stream, _ = stream_of(lease_name)
        id, seen_at = self._seen.get(stream.table, ("", 0.0))
        return id if id and tip_sent_at >= seen_at + self._margin else ""


class StreamReports:
    """Writes STREAM records: at once when a barrier is passed, else now and then."""

    def __init__(self, records: Records, clock: Clock, metrics: Metrics) -> None:
        self._records = records
        self._clock = clock
        self._metrics = metrics
        self._held: dict[StreamName, Record] = {}
        self._written_at: dict[StreamName, float] = {}

    async def report(
        self, stream: StreamName, leases: Mapping[str, ShardLease], every_seconds: float
    ) -> None:
        """Put one stream's shards together. Raises EngineError."""
        now, now_ms = self._clock.monotonic_seconds(), self._clock.wall_ms()
        unread = [lease for lease in leases.values() if not has_ended(lease)]
        held = self._held.get(stream)
        before = None if held is None else load(StreamProgress, held.value)
        barriers = {lease.barrier for lease in unread}
        barrier = barriers.pop() if len(barriers) == 1 else ""
        lag = max(_lag(lease, now_ms) for lease in unread)
        place = (stream.table, stream.side.value)
        records = sum(lease.lag_records for lease in unread)
        self._metrics.set(metric_names.LAG_SECONDS, *place, value=lag)
        self._metrics.set(metric_names.LAG_RECORDS, *place, value=float(records))
        fresh = now - self._written_at.get(stream, float("-inf")) < every_seconds
        if fresh and before is not None and barrier in ("", before.barrier):
            return
        if held is None or before is None:
            held = await self._records.read(STREAM, stream.text)
            if held is None:
                return  # created with the stream's leases; not yet
            before = load(StreamProgress, held.value)
        seen = replace(
            before,
            lag_seconds=round(lag, 3),
            lag_records=records,
            tip_ms=min(lease.tip_ms for lease in unread),
            barrier=barrier or before.barrier,
            shards=len(unread),
            updated_ms=now_ms,
        )
        try:
            self._held[stream] = await self._records.write(
                STREAM, stream.text, dump(seen), expected=held.version
            )
        except StateConflict:
            # A gap was noted, or another consumer spoke; read it anew the next time.
            self._held.pop(stream, None)
            return
        self._written_at[stream] = now


def _lag(lease: ShardLease, now_ms: int) -> float:
    """A shard that nobody reads falls behind as time goes."""
    if lease.owner:
        return lease.lag_seconds
    return max(lease.lag_seconds, (now_ms - lease.read_until_ms) / 1000)
