"""The whole service over a real Kafka: real processes on DynamoDB Local share the work of a broker
that loses its topics."""

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from kafka.admin import KafkaAdminClient

from dualwrite import spec_file
from dualwrite.core.items import Item
from dualwrite.core.phases import Side
from dualwrite.core.ports import Lane
from dualwrite.core.records import SEGMENT, SWEEP_PART
from tests.consumer_harness import are_equal, items_of
from tests.engines_chosen import free_port
from tests.engines_local import dynamodb_local
from tests.kafka_local import Broker, kafka
from tests.live_service import Up, Writer
from tests.process_harness import Installation, until

__all__ = ["dynamodb_local", "kafka"]

pytestmark = pytest.mark.timeout(900)
"""Broker, engine and service take minutes to start on a machine that has other things to do."""
PATIENCE_SECONDS = 240.0
"""A successor waits for the lease of a killed controller; what was lost has to be missed first."""
PAST = 240
SEGMENTS = 16
ROWS = 24
TENANT = {"S": "acme-corp-prod"}


@pytest.fixture
def database() -> str:
    """An access key; DynamoDB Local keeps a database apart for each."""
    return f"kafka{secrets.token_hex(6)}"


@pytest.fixture
def engine(dynamodb_local: int, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """DynamoDB Local, instead of the suite's default; the processes find it with this key."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", database)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return f"http://127.0.0.1:{dynamodb_local}"


@pytest.fixture
def boto(engine: str, database: str) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=engine,
        region_name="us-east-1",
        aws_access_key_id=database,
        aws_secret_access_key="none",
        config=Config(max_pool_connections=50),
    )


class Scene:
    """The example's table of tasks, with a past, mirrored by a service of two consumers."""

    def __init__(
        self, installation: Installation, boto: Any, broker: Broker, prefix: str, log: Path
    ) -> None:
        self._installation = installation
        self.boto = boto
        self.broker = broker
        self.prefix = prefix
        self._migration = spec_file.load(installation.spec)
        self.tasks = self._migration.by_name["tasks"]
        for number in range(PAST):
            self.put_past(number, "past")
        installation.json("check", "--apply")
        queue = f"kafka://{broker.server}/{prefix}"
        port = free_port()
        arguments = ("--consumers", "2", "--queue", queue, "--port", str(port))
        self.up = Up(installation, log, *arguments)
        self.verb("advance", "mirror/old", "--reason", "test")
        table = self.tasks.old.name
        self.writers = [
            Writer(port, table, f"w{n}", [row(f"w{n}", number) for number in range(ROWS)])
            for n in range(2)
        ]

    def verb(self, verb: str, *arguments: str) -> Any:
        return self._installation.json(verb, *arguments, "--table", "tasks")

    def status(self) -> Any:
        found = self._installation.json("status")["tables"]
        return next(table for table in found if table["table"] == "tasks")

    def put_past(self, number: int, text: str) -> None:
        """A write to old past any proxy."""
        item = row("past", number) | {"text": {"S": text}}
        self.boto.put_item(TableName=self.tasks.old.name, Item=item)

    @contextmanager
    def past_changing(self, text: str) -> Iterator[None]:
        """Writes past any proxy go on until the end, so that there is work at any time; the last
        ones say ``text``."""
        over = threading.Event()

        def write() -> None:
            for turn in count():
                for number in range(PAST):
                    if over.wait(0.01):
                        return
                    self.put_past(number, f"turn {turn}")

        writing = threading.Thread(target=write)
        writing.start()
        try:
            yield
        finally:
            over.set()
            writing.join()
            for number in range(PAST):
                self.put_past(number, text)

    def backfilled(self) -> bool:
        return bool(self.status()["backfill"]["complete"])

    def gates(self) -> dict[str, str]:
        """The verdicts over the next move."""
        [table] = self.verb("plan")["tables"]
        return {gate["gate"]: gate["verdict"] for gate in table["gates"]}

    @contextmanager
    def watched(self, kind: str) -> Iterator[set[str]]:
        """Which processes own a record of this kind at any time, until the end."""
        seen: set[str] = set()
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.02):
                found = self.boto.query(
                    TableName=self._migration.control_table,
                    KeyConditionExpression="pk = :kind",
                    ExpressionAttributeValues={":kind": {"S": kind}},
                    ConsistentRead=True,
                )
                seen.update(json.loads(item["value"]["S"])["owner"] for item in found["Items"])
                seen.discard("")

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield seen
        finally:
            over.set()
            watching.join()

    def verified(self) -> None:
        """Asserts that a sweep finds nothing different, and that reading both tables does not."""
        assert self.verb("verify")["status"] == "done"
        drift = self.status()["drift"]
        assert drift["clean"], drift
        assert are_equal(self.boto, self.tasks)

    def nothing_lost_nothing_repeated(self) -> None:
        """Asserts that each row is as its only writer may expect it."""
        stored = items_of(self.boto, self.tasks, Side.OLD).values()
        rows = {(item["coordination_uuid"]["S"], item["task_uuid"]["S"]): item for item in stored}
        for writer in self.writers:
            for number, (sure, maybe) in writer.hits.items():
                found = rows.get((writer.name, f"t{number:04d}"), {})
                hits = int(found.get("hits", {"N": "0"})["N"])
                assert sure <= hits <= sure + maybe, (writer.name, number)
            for number, allowed in writer.texts.items():
                found = rows.get((writer.name, f"t{number:04d}"), {})
                assert found.get("text", {}).get("S") in allowed, (writer.name, number)


