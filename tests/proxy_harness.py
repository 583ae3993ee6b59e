"""A real proxy before a real engine, and beside it plain tables to compare every answer with."""

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import uvloop
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

from dualwrite.adapters.big_transactions import BigTransactionCounts
from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.parents import ParentRows
from dualwrite.adapters.repair_queue import Repairs
from dualwrite.adapters.wire import WireClient
from dualwrite.core.compare import Verdict, compare
from dualwrite.core.errors import OutcomeUnknown, Refused, Unreachable
from dualwrite.core.items import KeyAttribute, KeySchema, key_of
from dualwrite.core.phases import Kind, Phase, Side, TableState
from dualwrite.core.spec import (
    Derivation,
    IndexSpec,
    LookupHow,
    MigratedTable,
    Migration,
    ParentLookup,
    TableSide,
    Template,
    ValueMap,
)
from dualwrite.core.transform import translate_key
from dualwrite.proxy.front import Front
from dualwrite.proxy.proxy import Proxy
from dualwrite.proxy.server import Server
from tests.engines_chosen import EngineName
from tests.fakes.epochs import SetEpochs
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import MemoryRecords

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=none"
)
TENANTS = {
    "acme-prod": ("aws-1", "acme"),
    "bolt-prod": ("aws-1", "bolt"),
    "cyan-dev": ("gcp-2", "cyan"),
}
MAPPING = ValueMap("tenants", ("endpoint_id", "part_id"), TENANTS)
TEMPLATES = (("partition_key", Template("{endpoint_id}#{part_id}")),)


def a_migration(prefix: str) -> Migration:
    """A table whose key changes, some whose keys stay (one of them with keys that are no strings,
    one whose rows look at their parents), and one that is changed in place. One index orders the
    same partitions by another attribute in each design."""

    def side(
        name: str, hash_name: str, range_name: str, *indexes: IndexSpec, types: str = "SS"
    ) -> TableSide:
        keys = KeySchema(KeyAttribute(hash_name, types[0]), KeyAttribute(range_name, types[1]))
        return TableSide(prefix + name, keys, indexes)

    by_owner = IndexSpec(
        "owner-index", KeySchema(KeyAttribute("list_id"), KeyAttribute("owner")), local=True
    )
    by_time = [
        IndexSpec("time-index", KeySchema(KeyAttribute("list_id"), KeyAttribute(name)), local=True)
        for name in ("created", "changed")
    ]
    own = Derivation("endpoint_id", MAPPING, TEMPLATES)
    parent = ParentLookup("tasks", LookupHow.KEY, (("list_id", "list_id"), ("task_id", "task_id")))
    tables = (
        MigratedTable(
            "notes", Kind.REKEY, side("notes", "endpoint_id", "note_id"),
            side("notes-v2", "partition_key", "note_id"), own,
        ),
        MigratedTable(
            "tasks", Kind.REKEY, side("tasks", "list_id", "task_id", by_owner, by_time[0]),
            side("tasks-v2", "list_id", "task_id", by_owner, by_time[1]), own,
        ),
        MigratedTable(
            "samples", Kind.REKEY, side("samples", "at", "mark", types="NB"),
            side("samples-v2", "at", "mark", types="NB"), own,
        ),
        MigratedTable(
            "events", Kind.REKEY, side("events", "list_id", "event_id"),
            side("events-v2", "list_id", "event_id"),
            Derivation("endpoint_id", MAPPING, TEMPLATES, (parent,)),
        ),
        MigratedTable(
            "steps", Kind.IN_PLACE, side("steps", "task_id", "step_id"),
            side("steps", "task_id", "step_id"),
            Derivation(None, MAPPING, TEMPLATES, (parent,)),
        ),
    )  # fmt: skip
    return Migration("test", "#", tables, prefix + "control")


def all_items(boto: Any, name: str) -> list[dict[str, Any]]:
    """All pages of a table."""
    pages = boto.get_paginator("scan").paginate(TableName=name, ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]


def create_table(boto: Any, side: TableSide, name: str | None = None) -> None:
    """Create a physical table as the spec has it, stream on."""
    attributes = {a.name: a.type for a in side.keys.attributes}
    indexes: dict[str, list[dict[str, Any]]] = {}
    for index in side.indexes:
        attributes |= {a.name: a.type for a in index.keys.attributes}
        kind = "LocalSecondaryIndexes" if index.local else "GlobalSecondaryIndexes"
        indexes.setdefault(kind, []).append(
            {
                "IndexName": index.name,
                "KeySchema": schema_of(index.keys),
                "Projection": {"ProjectionType": "ALL"},
            }
        )
    boto.create_table(
        TableName=name or side.name,
        KeySchema=schema_of(side.keys),
        AttributeDefinitions=[
            {"AttributeName": key, "AttributeType": kind} for key, kind in attributes.items()
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        **indexes,
    )


def schema_of(keys: KeySchema) -> list[dict[str, str]]:
    return [
        {"AttributeName": attribute.name, "KeyType": kind}
        for attribute, kind in zip(keys.attributes, ("HASH", "RANGE"), strict=False)
    ]


def client_for(url: str, access_key: str = "test") -> Any:
    """A boto3 client that sends each call once and checks nothing itself."""
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key="test",
        config=Config(
            retries={"total_max_attempts": 1}, parameter_validation=False, max_pool_connections=50
        ),
    )


