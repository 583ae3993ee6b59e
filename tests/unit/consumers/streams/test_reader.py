"""Reading one shard: pages, gaps, expiry and the end."""

import asyncio
from dataclasses import replace
from random import Random

import pytest

from consumers.effort import Effort
from consumers.streams.reader import ShardGone, ShardReader
from dualwrite.core.errors import OutcomeUnknown
from tests.fakes.clock import VirtualClock
from tests.fakes.shards import refused
from tests.unit.consumers.streams.reader_scene import PACE, Scene, run


def test_everything_is_read_in_order_and_an_empty_page_is_no_end() -> None:
    """Only a null iterator ends a shard."""

    async def go() -> None:
        scene = Scene()
        scene.write(*"abcdefg")
        scene.engine.empty_pages = 2
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.until(lambda: len(scene.taken) == 7)
        assert scene.keys == list("abcdefg")
        scene.engine.empty_pages = 3
        scene.write("h")
        await scene.clock.until(lambda: len(scene.taken) == 8)
        assert not task.done()
        scene.engine.shards["s1"].closed = True
        await scene.clock.until(task.done)
        assert scene.reader.prefix.checkpoint == scene.taken[-1][0].sequence

    run(go())


def test_the_end_waits_until_all_is_applied() -> None:
    """A shard whose records are not all applied has not ended for its children."""

    async def go() -> None:
        scene = Scene()
        scene.apply = False
        scene.write("a", "b")
        scene.engine.shards["s1"].closed = True
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.advance(5.0)
        assert not task.done()
        for _, mark in scene.taken:
            mark.done = True
        await scene.clock.until(task.done)

    run(go())


def test_reading_goes_on_after_the_checkpoint() -> None:
    """The record at the checkpoint is applied, so it is not read again."""

    async def go() -> None:
        scene = Scene(checkpoint="9")
        scene.write("a", "b", "c")
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.until(lambda: len(scene.taken) == 2)
        assert scene.keys == ["b", "c"]
        task.cancel()

    run(go())


def test_an_expired_iterator_loses_and_repeats_nothing() -> None:
    """Another one is opened where reading stood."""

    async def go() -> None:
        scene = Scene()
        scene.apply = False
        scene.write("a", "b")
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.until(lambda: len(scene.taken) == 2)
        scene.engine.faults = [refused("ExpiredIteratorException")]
        scene.write("c")
        await scene.clock.until(lambda: len(scene.taken) == 3)
        assert scene.keys == ["a", "b", "c"]
        assert scene.gaps == 0
        task.cancel()

    run(go())


def test_throttling_and_lost_answers_only_delay() -> None:
    """Reading twice does no harm, so whatever went wrong is asked again."""

    async def go() -> None:
        scene = Scene()
        scene.write("a")
        scene.engine.faults = [
            refused("ProvisionedThroughputExceededException"),
            OutcomeUnknown("no answer"),
            refused("InternalServerError"),
        ]
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.until(lambda: bool(scene.taken))
        assert scene.keys == ["a"]
        task.cancel()

    run(go())


@pytest.mark.parametrize(("hours", "gaps"), [(1, 0), (24, 1)])
def test_a_shard_whose_first_record_is_told_as_trimmed(hours: int, gaps: int) -> None:
    """DynamoDB Local does so to a reader that waited for it. What AWS trims is a day old: who knew
    a moment ago that nothing stood there has lost nothing."""

    async def go() -> None:
        scene = Scene(proven_ms=VirtualClock().wall_ms() - hours * 3_600_000)
        scene.engine.faults = [refused("TrimmedDataAccessException")]
        scene.write("a", "b")
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.until(lambda: len(scene.taken) == 2)
        assert scene.gaps == gaps
        task.cancel()

    run(go())


def test_trimmed_records_are_a_named_gap() -> None:
    """They are never skipped in silence; what is left is read."""

    async def go() -> None:
        scene = Scene(checkpoint="9")
        scene.write("a", "b", "c")
        scene.engine.trim("s1", 2)
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.until(lambda: bool(scene.taken))
        assert scene.keys == ["c"]
        assert scene.gaps == 1
        task.cancel()

    run(go())