def row(group: str, number: int) -> Item:
    key = {"coordination_uuid": {"S": group}, "task_uuid": {"S": f"t{number:04d}"}}
    return key | {"endpoint_id": TENANT, "task_name": {"S": "a task"}}


@pytest.fixture
def scene(
    installation: Installation, boto: Any, kafka: Broker, table_prefix: str, tmp_path: Path
) -> Scene:
    return Scene(installation, boto, kafka, f"{table_prefix}live", tmp_path / "up.log")


def test_losing_every_topic_costs_time_and_no_data(scene: Scene) -> None:
    """All topics are deleted in the midst of a backfill and live writes: while work is not proven
    done the gates say so, then both consumers have copied segments and compared parts of a sweep
    that the queue gave them, and it finds nothing different."""
    for writer in scene.writers:
        writer.start()
    scene.verb("backfill", "start", "--segments", str(SEGMENTS), "--write-units-per-second", "40")
    with scene.watched(SEGMENT) as copying:
        until(lambda: items_of(scene.boto, scene.tasks, Side.NEW) != {})
        admin = KafkaAdminClient(bootstrap_servers=scene.broker.server)
        topics = [f"{scene.prefix}.{lane.value}" for lane in Lane]
        before = {one["name"]: one["topic_id"] for one in admin.describe_topics(topics)}
        with scene.past_changing("changed past the proxy"):
            admin.delete_topics(topics)
            until(lambda: scene.gates()["lag_bounded"] != "open", PATIENCE_SECONDS)
        until(scene.backfilled, PATIENCE_SECONDS)
    assert len(copying) == 2
    for writer in scene.writers:
        writer.stop()
    until(lambda: scene.gates()["lag_bounded"] == "open", PATIENCE_SECONDS)
    with scene.watched(SWEEP_PART) as comparing:
        scene.verified()
    assert len(comparing) == 2
    after = {one["name"]: one["topic_id"] for one in admin.describe_topics(topics)}
    admin.close()
    assert all(after[topic] != before[topic] for topic in topics)
    scene.nothing_lost_nothing_repeated()
    texts = {item["text"]["S"] for item in items_of(scene.boto, scene.tasks, Side.NEW).values()
             if item["coordination_uuid"]["S"] == "past"}  # fmt: skip
    assert texts == {"changed past the proxy"}
