"""A control table, its gates, and processes that the test lets live and die."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from dualwrite.control.commands import ask
from dualwrite.control.controller import Controller
from dualwrite.control.member import Member
from dualwrite.core.phases import Phase, TableState
from dualwrite.core.ports import Records
from dualwrite.core.records import (
    AUDIT,
    STATE,
    AuditEntry,
    Command,
    load,
)
from tests.fakes.clock import VirtualClock
from tests.fakes.gates import FakeGates
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import MemoryRecords
from tests.fakes.sizes import FixedSizes
from tests.unit.control.scene import MIGRATION, member, put_state

SETTLED_SECONDS = 30.0


class Stage:
    """A control table, its gates, and the processes that the test lets live and die."""

    def __init__(self) -> None:
        self.records = MemoryRecords()
        self.clock = VirtualClock()
        self.gates = FakeGates()
        self.metrics = MemoryMetrics()
        self.sizes = FixedSizes()
        self._stack = AsyncExitStack()
        self._controllers = 0

    def controller(self, line: Records | None = None) -> "asyncio.Task[None]":
        """A controller under way."""
        self._controllers += 1
        subject = Controller(
            line or self.records,
            MIGRATION,
            self.clock,
            self.metrics,
            self.gates,
            self.sizes,
            process_id=f"controller-{self._controllers}",
        )
        return self._begin(subject.run())

    async def member(self, name: str = "proxy-1") -> "tuple[Member, asyncio.Task[None]]":
        """A process under way that acknowledges."""
        subject = member(self.records, self.clock, name)
        await self.clock.drive(subject.start())
        return subject, self._begin(subject.run())

    async def asked(self, verb: str, table: str = "*", argument: str = "") -> Command:
        """The outcome of a command."""
        command = Command(verb, table, argument, reason="the test wants it", who="me@here")
        return await self.clock.drive(
            ask(self.records, self.clock, command, timeout_seconds=SETTLED_SECONDS * 10)
        )

    def state(self, table: str = "moved") -> TableState:
        [record] = [record for record in self.records.seen(STATE) if record.name == table]
        return load(TableState, record.value)

    def phases(self) -> tuple[str, ...]:
        return tuple(self.state(table.name).phase.value for table in MIGRATION.tables)

    def audit(self) -> list[AuditEntry]:
        return [load(AuditEntry, record.value) for record in self.records.seen(AUDIT)]

    def everywhere(self, phase: Phase, *, stays: Phase = Phase.MIRROR_OLD) -> None:
        """Set the scene: both rekey tables are in that phase."""
        for table in ("moved", "also"):
            put_state(self.records, 5, phase, table)
        put_state(self.records, 2, stays, "stays")

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)

        async def end() -> None:
            task.cancel()
            await self.clock.until(task.done)
            if not task.cancelled():
                task.exception()

        self._stack.push_async_callback(end)
        return task

    async def close(self) -> None:
        await self._stack.aclose()


async def outcome_of(asking: "asyncio.Task[Command]") -> Command:
    """For ``VirtualClock.drive``, which wants a coroutine."""
    return await asking


def on_stage(test: Callable[[Stage], Awaitable[None]]) -> None:
    """Play a scene and let no process outlive it."""

    async def go() -> None:
        stage = Stage()
        try:
            await test(stage)
        finally:
            await stage.close()

    asyncio.run(go())