def test_what_may_have_been_trimmed_before_the_first_record_is_a_gap() -> None:
    """The engine tells of no trimmed record to who reads from the oldest: the time since the
    shard was last known to be read does. It is told once, and what is left is read."""

    async def go() -> None:
        scene = Scene()
        scene.write("a", "b")
        scene.engine.trim("s1", 1)
        await scene.clock.advance(PACE.retention_seconds + 1.0)
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.until(lambda: bool(scene.taken))
        assert (scene.keys, scene.gaps) == (["b"], 1)
        scene.engine.faults.append(refused("ExpiredIteratorException"))
        scene.write("c")
        await scene.clock.until(lambda: len(scene.taken) == 2)
        assert scene.gaps == 1
        task.cancel()

    run(go())


def test_an_idle_shard_is_no_gap_however_old() -> None:
    """A shard that was found empty again and again has lost nothing when its iterator ends."""

    async def go() -> None:
        scene = Scene()
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.advance(PACE.retention_seconds)
        scene.reader.progress()  # as at each renewal of the lease
        await scene.clock.advance(10.0)
        scene.engine.faults.append(refused("ExpiredIteratorException"))
        await scene.clock.advance(10.0)
        scene.write("a")
        await scene.clock.until(lambda: bool(scene.taken))
        assert scene.gaps == 0
        task.cancel()

    run(go())


def test_a_shard_that_the_engine_forgot_is_reported() -> None:
    """Whoever leases it decides what that means."""

    async def go() -> None:
        scene = Scene()
        del scene.engine.shards["s1"]
        with pytest.raises(ShardGone):
            await scene.clock.drive(scene.reader.run())

    run(go())


def test_without_a_lease_the_page_waits() -> None:
    """Records that could not be noted are offered again, and are not passed over."""

    async def go() -> None:
        scene = Scene()
        scene.refusals = 3
        scene.write("a", "b")
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.until(lambda: bool(scene.taken))
        assert scene.keys == ["a", "b"]
        task.cancel()

    run(go())


@pytest.mark.parametrize("large", [False, True])
def test_unapplied_records_are_bounded(*, large: bool) -> None:
    """A shard is not read further than its records can be applied, by their number or size."""

    async def go() -> None:
        scene = Scene(pace=replace(PACE, unapplied_records_max=10**6) if large else PACE)
        scene.apply = False
        for key in "abcdefghij":
            size_bytes = PACE.unapplied_bytes_max // 6 + 1 if large else 100
            scene.engine.write("s1", key, scene.clock.wall_ms(), SizeBytes=size_bytes)
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.advance(30.0)
        assert len(scene.taken) == 6
        for _, mark in scene.taken:
            mark.done = True
        await scene.clock.until(lambda: len(scene.taken) == 10)
        task.cancel()

    run(go())


def test_without_a_lease_that_is_ours_for_sure_nothing_is_read() -> None:
    """It goes on where it stood once the lease is renewed."""

    async def go() -> None:
        scene = Scene()
        ours = False
        reader = ShardReader(
            scene.engine, "s1", lambda: scene.engine.arn, "9", scene, scene._gap, scene.clock,
            Effort(scene.clock, Random(1), PACE), PACE, may_read=lambda: ours,
        )  # fmt: skip
        scene.write("a", "b")
        task = asyncio.create_task(reader.run())
        await scene.clock.advance(30)
        assert not scene.taken
        ours = True
        await scene.clock.until(lambda: bool(scene.taken))
        task.cancel()

    run(go())


def test_an_idle_shard_is_asked_ever_less_often() -> None:
    """Fast while records come, at most about a second apart while none do."""

    async def go() -> None:
        scene = Scene()
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.advance(60.0)
        pages = sum(operation == "GetRecords" for operation, _ in scene.engine.calls)
        assert 55 + PACE.tip_pages <= pages <= 65 + PACE.tip_pages
        task.cancel()

    run(go())
