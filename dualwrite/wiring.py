"""The only place where real adapters are built and the rooms are put together."""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import structlog
import uvloop

from consumers.consumer import Consumer
from dualwrite import spec_file
from dualwrite.adapters import credentials, logs
from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.control_table import ControlTable
from dualwrite.adapters.credentials import UpstreamCredentials
from dualwrite.adapters.metrics import PrometheusMetrics
from dualwrite.adapters.parents import ParentRows
from dualwrite.adapters.preflight import Preflight
from dualwrite.adapters.repair_queue import Repairs
from dualwrite.adapters.wire import WireClient
from dualwrite.control.controller import Controller
from dualwrite.control.member import Member
from dualwrite.control.membership import CONTROLLER
from dualwrite.core.errors import DualwriteError, Refused
from dualwrite.core.ports import Clock, Records
from dualwrite.core.records import MEMBER, STATE
from dualwrite.core.spec import Migration
from dualwrite.proxy.proxy import Proxy
from dualwrite.proxy.server import HttpReply, HttpRequest, Server
from dualwrite.settings import Role, Settings
from verifier.gatekeeper import Gates
from verifier.sweep import Sweeper

CONTROL_CONNECTIONS_MAX = 4
"""Leases are renewed over connections of their own: a busy data path must not starve them."""

STOP_SECONDS_MAX = 8.0
"""How long parts that were asked to stop may take."""
REQUEST_MARGIN_SECONDS = 2.0
"""A request may still be carried out by the engine this long after its sender gave it up."""

log = structlog.get_logger()


class NoControlTable(DualwriteError):
    """The control table does not exist yet."""


class PortInUse(DualwriteError):
    """Somebody else listens there."""


class Ended(DualwriteError):
    """A part that should run for ever came to its end."""


@dataclass(frozen=True, slots=True)
class Plane:
    """The control plane as a command sees it: no process of the service is needed."""

    migration: Migration
    dynamo: WireClient
    records: Records
    clock: Clock
    gates: Gates


@dataclass(frozen=True, slots=True)
class Parts:
    """What every process of the service is made of."""

    settings: Settings
    migration: Migration
    dynamo: WireClient
    records: Records
    clock: Clock
    metrics: PrometheusMetrics
    metrics_port: int
    process_id: str
    dummy_credentials: bool
    stop: asyncio.Event

    def member(self, role: Role, port: int = 0) -> Member:
        """This process under a lease."""
        return Member(
            self.records,
            self.migration,
            self.clock,
            self.metrics,
            role=role.value,
            process_id=self.process_id,
            lease_seconds=self.settings.lease_seconds,
            port=port,
            metrics_port=self.metrics_port,
            pid=os.getpid(),
        )

    def repairs(self) -> Repairs:
        return Repairs(self.records, self.clock)

    def parents(self, epochs: Member) -> ParentRows:
        return ParentRows(self.dynamo, self.migration, epochs, self.clock)

    def ready(self, role: Role, port: int = 0) -> None:
        """Tell whoever started us, on standard output, that we serve."""
        line = {
            "ready": True,
            "role": role.value,
            "pid": os.getpid(),
            "process": self.process_id,
            "port": port,
            "metrics_port": self.metrics_port,
        }
        print(json.dumps(line), flush=True)
        log.info("ready", role=role.value, port=port, metrics_port=self.metrics_port)
        if self.dummy_credentials:
            log.info("dummy credentials", why="none are set, and the engine is on this machine")


# -- for commands ---------------------------------------------------------------------------


@asynccontextmanager
async def plane(settings: Settings) -> AsyncIterator[Plane]:
    """The control plane, for one command. Raises SpecError, NoControlTable, EngineError."""
    logs.configure()
    migration = spec_file.load(settings.spec)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        upstream = _upstream(settings, clock, stack)
        dynamo = _client(settings, upstream, clock, stack, CONTROL_CONNECTIONS_MAX)
        records = ControlTable(dynamo, migration.control_table, clock=clock)
        await _require(records, migration)
        gates = Gates(records, migration, clock, PrometheusMetrics())
        yield Plane(migration, dynamo, records, clock, gates)


