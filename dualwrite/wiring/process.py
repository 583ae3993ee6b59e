"""Everything around a process's own part: logs, signals, clients, metrics, its end."""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
import uvloop

from dualwrite.adapters import logs, memory, pages
from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.control_table import ControlTable
from dualwrite.adapters.metrics import PrometheusMetrics
from dualwrite.adapters.pages import Readiness
from dualwrite.adapters.parents import ParentRows
from dualwrite.adapters.record_queue import WRITES_MAX
from dualwrite.adapters.repair_queue import Repairs
from dualwrite.control.member import Member
from dualwrite.core.errors import DualwriteError
from dualwrite.core.ports import Clock, Lane, Records
from dualwrite.core.records import Role
from dualwrite.core.spec import Migration
from dualwrite.settings import Settings
from dualwrite.starting import tried
from dualwrite.wiring.clients import (
    CONTROL_CONNECTIONS_MAX,
    Engines,
    TableClient,
    load,
    require,
)

STOP_SECONDS_MAX = 8.0
"""How long parts that were asked to stop may take."""

REPAIR_CONNECTIONS_MAX = 16
QUEUE_CONNECTIONS_MAX = WRITES_MAX + len(Lane)
"""Its writes, and a look at each lane."""

log = structlog.get_logger()


class PortInUse(DualwriteError):
    """Somebody else listens there."""


class Ended(DualwriteError):
    """A part that should run for ever came to its end."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What every process of the service is made of."""

    settings: Settings
    migration: Migration
    engines: Engines
    dynamo: TableClient
    records: Records
    clock: Clock
    metrics: PrometheusMetrics
    metrics_port: int
    readiness: Readiness
    process_id: str
    dummy_credentials: bool
    stop: asyncio.Event

    def member(
        self, role: Role, port: int = 0, held_back: Callable[[], Sequence[str]] = tuple
    ) -> Member:
        """This process under a lease, without which it is not ready; while it stops it is not
        either."""
        member = Member(
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
            held_back=held_back,
        )

        def lease() -> str | None:
            held = member.lease_left_seconds() > 0
            return None if held else "no lease is held: the control table is not reached"

        self.readiness.require(lease)
        self.readiness.require(lambda: "it is stopping" if self.stop.is_set() else None)
        return member

    def repairs(self) -> Repairs:
        """The repair queue, over connections of its own: when a follower is left out each write
        puts a key there, and no lease may wait behind them."""
        control = self.engines.home(REPAIR_CONNECTIONS_MAX, self.settings.follower_timeout_seconds)
        records = ControlTable(control, self.migration.control_table, clock=self.clock)
        return Repairs(records, self.clock)

    def queue_records(self) -> Records:
        """The control table for a work queue, also over connections of its own."""
        control = self.engines.home(QUEUE_CONNECTIONS_MAX)
        return ControlTable(control, self.migration.control_table, clock=self.clock)

    def parents(self, epochs: Member) -> ParentRows:
        return ParentRows(self.dynamo, self.migration, epochs, self.clock)

    def ready(self, role: Role, port: int = 0) -> None:
        """Tell whoever started us, on standard output, that we serve."""
        memory.settle()
        self.readiness.started = True
        line = {
            "ready": True,
            "role": role.value,
            "pid": os.getpid(),
            "process": self.process_id,
            "port": port,
            "metrics_port": self.metrics_port,
        }
        logs.tell(json.dumps(line))
        log.info("ready", role=role.value, port=port, metrics_port=self.metrics_port)
        if self.dummy_credentials:
            log.info("dummy credentials", why="none are set, and the engine is on this machine")


def run(settings: Settings, main: Callable[[Parts], Awaitable[None]]) -> None:
    """Run a process until a signal; raises DualwriteError where it cannot start or go on."""
    uvloop.run(_process(settings, main))


async def _process(settings: Settings, main: Callable[[Parts], Awaitable[None]]) -> None:
    """Everything around a process's own part: logs, signals, clients, metrics."""
    logs.configure()
    migration = load(settings)
    process_id = new_process_id()
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
        engines = Engines(migration, clock, stack)
        dynamo = engines.tables(settings.upstream_connections_max)
        control = engines.home(CONTROL_CONNECTIONS_MAX)
        records = ControlTable(control, migration.control_table, clock=clock)
        await tried(clock, lambda: require(records, migration))
        metrics = PrometheusMetrics()
        with port_in_use("--metrics-port", settings.metrics_port):
            readiness = Readiness()
            metrics_port = pages.serve(settings.metrics_port, metrics.registry, readiness)
        await main(
            Parts(
                settings,
                migration,
                engines,
                dynamo,
                records,
                clock,
                metrics,
                metrics_port,
                readiness,
                process_id,
                engines.dummy_credentials,
                stop,
            )
        )
        log.info("stopped")


def new_process_id() -> str:
    """Every life of a process has its own, so that no successor is taken for it."""
    return secrets.token_hex(4)


@contextmanager
def port_in_use(option: str, port: int) -> Iterator[None]:
    """Raises PortInUse for the body's OSError."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise PortInUse(f"port {port}: {why}; choose another {option}") from None


@asynccontextmanager
async def running(parts: Parts, *runs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
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
