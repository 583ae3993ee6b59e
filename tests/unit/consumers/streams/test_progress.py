"""How far the reader of a shard is: proven tips, and how much it is behind."""

import asyncio
from random import Random

import pytest

from consumers.effort import Effort
from consumers.streams.reader import ShardReader
from dualwrite.core.errors import OutcomeUnknown
from tests.fakes.clock import settle
from tests.fakes.shards import refused
from tests.unit.consumers.streams.reader_scene import PACE, Scene, run


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
