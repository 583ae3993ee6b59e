"""Consumers that share their work over real queues; the broker is killed, and loses all it held."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import orjson
import pytest
from kafka import KafkaConsumer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from consumers.mutations import Mutations
from dualwrite.adapters.kafka_feed import KafkaFeed
from dualwrite.adapters.kafka_queue import KafkaQueue
from dualwrite.adapters.kafka_topics import TooLarge, WrongTopic
from dualwrite.adapters.record_queue import RecordQueue
from dualwrite.core import metric_names
from dualwrite.core.phases import Side
from dualwrite.core.ports import FeedEvent, Lane, Parcel, WorkQueue
from tests.consumer_harness import QUICK, WAIT_SECONDS_MAX, Life, Mortal, World, note, run
from tests.integration.test_consumers_share import Members, mortal
from tests.kafka_local import Broker, kafka, own_broker

__all__ = ["kafka", "own_broker"]

pytestmark = pytest.mark.timeout(400)
"""A broker takes a minute to start on a machine that has other things to do."""
PACE = replace(QUICK, unsettled_seconds_max=3.0, step_back_seconds=2.0)
ROWS = 40


@pytest.fixture
def world(engine: str, boto: Any, table_prefix: str) -> World:
    return World(engine, boto, table_prefix, pace=PACE)


async def joined(broker: Broker, prefix: str) -> WorkQueue:
    queue = KafkaQueue(broker.place(prefix))
    await queue.start()
    return queue


def jobs(world: World, lane: Lane, result: str) -> float:
    return world.metric(metric_names.QUEUE_JOBS, lane.value, result)


def strand(world: World, first: int, amount: int) -> None:
    """Writes whose mirrored half never came."""
    for number in range(first, first + amount):
        world.mirrored(world.notes, note(number), Side.OLD)


@pytest.mark.parametrize("kind", ["control table", "kafka"])
def test_keys_and_segments_are_shared_and_all_becomes_equal(
    world: World, request: pytest.FixtureRequest, kind: str
) -> None:
    """Two consumers, one of which loses its engine with work in hand: the past is copied, missed
    writes are cured, each through the queue, and nothing is left different."""

    async def member(name: str, records: Any) -> WorkQueue:
        if kind == "kafka":
            return await joined(request.getfixturevalue("kafka"), world.prefix + "share")
        return RecordQueue(records, world.clock, name)

    async def go() -> None:
        for number in range(ROWS):
            world.put(world.tasks, Side.OLD, task(number))
        members = Members(world, "one", "two")
        life = Life()
        alive = Mortal(world.records, life)
        one = world.consumer("one", mortal(world, life), alive, queue=await member("one", alive))
        two = world.consumer("two", queue=await member("two", world.records))
        async with world.consuming(one, two):
            world.order_backfill(world.tasks, segments=4)
            strand(world, 0, ROWS)
            await world.until(lambda: jobs(world, Lane.DIRTY, "taken") > 0)
            members.alive.discard("one")
            life.over = True
            strand(world, ROWS, ROWS)
            await world.until(lambda: world.backfilled(world.tasks, 4))
            await world.until(lambda: len(world.items(world.notes, Side.NEW)) == 2 * ROWS)
            await world.drained()
        members.task.cancel()
        assert world.equal(world.notes)
        assert world.equal(world.tasks)
        assert len(world.items(world.tasks, Side.NEW)) == ROWS
        assert jobs(world, Lane.DIRTY, "done") > 0

    run(go())


def test_what_a_killed_member_held_goes_to_another(kafka: Broker, table_prefix: str) -> None:
    """SIGKILL with jobs in hand: after the group's session time they come again, all of them."""
    place = kafka.place(table_prefix + "killed")

    async def go() -> None:
        member = await asyncio.create_subprocess_exec(
            sys.executable, "-c", MEMBER, place.servers[0], place.prefix, stdout=subprocess.PIPE
        )
        assert member.stdout is not None
        held = int(await asyncio.wait_for(member.stdout.readline(), WAIT_SECONDS_MAX))
        assert held == ROWS
        member.kill()
        await member.wait()
        queue = await joined(kafka, place.prefix)
        found: set[str] = set()
        while len(found) < ROWS:
            jobs = await queue.take(Lane.DIRTY, ROWS)
            found |= {job.parcel.key for job in jobs}
            await queue.ack(jobs)
            await asyncio.sleep(0.05)
        await queue.close()

    run(go())