@contextmanager
def running_loop() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """A uvloop in a thread of its own; yields a function that runs a coroutine there."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@dataclass
class Rig:
    """The proxy under test, its world, and the plain tables it is compared with."""

    migration: Migration
    epochs: SetEpochs
    records: MemoryRecords
    metrics: MemoryMetrics
    engine: Any
    """boto3 client at the engine."""
    proxied: Any
    """boto3 client at the proxy."""
    url: str
    prefix: str
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    beside: Any
    """boto3 client at a second proxy before the same tables."""
    hop: "Hop"
    """Between proxy and engine; loses what a test tells it to."""
    proxy: Proxy
    engine_name: EngineName = EngineName.MINISTACK
    tables: dict[str, MigratedTable] = field(default_factory=dict)

    @property
    def reference(self) -> bool:
        """Whether the engine is exact in what it accepts and tells."""
        return self.engine_name is EngineName.DYNAMODB_LOCAL

    def stand(
        self, phase: Phase, *, read_share: int = 0, shadow_share: int = 0, epoch: int = 1
    ) -> None:
        """Put all tables into a phase; in-place ones stay in theirs."""
        for table in self.migration.tables:
            there = phase
            if table.kind is Kind.IN_PLACE and phase not in (Phase.OFF, Phase.DONE):
                there = Phase.MIRROR_OLD
            self.epochs.states[table.name] = TableState(
                table.name, epoch, there, read_share, shadow_share
            )

    def until(self, condition: Callable[[], bool], seconds_max: float = 20.0) -> None:
        """Wait for what the proxy does beside its answers."""
        deadline = time.monotonic() + seconds_max
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true"
            time.sleep(0.01)

    def items(self, table: str, side: Side) -> list[dict[str, Any]]:
        """All items as they are stored on one side."""
        found = all_items(self.engine, self.tables[table].side(side).name)
        return [{name: wire_form(value) for name, value in item.items()} for item in found]

    def differences(self, table: str, leader: Side) -> list[str]:
        """Keys on which the two sides do not agree; empty for equal tables."""
        spec = self.tables[table]
        found = []
        there = {str(sorted(key_of(item, spec.side(leader.other).keys).items())): item
                 for item in self.items(table, leader.other)}  # fmt: skip
        for item in self.items(table, leader):
            key = translate_key(spec, key_of(item, spec.side(leader).keys), leader, leader.other)
            assert isinstance(key, dict), f"{key} has no place"
            other = there.pop(str(sorted(key.items())), None)
            result = compare(spec, leader, item, other)
            if getattr(result, "verdict", None) is not Verdict.MATCH:
                found.append(f"{key}: {result}")
        return found + [f"extra: {key}" for key in there]


LEFT = {"BatchWriteItem": "UnprocessedItems", "BatchGetItem": "UnprocessedKeys"}


class Hop:
    """The wire client, with calls that can be lost before or after the engine has carried them
    out. ``plan`` maps an upstream call to "refuse" (never sent), "cut" (lost on its way), "lose"
    (sent, a success's answer lost), "deafen" (sent, any answer lost), "hang" (no answer until
    ``patience_seconds``), "wait" (sent when ``gate`` opens), "throttle" (refused for now) or
    "leave" (a batch of which nothing was processed)."""

    patience_seconds = 3.0

    def __init__(self, wire: WireClient) -> None:
        self._wire = wire
        self.plan: Callable[[str, Mapping[str, Any]], str | None] = lambda operation, request: None
        self.calls: list[str] = []
        self.forwards: list[str] = []
        self.hanging = 0
        self.gate = threading.Event()

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append(operation)
        fate = self.plan(operation, request)
        if fate == "refuse":
            raise Unreachable("the test cut the wire")
        if fate == "cut":
            raise OutcomeUnknown("the test cut the request off")
        if fate == "hang":
            self.hanging += 1
            await asyncio.sleep(self.patience_seconds)
            raise OutcomeUnknown("the test never answered")
        if fate == "wait":
            self.hanging += 1
            await asyncio.to_thread(self.gate.wait, 30)
        if fate == "throttle":
            raise Refused("ThrottlingException", "Rate exceeded", 400, {})
        if fate == "leave":
            return {LEFT[operation]: request["RequestItems"]}
        try:
            answer = await self._wire.call(operation, request)
        except Refused:
            if fate == "deafen":
                raise OutcomeUnknown("the test lost the refusal") from None
            raise
        if fate in ("lose", "deafen"):
            raise OutcomeUnknown("the test lost the answer")
        return answer

    async def forward(
        self, headers: tuple[tuple[bytes, bytes], ...], target: str, body: bytes
    ) -> Any:
        operation = target.rpartition(".")[2]
        self.forwards.append(operation)
        fate = self.plan(operation, {})
        if fate == "cut":
            raise OutcomeUnknown("the test cut the request off")
        if fate == "refuse":
            raise Unreachable("the test cut the wire")
        if fate == "hang":
            self.hanging += 1
            await asyncio.sleep(self.patience_seconds)
        return await self._wire.forward(headers, target, body)


@contextmanager
def a_rig(
    engine: str,
    boto: Any,
    prefix: str,
    access_key: str = "test",
    migration: Migration | None = None,
) -> Iterator[Rig]:
    """Create the tables and start a proxy before them, which signs with this access key."""
    migration = migration or a_migration(prefix)
    for table in migration.tables:
        for side in {table.old.name: table.old, table.new.name: table.new}.values():
            create_table(boto, side)
    control = KeySchema(KeyAttribute("pk"), KeyAttribute("sk"))
    create_table(boto, TableSide(migration.control_table, control, ()))
    with running_loop() as run:
        epochs, records, metrics = SetEpochs(), MemoryRecords(), MemoryMetrics()
        clock = SystemClock()

        async def start(name: str) -> tuple[WireClient, Hop, Proxy, Server, int]:
            wire = WireClient(
                engine, region="us-east-1", clock=clock,
                credentials=lambda: ReadOnlyCredentials(access_key, "test", None),
            )  # fmt: skip
            hop = Hop(wire)
            parents = ParentRows(hop, migration, epochs, clock)
            proxy = Proxy(
                hop, migration, epochs, parents, Repairs(records, clock), clock, metrics,
                process_id=name,
                big_transactions=BigTransactionCounts(records, clock, process_id=name),
            )  # fmt: skip
            front = Front(
                proxy.handle, region="us-east-1", callers=lambda: None, clock=clock,
                metrics=metrics,
            )  # fmt: skip
            server = Server(front.handle, host="127.0.0.1", port=0)
            return wire, hop, proxy, server, await server.start()

        started = [run(start(name)) for name in (prefix, f"{prefix}beside")]
        (_, hop, proxy, _, port), (_, _, _, _, other_port) = started
        url = f"http://127.0.0.1:{port}"
        beside = client_for(f"http://127.0.0.1:{other_port}")
        rig = Rig(
            migration,
            epochs,
            records,
            metrics,
            boto,
            client_for(url),
            url,
            prefix,
            run,
            beside,
            hop,
            proxy,
        )
        rig.tables = dict(migration.by_name)
        try:
            yield rig
        finally:
            for wire, _, _, server, _ in started:
                run(server.stop(5.0))
                run(wire.close())


def stamp_ahead() -> str:
    """A stamp of another writer whose clock is half an hour ahead."""
    return f"{int(time.time() * 1000) + 1_800_000:013d}.00000.000001.ffffffff.00000001"


def wire_form(value: Any) -> Any:
    """A value as it is on the wire: binary in base64, which boto3 has decoded."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return {name: wire_form(inner) for name, inner in value.items()}
    return [wire_form(inner) for inner in value] if isinstance(value, list) else value


def outcome(client: Any, operation: str, **parameters: Any) -> dict[str, Any]:
    """What a client hears: the answer, or the error's type, text and data."""
    try:
        answer: dict[str, Any] = getattr(client, operation)(**parameters)
    except ClientError as error:
        extra = {
            name: value
            for name, value in error.response.items()
            if name not in ("ResponseMetadata", "Error")
        }
        details = error.response["Error"]
        return {"error": details["Code"], "message": details.get("Message"), **extra}
    answer.pop("ResponseMetadata", None)
    return answer


def raw_outcome(url: str, operation: str, body: Any) -> dict[str, Any]:
    """The same for a body that no SDK would send; the operation in DynamoDB's own spelling."""
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}", "authorization": AUTHORIZATION}
    data = body if isinstance(body, bytes) else json.dumps(wire_form(body)).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request) as reply:
            answer: dict[str, Any] = json.load(reply)
    except urllib.error.HTTPError as error:
        heard = json.load(error)
        return {"error": heard["__type"].rpartition("#")[2], "status": error.code, **heard}
    return answer
