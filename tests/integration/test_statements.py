"""Conditional batches: used where an engine shows them in its streams, and only there."""

import secrets
from typing import Any

import boto3
import pytest
from botocore.config import Config

from consumers.probe import statements_are_streamed
from dualwrite.core import metric_names
from dualwrite.core.phases import Phase, Side
from dualwrite.core.records import QUARANTINE
from tests.consumer_harness import World, note, run
from tests.engines_local import dynamodb_local

__all__ = ["dynamodb_local"]

ROWS = 90
PROBES = 2
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def oracle(dynamodb_local: int, table_prefix: str) -> World:
    """On DynamoDB Local, where PartiQL writes have stream records as on AWS."""
    url = f"http://127.0.0.1:{dynamodb_local}"
    client = boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=50),
    )
    return World(url, client, table_prefix)


def test_an_engine_that_hides_them_is_seen_through(
    engine: str, boto: Any, table_prefix: str
) -> None:
    """MiniStack writes no stream record for PartiQL: a copy of a row that is deleted meanwhile
    would stay. The probe leaves no table behind."""

    async def go() -> None:
        world = World(engine, boto, table_prefix)
        name = f"{table_prefix}probe"
        assert await statements_are_streamed(world.wire(), world.clock, name) is False
        assert name not in boto.list_tables()["TableNames"]

    run(go())


def test_an_item_that_expires_leaves_both_sides_without_an_alarm(oracle: World) -> None:
    """A TTL delete on old is replicated like any other: it is no write past the proxy, nothing is
    quarantined, and no repair is left."""

    async def go() -> None:
        ttl = {"AttributeName": "ends", "Enabled": True}
        oracle.boto.update_time_to_live(
            TableName=oracle.notes.old.name, TimeToLiveSpecification=ttl
        )
        async with oracle.consuming():
            oracle.order_backfill(oracle.notes, asked_ms=1)
            await oracle.until(lambda: oracle.backfilled(oracle.notes))
            oracle.mirrored(oracle.notes, note(1))
            ends = {"ends": {"N": str(oracle.clock.wall_ms() // 1000 - 60)}}
            oracle.mirrored(oracle.notes, note(2) | ends)
            await oracle.until(lambda: len(oracle.items(oracle.notes, Side.OLD)) == 1)
            await oracle.until(lambda: len(oracle.items(oracle.notes, Side.NEW)) == 1)
            await oracle.drained()
        assert oracle.equal(oracle.notes)
        assert oracle.records.seen(QUARANTINE) == ()
        assert oracle.metric(metric_names.BYPASS_WRITES, "notes") == 0
        assert oracle.waiting() == oracle.listed() == []

    run(go())


def test_batches_copy_what_is_absent_and_only_that(oracle: World) -> None:
    """On an engine that shows them: everything is copied, in few calls; what is newer stays; what
    cannot be mapped is left; a row deleted while the backfill held it is on neither side."""

    async def go() -> None:
        for number in range(ROWS):
            oracle.put(oracle.notes, Side.OLD, note(number, title=f"it's {number}"))
        newer = oracle.mirrored(oracle.notes, note(3, title="newer"))
        oracle.put(oracle.notes, Side.OLD, note(500, tenant="nobody"))
        dynamo = oracle.wire()
        deleted = note(7)

        async def delete_between(operation: str, request: Any) -> None:
            texts = [s["Statement"] for s in request.get("Statements", ())]
            if any(text.startswith("INSERT") and "partition_key" in text for text in texts):
                oracle.delete(oracle.notes, Side.OLD, deleted)

        dynamo.before = delete_between
        consumer = oracle.consumer(
            dynamo=dynamo, probe_table=f"{oracle.prefix}probe-{secrets.token_hex(2)}"
        )
        oracle.epochs.default = type(oracle.epochs.default)("", 1, Phase.OFF)
        async with oracle.consuming(consumer):
            await oracle.drained()
            oracle.set_phase(oracle.notes, Phase.MIRROR_OLD)
            oracle.order_backfill(oracle.notes)
            await oracle.until(lambda: oracle.backfilled(oracle.notes))
            await oracle.drained()
            await oracle.drained()
        assert oracle.equal(oracle.notes)
        stored = newer.stored(Side.NEW)
        assert oracle.item(oracle.notes, Side.NEW, stored) == stored
        assert len(oracle.items(oracle.notes, Side.NEW)) == ROWS - 1
        assert dynamo.calls["BatchExecuteStatement"] > PROBES
        assert dynamo.calls["PutItem"] < ROWS
        assert sum(one.left for one in oracle.segments(oracle.notes)) == 1
        assert sum(one.present for one in oracle.segments(oracle.notes)) >= 1

    run(go())
