"""One proxy worker over the constant backend: the real handler, wire, server, metrics and spec,
with a state that stands still in place of the control table."""

import argparse
import asyncio
import cProfile
import signal
import time
from collections.abc import Callable
from pathlib import Path

import uvloop
from botocore.credentials import ReadOnlyCredentials

from bench.cases import SPEC
from bench.requests import ACCESS_KEY, REGION, SECRET_KEY
from dualwrite.adapters import logs, memory
from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.metrics import PrometheusMetrics
from dualwrite.adapters.wire import WireClient
from dualwrite.core.access import ALL_TABLES, Access
from dualwrite.core.callers import CallerKey, Keyring
from dualwrite.core.derivation import Missing, Question
from dualwrite.core.operations import Right
from dualwrite.core.phases import Phase, Side, TableState
from dualwrite.core.spec import Migration
from dualwrite.proxy.front import Front
from dualwrite.proxy.proxy import Proxy
from dualwrite.proxy.server import Handler, HttpReply, HttpRequest, Server
from dualwrite.spec_file import load

PUT = "DynamoDB_20120810.PutItem"
KEYRING = Keyring(
    [CallerKey(ACCESS_KEY, SECRET_KEY, "bench", Access((ALL_TABLES,), frozenset(Right)))]
)
"""The one caller, which may do everything."""


class StandingEpochs:
    """Every table in one phase, for ever."""

    def __init__(self, migration: Migration, phase: Phase) -> None:
        self._states = {
            table.name: TableState(table.name, epoch=1, phase=phase) for table in migration.tables
        }

    def enter(self, table: str) -> TableState:
        return self._states[table]

    def leave(self, state: TableState) -> None:
        """Nothing is counted: no epoch ever changes."""

    def current(self, table: str) -> TableState:
        return self._states[table]


class NoParents:
    """Coordinations ask for no parents."""

    async def answer(self, question: Question) -> str | Missing:
        raise AssertionError(f"a coordination needs no parent: {question}")


class NoRepairs:
    """The constant backend applies everything."""

    async def put(self, table: str, side: Side, token: str, reason: str) -> None:
        raise AssertionError(f"nothing needs repair: {table} {reason}")


class NoBigTransactions:
    """The requests are single writes."""

    async def seen(self, table: str) -> None:
        raise AssertionError(f"no transaction is sent: {table}")


def proxy_handler(engine: WireClient, clock: SystemClock, phase: Phase) -> Handler:
    """The product's own handler, callers verified, with every table in ``phase``."""
    migration = load(SPEC)
    metrics = PrometheusMetrics()
    proxy = Proxy(
        engine,
        migration,
        StandingEpochs(migration, phase),
        NoParents(),
        NoRepairs(),
        clock,
        metrics,
        process_id="bench",
        big_transactions=NoBigTransactions(),
    )
    front = Front(
        proxy.handle, region=REGION, callers=lambda: KEYRING, clock=clock, metrics=metrics
    )
    return front.handle


def floor_handler(engine: WireClient, writes: int) -> Handler:
    """No decisions at all: the body sent on so many times. What HTTP and signing alone cost."""

    async def handle(request: HttpRequest) -> HttpReply:
        for _ in range(writes):
            reply = await engine.send(PUT, request.body)
        return HttpReply(reply.status, reply.headers, reply.body)

    return handle


async def serve(backend_port: int, kind: str, phase: Phase) -> None:
    logs.configure()
    clock = SystemClock()
    credentials = ReadOnlyCredentials("AKIDEXAMPLE", "secret", None)
    engine = WireClient(
        f"http://127.0.0.1:{backend_port}",
        region="us-east-1",
        credentials=lambda: credentials,
        clock=clock,
    )
    handlers: dict[str, Callable[[], Handler]] = {
        "proxy": lambda: proxy_handler(engine, clock, phase),
        "floor-1": lambda: floor_handler(engine, 1),
        "floor-2": lambda: floor_handler(engine, 2),
    }
    server = Server(handlers[kind](), host="127.0.0.1", port=0)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    port = await server.start()
    memory.settle()
    print(port, flush=True)
    await stop.wait()
    await server.stop(1.0)
    await engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", type=int, required=True)
    parser.add_argument("--kind", choices=("proxy", "floor-1", "floor-2"), default="proxy")
    parser.add_argument("--phase", type=Phase, choices=tuple(Phase), default=Phase.MIRROR_OLD)
    parser.add_argument("--profile", type=Path, default=None)
    arguments = parser.parse_args()
    if arguments.profile is None:
        uvloop.run(serve(arguments.backend, arguments.kind, arguments.phase))
        return
    with cProfile.Profile(time.process_time) as profile:
        uvloop.run(serve(arguments.backend, arguments.kind, arguments.phase))
    profile.dump_stats(arguments.profile)


if __name__ == "__main__":
    main()