MEMBER = f"""
import asyncio, sys
from dualwrite.adapters.kafka_queue import KafkaQueue
from dualwrite.adapters.kafka_topics import KafkaPlace
from dualwrite.core.ports import Lane, Parcel

async def go():
    queue = KafkaQueue(KafkaPlace((sys.argv[1],), sys.argv[2]))
    await queue.start()
    await queue.put(Lane.DIRTY, [Parcel(str(n), {{}}) for n in range({ROWS})])
    held = 0
    while held < {ROWS}:
        held += len(await queue.take(Lane.DIRTY, {ROWS}))
        await asyncio.sleep(0.05)
    print(held, flush=True)
    await asyncio.sleep(600)

asyncio.run(go())
"""


def task(number: int) -> dict[str, Any]:
    return {
        "list_id": {"S": f"l{number % 3}"},
        "task_id": {"S": f"t{number:04d}"},
        "endpoint_id": {"S": "acme-prod"},
    }


def test_losing_the_broker_and_every_topic_loses_no_data(world: World, own_broker: Broker) -> None:
    """SIGKILL and an empty disk with work on the queue: no checkpoint had passed what only the
    queue knew of, so that the keys are put there again, and no sweep is needed even."""

    async def go() -> None:
        queue = await joined(own_broker, "lost")
        members = Members(world, "one")
        async with world.consuming(world.consumer("one", queue=queue)):
            strand(world, 0, ROWS)
            await world.until(lambda: jobs(world, Lane.DIRTY, "done") > 0)
            own_broker.kill()
            strand(world, ROWS, ROWS)
            own_broker.lose_everything()
            await asyncio.to_thread(own_broker.start)
            strand(world, 2 * ROWS, ROWS)
            await world.until(lambda: len(world.items(world.notes, Side.NEW)) == 3 * ROWS)
            await world.drained()
        members.task.cancel()
        assert world.equal(world.notes)

    run(go())


def test_a_broker_that_is_killed_and_comes_back_is_worked_with_on(
    world: World, own_broker: Broker
) -> None:
    """What it held is on its disk; while it is away nothing is lost, and nothing is proven."""

    async def go() -> None:
        queue = await joined(own_broker, "back")
        members = Members(world, "one")
        async with world.consuming(world.consumer("one", queue=queue)):
            strand(world, 0, ROWS)
            own_broker.kill()
            strand(world, ROWS, ROWS)
            await asyncio.to_thread(own_broker.start)
            await world.until(lambda: len(world.items(world.notes, Side.NEW)) == 2 * ROWS)
            await world.drained()
        members.task.cancel()
        assert world.equal(world.notes)

    run(go())


def test_topics_are_made_so_that_they_keep_what_they_are_given(
    kafka: Broker, table_prefix: str
) -> None:
    """At the start of the first member; a second one finds them and changes nothing."""
    place = kafka.place(f"{table_prefix}made")
    topics = [place.topic(lane.value) for lane in Lane]
    admin = KafkaAdminClient(bootstrap_servers=kafka.server)

    async def go() -> None:
        first = await joined(kafka, place.prefix)
        made = {one["name"]: one["topic_id"] for one in admin.describe_topics(topics)}
        second = await joined(kafka, place.prefix)
        assert made == {one["name"]: one["topic_id"] for one in admin.describe_topics(topics)}
        await first.close()
        await second.close()

    run(go())
    assert {len(one["partitions"]) for one in admin.describe_topics(topics)} == {12}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
    for settings in admin.describe_configs(resources, config_filter="all")["topic"].values():
        seen = {name: setting["value"] for name, setting in settings.items()}
        assert seen["cleanup.policy"] == "delete"
        assert seen["retention.ms"] == str(7 * 24 * 3600 * 1000)
        assert seen["retention.bytes"] == "-1"
        assert seen["unclean.leader.election.enable"] == "false"
    admin.close()


def test_a_topic_that_would_lose_work_is_refused_plainly(kafka: Broker, table_prefix: str) -> None:
    """A compacted topic keeps only the newest message of a key: the start says so."""
    admin = KafkaAdminClient(bootstrap_servers=kafka.server)
    topic = f"{table_prefix}wrong.{Lane.DIRTY.value}"
    admin.create_topics(
        {topic: {"num_partitions": 1, "replication_factor": 1,
                 "configs": {"cleanup.policy": "compact"}}}
    )  # fmt: skip
    admin.wait_for_topics([topic])
    admin.close()

    async def go() -> None:
        with pytest.raises(WrongTopic, match=r"cleanup\.policy is compact, not delete"):
            await joined(kafka, f"{table_prefix}wrong")

    run(go())


