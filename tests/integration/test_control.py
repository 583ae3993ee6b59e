"""Control on a real engine, over the real wire and the machine's own clock."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.control_table import ControlTable
from dualwrite.control.commands import ask
from dualwrite.control.controller import Controller
from dualwrite.control.member import Member
from dualwrite.core.phases import Phase
from dualwrite.core.records import AUDIT, MEMBER, Command
from tests.fakes.engine_client import engine_client
from tests.fakes.gates import FakeGates
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.sizes import FixedSizes
from tests.unit.control.scene import MIGRATION

CHILD = """
import asyncio, json, sys, time
from dualwrite.adapters import logs
from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.control_table import ControlTable
from dualwrite.control.member import Member
from dualwrite.core.errors import LeaseExpired
from tests.fakes.engine_client import engine_client
from tests.fakes.metrics import MemoryMetrics
from tests.unit.control.scene import MIGRATION

async def work(subject, clock):
    # Without a pause, so that nothing is renewed between two looks; said are changes and gaps.
    said, before = None, 0.0
    while True:
        at = clock.monotonic_seconds()
        try:
            subject.leave(subject.enter("moved"))
            may = True
        except LeaseExpired:
            may = False
        if may is not said or at - before > 0.5:
            print(json.dumps({"at": at, "may": may}), flush=True)
        said, before = may, at
        await asyncio.sleep(0)

async def main(url, table):
    clock = SystemClock()
    async with engine_client(url) as dynamo:
        subject = Member(ControlTable(dynamo, table), MIGRATION, clock, MemoryMetrics(),
                         role="proxy", process_id="frozen", lease_seconds=1.0)
        await subject.start()
        await asyncio.gather(subject.run(), work(subject, clock))

logs.configure()
asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def under_way(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run them beside the body, and end them with it."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_a_migration_walks_there_and_back_on_a_real_engine(engine: str, table_prefix: str) -> None:
    """Two members acknowledge every step of the way to new, and of the way back."""

    async def go() -> None:
        clock, gates = SystemClock(), FakeGates()
        async with engine_client(engine) as dynamo:
            records = ControlTable(dynamo, f"{table_prefix}control")
            await records.create()
            members = [
                Member(records, MIGRATION, clock, MemoryMetrics(), role="proxy", process_id=name)
                for name in ("p1", "p2")
            ]
            for member in members:
                await member.start()
            controller = Controller(
                records, MIGRATION, clock, MemoryMetrics(), gates, FixedSizes(), process_id="c1"
            )

            async def asked(verb: str, argument: str = "") -> Command:
                command = Command(verb, "*", argument, reason="a test", who="me")
                outcome = await ask(records, clock, command, timeout_seconds=60)
                assert outcome.status == "done", outcome.message
                return outcome

            async with under_way(controller.run(), *(member.run() for member in members)):
                await asked("advance", "mirror/new")
                assert {m.current("moved").phase for m in members} == {Phase.MIRROR_NEW}
                await asked("rollback")
                assert {m.current("moved").phase for m in members} == {Phase.ATOMIC_OLD}
                for member in members:
                    await member.stop()
                assert [r.name for r in await records.list(MEMBER)] == ["controller"]
                await controller.stop()
                assert not await records.list(MEMBER)
                assert len(await records.list(AUDIT)) == 2 * 6 + 1

    asyncio.run(go())


def test_a_stopped_process_refuses_the_moment_it_goes_on(engine: str, table_prefix: str) -> None:
    """SIGSTOP past the lease, SIGCONT: the first thing it hears is no, until it has renewed."""
    table = f"{table_prefix}control"

    async def create() -> None:
        async with engine_client(engine) as dynamo:
            await ControlTable(dynamo, table).create()

    asyncio.run(create())
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, engine, table], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        clock = SystemClock()
        assert json.loads(child.stdout.readline())["may"]
        os.kill(child.pid, signal.SIGSTOP)
        stopped = clock.monotonic_seconds()
        while clock.monotonic_seconds() < stopped + 1.1:
            time.sleep(0.05)
        woken = clock.monotonic_seconds()
        os.kill(child.pid, signal.SIGCONT)
        after = (json.loads(line) for line in child.stdout)
        first = next(said for said in after if said["at"] >= woken)
        assert not first["may"]
        assert next(said for said in after if said["may"])
    finally:
        child.kill()
        child.wait(timeout=20)
