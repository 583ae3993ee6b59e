"""What is measured, one function a figure; each on fresh tables."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from pynamodb.attributes import ListAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from bench.consumers.scene import Scene, old_item
from consumers.consumer import Consumer
from consumers.pace import Pace
from dualwrite.adapters.parents import ParentRows
from dualwrite.adapters.wire import WireClient
from dualwrite.core import metric_names
from dualwrite.core.items import key_of
from dualwrite.core.phases import Side
from dualwrite.core.records import BACKFILL, SEGMENT, BackfillOrder, Segment, dump, load
from verifier.passes import Passes
from verifier.reading import TableReader

POLL_SECONDS = 0.02
SECONDS_MAX = 600.0
SEGMENTS = 4
IN_FLIGHT = 16
PACE = replace(Pace(), match_seconds=0.2, control_seconds=0.1, segments_in_flight_max=SEGMENTS)


@dataclass(frozen=True, slots=True)
class Figure:
    """So many of something, in seconds of the clock and of this process's CPU."""

    name: str
    amount: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.amount / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.amount / max(self.cpu_seconds, 1e-9)


class Stopwatch:
    """Both clocks from its making on."""

    def __init__(self) -> None:
        self._at, self._cpu = time.monotonic(), time.process_time()

    def figure(self, name: str, amount: int) -> Figure:
        return Figure(name, amount, time.monotonic() - self._at, time.process_time() - self._cpu)


def memory_mb() -> float:
    """The most this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def clean(scene: Scene, amount: int) -> Figure:
    """Records of both streams whose stamps and images are equal: proven clean without a read."""
    scene.open_streams()
    scene.fill(amount, *Side, stamped=True)
    async with scene.consumer(PACE) as (_, _, consumer):
        watch = Stopwatch()
        async with _consuming(consumer):
            await _until(lambda: scene.counts.total(metric_names.RECORDS, "proven") >= amount)
            return watch.figure("clean records", 2 * amount)


async def dirty(scene: Scene, amount: int) -> tuple[Figure, Figure]:
    """Keys whose mirrored write never came; and what the engine takes of the same calls alone."""
    scene.open_streams()
    scene.fill(amount, Side.OLD, stamped=True)
    async with scene.consumer(PACE) as (wire, _, consumer):
        watch = Stopwatch()
        async with _consuming(consumer):
            await _until(lambda: scene.counts.total(metric_names.RECONCILES, "cured") >= amount)
            ours = watch.figure("dirty keys reconciled", amount)
        return ours, await _same_calls(scene, wire, amount)


async def _same_calls(scene: Scene, wire: WireClient, amount: int) -> Figure:
    """A read of either side and a write of one, for each key, with nothing decided."""
    free = asyncio.Semaphore(IN_FLIGHT)
    table = scene.table

    async def one(number: int) -> None:
        item = old_item(number)
        key = key_of(item, table.old.keys)
        async with free:
            read = {"TableName": table.old.name, "Key": key, "ConsistentRead": True}
            await wire.call("GetItem", read)
            await wire.call("GetItem", read)
            await wire.call("PutItem", {"TableName": table.old.name, "Item": item})

    watch = Stopwatch()
    await asyncio.gather(*map(one, range(amount)))
    return watch.figure("the same calls alone", amount)


async def backfill(scene: Scene, amount: int, together: int) -> Figure:
    """Conditional copies of items that stand on old."""
    scene.fill(amount, Side.OLD, stamped=False)
    scene.open_streams()
    name = scene.table.name
    async with scene.consumer(PACE) as (_, records, consumer):
        order = BackfillOrder(
            "run", "run", SEGMENTS, scene.clock.wall_ms(), items_together=together
        )
        watch = Stopwatch()
        await records.write(BACKFILL, name, dump(order), expected=None)
        async with _consuming(consumer):
            while True:
                held = [load(Segment, r.value) for r in await records.list(SEGMENT, f"{name}/run/")]
                if len(held) == SEGMENTS and all(one.done for one in held):
                    break
                await asyncio.sleep(POLL_SECONDS)
            word = "one by one" if together == 1 else f"{together} in a transaction"
            return watch.figure(f"backfill, {word}", amount)


def plans_own_script(scene: Scene, amount: int) -> Figure:
    """The plan's script: a PynamoDB scan, each row saved by itself, nothing conditional."""
    scene.fill(amount, Side.OLD, stamped=False)

    class Base(Model):
        row_id = UnicodeAttribute(range_key=True)
        count_ = NumberAttribute(attr_name="count")
        text = UnicodeAttribute()
        labels: ListAttribute[Any] = ListAttribute()

    meta = {
        "host": scene.url,
        "region": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    old = type(
        "Old",
        (Base,),
        {
            "Meta": type("Meta", (), meta | {"table_name": scene.table.old.name}),
            "endpoint_id": UnicodeAttribute(hash_key=True),
        },
    )
    new = type(
        "New",
        (Base,),
        {
            "Meta": type("Meta", (), meta | {"table_name": scene.table.new.name}),
            "partition_key": UnicodeAttribute(hash_key=True),
            "endpoint_id": UnicodeAttribute(),
            "part_id": UnicodeAttribute(),
        },
    )
    watch = Stopwatch()
    for row in old.scan():
        new(
            partition_key=f"{row.endpoint_id}#{row.endpoint_id}",
            row_id=row.row_id,
            endpoint_id=row.endpoint_id,
            part_id=row.endpoint_id,
            count_=row.count_,
            text=row.text,
            labels=row.labels,
        ).save()
    return watch.figure("the plan's own script", amount)


def boto_batches(scene: Scene, amount: int) -> Figure:
    """A boto3 scan and batch_writer: blind, so that it overwrites what is newer."""
    import boto3

    scene.fill(amount, Side.OLD, stamped=False)
    resource_ = boto3.resource(
        "dynamodb",
        endpoint_url=scene.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    watch = Stopwatch()
    old, new = (resource_.Table(scene.table.side(side).name) for side in Side)
    more: dict[str, Any] = {}
    with new.batch_writer() as writer:
        while True:
            page = old.scan(ConsistentRead=True, **more)
            for item in page["Items"]:
                writer.put_item(
                    Item=item | {"partition_key": f"{item['endpoint_id']}#{item['endpoint_id']}"}
                )
            if "LastEvaluatedKey" not in page:
                break
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    return watch.figure("boto3 scan and batch_writer", amount)


async def sweep(scene: Scene, amount: int) -> Figure:
    """Pairs of items compared, both tables whole."""
    scene.fill(amount, *Side, stamped=True)
    async with scene.consumer(PACE) as (wire, _, _):
        passes = Passes(
            scene.table,
            Side.OLD,
            TableReader(wire, scene.clock, calls_max=8),
            ParentRows(wire, scene.migration, scene.epochs, scene.clock),
            None,
            scene.clock,
            leads=lambda: True,
        )
        watch = Stopwatch()
        tally = await passes.run()
        if tally.missing or tally.extra or tally.different or tally.errors:
            raise ValueError(f"the sweep found what is not there: {tally}")
        return watch.figure("sweep, pairs", amount)


@asynccontextmanager
async def _consuming(consumer: Consumer) -> AsyncIterator[None]:
    running = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        await consumer.stop()
        await asyncio.gather(running, return_exceptions=True)


async def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done in {SECONDS_MAX:g} s")
        await asyncio.sleep(POLL_SECONDS)
