"""Reading one shard: pages, tips, gaps, expiry and the end."""

import asyncio
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any

import pytest

from consumers.changes import Change
from consumers.effort import Effort
from consumers.pace import Pace
from consumers.prefix import Mark
from consumers.streams.reader import ShardGone, ShardReader
from dualwrite.core.errors import LeaseExpired, OutcomeUnknown
from tests.fakes.clock import VirtualClock, settle
from tests.fakes.shards import FakeStreams, refused

PACE = Pace(page_records=3, unapplied_records_max=6)


class Scene:
    """A stream with one shard, and a reader whose records the test applies."""

    def __init__(self, checkpoint: str = "TRIM_HORIZON", proven_ms: int | None = None) -> None:
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
            Effort(self.clock, Random(1), PACE), PACE, proven_ms=proven_ms,
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


def test_unapplied_records_are_bounded() -> None:
    """A shard is not read further than its records can be applied."""

    async def go() -> None:
        scene = Scene()
        scene.apply = False
        scene.write(*"abcdefghij")
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.advance(30.0)
        assert len(scene.taken) == 6
        for _, mark in scene.taken:
            mark.done = True
        await scene.clock.until(lambda: len(scene.taken) == 10)
        task.cancel()

    run(go())


def test_a_tip_is_proven_once_everything_before_it_is_applied() -> None:
    """And it counts from when its request was sent, not from when it was proven."""

    async def go() -> None:
        scene = Scene()
        scene.apply = False
        scene.write("a")
        task = asyncio.create_task(scene.reader.run())
        await settle()
        sent_ms = scene.clock.wall_ms()
        assert len(scene.taken) == 1
        await scene.clock.advance(7.0)
        seen = scene.reader.progress()
        assert seen.tip_ms == 0
        assert seen.lag_seconds == 7.0
        assert seen.lag_records == 1
        scene.taken[0][1].done = True
        seen = scene.reader.progress()
        assert seen.tip_ms >= sent_ms
        assert seen.lag_seconds == 0.0
        assert not scene.lagging
        task.cancel()

    run(go())


def test_empty_pages_in_mid_shard_are_no_tip() -> None:
    """An empty page with a live iterator says nothing of what follows: no barrier is passed by it,
    and the lag goes on growing."""

    async def go() -> None:
        scene = Scene()
        scene.engine.empty_pages = PACE.tip_pages - 1
        scene.write("a")
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.until(lambda: scene.engine.empty_pages == 0)
        seen = scene.reader.progress()
        assert not scene.taken
        assert seen.tip_ms == 0
        assert seen.lag_seconds > 0.0
        await scene.clock.until(lambda: bool(scene.taken))
        await scene.clock.until(lambda: scene.reader.progress().tip_ms > 0)
        assert scene.reader.progress().lag_seconds == 0.0
        task.cancel()

    run(go())


def test_trouble_on_the_way_costs_no_tip_and_another_iterator_does() -> None:
    """After an error the same iterator goes on where it was; a new one may have to be moved over
    empty pages again."""

    async def go() -> None:
        scene = Scene()
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.until(lambda: scene.reader.progress().tip_ms > 0)
        scene.engine.faults = [OutcomeUnknown("no answer")]
        await scene.clock.until(lambda: not scene.engine.faults)
        tip_ms = scene.reader.progress().tip_ms
        await scene.clock.advance(2 * PACE.poll_idle_seconds)
        assert scene.reader.progress().tip_ms > tip_ms
        scene.engine.faults = [refused("ExpiredIteratorException")]
        await scene.clock.until(lambda: not scene.engine.faults)
        tip_ms = scene.reader.progress().tip_ms
        await scene.clock.advance(2 * PACE.poll_idle_seconds)
        assert scene.reader.progress().tip_ms == tip_ms
        await scene.clock.until(lambda: scene.reader.progress().tip_ms > tip_ms)
        task.cancel()

    run(go())


def test_an_idle_shard_is_not_behind_for_the_age_of_its_last_record() -> None:
    """An error, or another iterator, an hour after the last record: behind is what may have come
    since the newest proven tip, and in a busy shard what was fetched and is not applied."""

    async def go() -> None:
        scene = Scene()
        scene.write("a")
        task = asyncio.create_task(scene.reader.run())
        await scene.clock.until(lambda: scene.reader.progress().tip_ms > 0)
        for _ in range(360):
            await scene.clock.advance(10)
            assert scene.reader.progress().lag_seconds == 0.0
        for fault in (OutcomeUnknown("no answer"), refused("ExpiredIteratorException")):
            scene.engine.faults = [fault]
            await scene.clock.until(lambda: not scene.engine.faults)
            await settle()
            await scene.clock.advance(PACE.poll_busy_seconds)
            assert scene.reader.progress().lag_seconds <= 2 * PACE.poll_idle_seconds
            await scene.clock.until(lambda: scene.reader.progress().lag_seconds == 0)
        scene.apply = False
        scene.write("b", "c")
        await scene.clock.until(lambda: len(scene.taken) == 3)
        await scene.clock.advance(4)
        seen = scene.reader.progress()
        assert seen.lag_records == 2
        assert seen.lag_seconds >= 4
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


def test_before_the_first_page_a_shard_is_as_far_behind_as_it_was_left() -> None:
    """Nobody knows yet what comes; the time since is added."""

    async def go() -> None:
        scene = Scene()
        reader = ShardReader(
            scene.engine, "s1", lambda: scene.engine.arn, "9", scene, scene._gap, scene.clock,
            Effort(scene.clock, Random(1), PACE), PACE, lag_seconds=7.0,
        )  # fmt: skip
        await scene.clock.advance(2.0)
        assert reader.progress().lag_seconds == 9.0

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


@pytest.mark.parametrize(("region", "at_tip"), [("ddblocal", True), ("us-east-1", False)])
def test_an_engine_that_rounds_to_minutes_has_tips_too(region: str, *, at_tip: bool) -> None:
    """DynamoDB Local says of a record only in which minute it was made: one of this minute is no
    old one there, while from AWS it shows that the reader was behind."""

    async def go() -> None:
        scene = Scene()
        reading = asyncio.create_task(scene.reader.run())
        await scene.clock.advance(30.0 - scene.clock.wall_ms() / 1000 % 30)
        since = scene.clock.monotonic_seconds()
        for number in range(60):
            made_ms = scene.clock.wall_ms() // 60_000 * 60_000
            scene.engine.write("s1", f"k{number}", made_ms)
            scene.engine.shards["s1"].records[-1]["awsRegion"] = region
            await scene.clock.advance(0.2)
            scene.reader.progress()
        assert (scene.reader.progress().tip_sent_at > since + 5.0) is at_tip
        assert (scene.reader.progress().lag_seconds < 1.0) is at_tip
        reading.cancel()

    run(go())