@asynccontextmanager
async def preflight(settings: Settings) -> AsyncIterator[Preflight]:
    """The look at the real tables. Raises SpecError."""
    logs.configure()
    migration = spec_file.load(settings.spec)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        upstream = _upstream(settings, clock, stack)
        dynamo = _client(settings, upstream, clock, stack, CONTROL_CONNECTIONS_MAX)
        yield Preflight(dynamo, migration, clock)


# -- processes ------------------------------------------------------------------------------


def run_proxy(settings: Settings) -> None:
    """Serve until a signal; raises DualwriteError where it cannot start or go on."""
    uvloop.run(_process(settings, _proxy))


def run_consumer(settings: Settings) -> None:
    """Read streams until a signal; raises DualwriteError where it cannot start or go on."""
    uvloop.run(_process(settings, _consumer))


def run_controller(settings: Settings) -> None:
    """Control until a signal; raises DualwriteError where it cannot start or go on."""
    uvloop.run(_process(settings, _controller))


async def _process(settings: Settings, main: Callable[[Parts], Awaitable[None]]) -> None:
    """Everything around a process's own part: logs, signals, clients, metrics."""
    logs.configure()
    migration = spec_file.load(settings.spec)
    process_id = _new_process_id()
    structlog.contextvars.bind_contextvars(process=process_id)
    clock = SystemClock()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        if settings.supervised:
            watch = await _stop_with_parent(stop)
            stack.callback(watch.cancel)
        upstream = _upstream(settings, clock, stack)
        dynamo = _client(settings, upstream, clock, stack, settings.upstream_connections_max)
        control = _client(settings, upstream, clock, stack, CONTROL_CONNECTIONS_MAX)
        records = ControlTable(control, migration.control_table, clock=clock)
        await _require(records, migration)
        metrics = PrometheusMetrics()
        with _port_in_use("--metrics-port", settings.metrics_port):
            metrics_port = metrics.serve(settings.metrics_port)
        await main(
            Parts(
                settings,
                migration,
                dynamo,
                records,
                clock,
                metrics,
                metrics_port,
                process_id,
                upstream.dummy,
                stop,
            )
        )
        log.info("stopped")


async def _proxy(parts: Parts) -> None:
    settings = parts.settings
    server = Server(_not_yet, host=settings.host, port=settings.port)
    with _port_in_use("--port", settings.port):
        port = await server.start()
    member = parts.member(Role.PROXY, port)
    proxy = Proxy(
        parts.dynamo,
        parts.migration,
        member,
        parts.parents(member),
        parts.repairs(),
        parts.clock,
        parts.metrics,
        process_id=parts.process_id,
    )
    await member.start()
    server.handler = proxy.handle
    # The lease is renewed until the last request in flight has ended.
    async with _running(parts, member.run()):
        parts.ready(Role.PROXY, port)
        await parts.stop.wait()
        await server.stop(settings.grace_seconds)
        await member.stop()


async def _consumer(parts: Parts) -> None:
    member = parts.member(Role.CONSUMER)
    consumer = Consumer(
        parts.dynamo,
        parts.records,
        parts.migration,
        member,
        parts.parents(member),
        parts.repairs(),
        parts.clock,
        parts.metrics,
        process_id=parts.process_id,
    )
    await member.start()
    async with _running(parts, member.run(), consumer.run()):
        parts.ready(Role.CONSUMER)
        await parts.stop.wait()
        await consumer.stop()
        await member.stop()