@pytest.mark.parametrize("images", [False, True])
def test_the_feed_tells_each_committed_write_once_by_its_id(
    world: World, kafka: Broker, images: bool
) -> None:
    """One event a write, in order of each key, with both stamps; items only where asked; nothing
    of what the service itself writes."""

    async def go() -> None:
        feed = KafkaFeed(kafka.place(world.prefix + "feed"))
        await feed.start()
        members = Members(world, "one")
        consumer = world.consumer("one", feed=feed, mutations=Mutations(images=images))
        async with world.consuming(consumer):
            first = world.mirrored(world.notes, note(1, text="a"))
            second = world.mirrored(world.notes, note(1, text="b"), Side.OLD)
            world.put(world.tasks, Side.OLD, task(1))
            world.order_backfill(world.tasks)
            await world.until(lambda: world.backfilled(world.tasks))
            world.delete(world.notes, Side.OLD, note(1))
            await world.drained()
            await world.drained()
        members.task.cancel()
        events = [e for e in told(kafka, world.prefix + "feed") if e["table"] == "notes"]
        by_id = {event["id"]: event for event in events}
        assert [event["event"] for event in by_id.values()] == ["insert", "modify", "remove"]
        stamps = [row.stored(Side.OLD)["dw_stamp"]["S"] for row in (first, second)]
        modify = by_id[stamps[1]]
        assert (modify["stamp_before"], modify["stamp"]) == (stamps[0], stamps[1])
        assert modify["key"] == {"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": "n00001"}}
        if images:
            assert modify["after"] == note(1, text="b")
        else:
            assert not {"before", "after"} & modify.keys()
        assert sum(e["table"] == "tasks" for e in told(kafka, world.prefix + "feed")) == 1

    run(go())


def test_an_item_too_large_for_the_topic_holds_up_nobody(world: World, kafka: Broker) -> None:
    """395 KB are over 1 MB as an event with images: it comes without them, and says so; what is
    written before and after it comes whole, once each."""
    large = note(2, text="x") | {"data": {"B": b"x" * 395_000}}

    async def go() -> None:
        feed = KafkaFeed(kafka.place(world.prefix + "large"))
        await feed.start()
        members = Members(world, "one")
        consumer = world.consumer("one", feed=feed, mutations=Mutations(images=True))
        for number in (1, 2, 2, 3):
            world.mirrored(world.notes, large if number == 2 else note(number, text="a"))
        async with world.consuming(consumer):
            await world.drained()
            await world.drained()
        members.task.cancel()

    run(go())
    events = told(kafka, world.prefix + "large")
    sizes = {event["key"]["note_id"]["S"][-1]: event.get("images") for event in events}
    assert sizes == {"1": None, "2": "too large", "3": None}
    assert len({event["id"] for event in events}) == len(events) == 4


def test_the_topic_says_how_long_an_event_may_be(kafka: Broker, table_prefix: str) -> None:
    """As its setting was at the start; one that is lowered later is found by refusals, which are no
    sign that the broker is away."""
    place = kafka.place(table_prefix + "room")
    admin = KafkaAdminClient(bootstrap_servers=kafka.server)
    topic = place.topic("mutations")

    def set_bytes_max(bytes_max: int) -> None:
        settings = {"max.message.bytes": str(bytes_max)}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])

    def an_event(feed: KafkaFeed) -> FeedEvent:
        return FeedEvent(b"k", orjson.dumps("x" * (feed.event_bytes_max - 3)))

    async def go() -> None:
        feed = KafkaFeed(place)
        await feed.start()
        assert 1_000_000 < feed.event_bytes_max < 1_048_576
        await feed.tell([an_event(feed)])
        set_bytes_max(3_000_000)
        again = KafkaFeed(place)
        await again.start()
        assert again.event_bytes_max > 2_900_000
        await again.tell([an_event(again)])
        set_bytes_max(1_000_000)
        for _ in range(2):
            with pytest.raises(TooLarge):
                await again.tell([an_event(again)])
        await again.tell([an_event(again)])
        await feed.close()
        await again.close()

    run(go())
    admin.close()
    assert [len(text) for text in told(kafka, place.prefix)][1] > 2_900_000


def test_a_job_too_large_for_the_dead_letters_is_buried_in_short(
    kafka: Broker, table_prefix: str
) -> None:
    """Else nobody could ever acknowledge it."""
    place = kafka.place(table_prefix + "dead")

    async def go() -> None:
        queue = await joined(kafka, place.prefix)
        await queue.bury(Parcel("k" * 2000, {"text": "x" * 1_100_000}), "no dirty key")
        await queue.close()

    run(go())
    [letter] = told(kafka, place.prefix, Lane.DEAD.value)
    assert letter == {"reason": "no dirty key; it is too large to be kept"}


def told(broker: Broker, prefix: str, topic: str = "mutations") -> list[dict[str, Any]]:
    """All that stands on a topic."""
    consumer = KafkaConsumer(
        f"{prefix}.{topic}",
        bootstrap_servers=broker.server,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=1500,
        group_id=None,
    )
    try:
        return [json.loads(message.value) for message in consumer]
    finally:
        consumer.close()
