"""What a stream's leases promise of the records from before they were made."""

import asyncio
from contextlib import suppress

from consumers.pace import Pace
from consumers.streams.leases import Leases
from consumers.streams.shards import Shard, StreamName
from dualwrite.core.errors import Unreachable
from dualwrite.core.phases import Side
from dualwrite.core.records import SHARD, STREAM, ShardLease, StreamProgress, load
from tests.fakes.clock import VirtualClock
from tests.fakes.records import Fault, MemoryRecords

OLD = StreamName("t", Side.OLD)


def test_a_first_lease_is_as_old_as_the_coverage() -> None:
    """Where the coverage was written and the lease was not, the lease that a later try makes goes
    back to it: what was trimmed between the two would else be lost in silence."""

    async def go() -> None:
        clock, records = VirtualClock(), MemoryRecords()
        leases = Leases(records, clock, "c1", Pace())

        async def fail(operation: str, kind: str, name: str) -> Fault | None:
            return Fault.UNREACHABLE if kind == SHARD else None

        records.hook = fail
        with suppress(Unreachable):
            await leases.create(OLD, [Shard("s1", "")], {})
        records.hook = None
        assert records.seen(SHARD) == ()
        await clock.advance(3600.0)
        await leases.create(OLD, [Shard("s1", "")], {})
        [covered], [lease] = records.seen(STREAM), records.seen(SHARD)
        since_ms = load(StreamProgress, covered.value).unbroken_since_ms
        assert load(ShardLease, lease.value).read_until_ms == since_ms < clock.wall_ms()

    asyncio.run(go())