async def _controller(parts: Parts) -> None:
    settings = parts.settings
    # The sweeper reads under a lease of its own; the controller awaits members, not itself.
    member = replace(parts, process_id=_new_process_id()).member(Role.VERIFIER)
    sweeper = Sweeper(
        parts.dynamo,
        parts.records,
        parts.migration,
        member,
        parts.parents(member),
        parts.repairs(),
        parts.clock,
        parts.metrics,
        process_id=parts.process_id,
    )
    controller = Controller(
        parts.records,
        parts.migration,
        parts.clock,
        parts.metrics,
        Gates(parts.records, parts.migration, parts.clock, parts.metrics),
        process_id=parts.process_id,
        lease_seconds=settings.lease_seconds,
        request_life_seconds=settings.upstream_timeout_seconds + REQUEST_MARGIN_SECONDS,
        pid=os.getpid(),
        metrics_port=parts.metrics_port,
    )
    async with _running(parts, controller.run()):
        if await _controls(parts):
            await member.start()
            async with _running(parts, member.run(), sweeper.run()):
                parts.ready(Role.CONTROLLER)
                await parts.stop.wait()
                await sweeper.stop()
                await member.stop()
        await controller.stop()


async def _controls(parts: Parts) -> bool:
    """Wait until the controller's lease is ours; its holder of before may have died lately."""
    while not parts.stop.is_set():
        held = await parts.records.read(MEMBER, CONTROLLER)
        if held is not None and held.value.get("process") == parts.process_id:
            return True
        await parts.clock.sleep(0.1)
    return False


def _new_process_id() -> str:
    """Every life of a process has its own, so that no successor is taken for it."""
    return secrets.token_hex(4)


# -- pieces ---------------------------------------------------------------------------------


async def _not_yet(_request: HttpRequest) -> HttpReply:
    """Clients that come before the lease is taken are asked to come again; SDKs do."""
    body = b'{"__type":"InternalServerError","message":"This proxy is starting."}'
    return HttpReply(503, ((b"content-type", b"application/x-amz-json-1.0"),), body)


def _upstream(settings: Settings, clock: Clock, stack: AsyncExitStack) -> UpstreamCredentials:
    """The upstream credentials, kept fresh as long as ``stack`` lives."""
    upstream = credentials.standard(settings.engine_is_local)
    renewal = asyncio.create_task(upstream.renew_forever(clock))
    stack.callback(renewal.cancel)
    return upstream


def _client(
    settings: Settings,
    upstream: UpstreamCredentials,
    clock: Clock,
    stack: AsyncExitStack,
    connections_max: int,
) -> WireClient:
    """A client of the engine that lives as long as ``stack``."""
    client = WireClient(
        settings.endpoint_url,
        region=settings.region,
        credentials=upstream,
        clock=clock,
        connections_max=connections_max,
        timeout_seconds=settings.upstream_timeout_seconds,
    )
    stack.push_async_callback(client.close)
    return client


async def _require(records: Records, migration: Migration) -> None:
    """Raises NoControlTable, or EngineError where the engine cannot be asked."""
    try:
        await records.list(STATE)
    except Refused as error:
        if error.code == "ResourceNotFoundException":
            raise NoControlTable(
                f"the control table {migration.control_table} does not exist; "
                "run: dualwrite check --apply"
            ) from None
        raise


@contextmanager
def _port_in_use(option: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise PortInUse(f"port {port}: {why}; choose another {option}") from None


@asynccontextmanager
async def _running(parts: Parts, *runs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run parts beside the body, which ends by asking them to stop.

    One that ends unasked sets ``stop``, so that the body winds up in order; its error, or Ended,
    is raised afterwards.
    """
    broken: list[asyncio.Task[None]] = []

    def over(task: asyncio.Task[None]) -> None:
        if not parts.stop.is_set():
            broken.append(task)
            parts.stop.set()

    tasks = [asyncio.create_task(run) for run in runs]
    for task in tasks:
        task.add_done_callback(over)
    try:
        yield
        await asyncio.wait(tasks, timeout=STOP_SECONDS_MAX)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in broken:
        task.result()
        raise Ended("a part that should run for ever came to its end; see the log")


async def _stop_with_parent(stop: asyncio.Event) -> asyncio.Task[None]:
    """Set ``stop`` when standard input ends: its other end is our supervisor's."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def until_end() -> None:
        while await reader.read(1024):
            pass
        stop.set()

    return asyncio.create_task(until_end())
