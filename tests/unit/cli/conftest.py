"""The command line over records in memory, and a controller that says what the test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from dualwrite import wiring
from dualwrite.adapters import logs
from dualwrite.adapters.clock import SystemClock
from dualwrite.cli.main import app
from dualwrite.core.phases import Phase, TableState
from dualwrite.core.records import COMMAND, MEMBER, Command, GateVerdict, Member, dump, load
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.settings import Settings
from dualwrite.spec_file import load as load_spec
from tests.fakes.records import MemoryRecords

SPEC = Path(__file__).parents[3] / "examples/ai_coordination_engine/migration.toml"
TICK_SECONDS = 0.01


@dataclass
class FixedGates:
    """Says of every move what the test wants."""

    verdicts: tuple[GateVerdict, ...] = ()

    async def watch(self) -> None:
        """Fixed verdicts need no look."""

    async def judge(
        self, table: MigratedTable, state: TableState, goal: Phase
    ) -> tuple[GateVerdict, ...]:
        return self.verdicts

    async def judge_reads(
        self, table: MigratedTable, state: TableState, share: int
    ) -> tuple[GateVerdict, ...]:
        return self.verdicts

    async def judge_copy(self, table: MigratedTable, state: TableState) -> tuple[GateVerdict, ...]:
        return self.verdicts


@dataclass
class Service:
    """What stands behind the command line in a test."""

    migration: Migration
    records: MemoryRecords = field(default_factory=MemoryRecords)
    gates: FixedGates = field(default_factory=FixedGates)
    answer: Command | None = None
    """What the controller makes of a command: its status, message and gates. None: none lives."""
    asked: list[Command] = field(default_factory=list)

    async def control(self) -> None:
        """A controller: its counter moves, and it answers every command the same."""
        counter = 0
        while True:
            counter += 1
            member = Member(role="controller", pid=1, counter=counter, lease_seconds=3.0)
            await self.records.write(MEMBER, "controller", dump(member), expected=None)
            for record in await self.records.list(COMMAND):
                command = load(Command, record.value)
                if command.status == "asked":
                    self.asked.append(command)
                    assert self.answer is not None
                    answered = replace(
                        command,
                        status=self.answer.status,
                        said=self.answer.said,
                        gates=self.answer.gates,
                        clean=self.answer.clean,
                    )
                    await self.records.write(
                        COMMAND, record.name, dump(answered), expected=record.version
                    )
            await asyncio.sleep(TICK_SECONDS)

    def put(self, kind: str, name: str, value: Any) -> None:
        asyncio.run(self.records.write(kind, name, dump(value), expected=None))

    def run(self, *arguments: str) -> Result:
        """The verb's result, with the options that every verb needs."""
        verb, *rest = arguments
        return CliRunner().invoke(
            app, [verb, "--spec", str(SPEC), "--endpoint", "http://127.0.0.1:1", *rest]
        )

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        """The verb's JSON answer."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)


@pytest.fixture(autouse=True)
def _loggers_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """They must not hold on to the streams of a verb that runs inside a test."""
    monkeypatch.setattr(logs, "configure", lambda: None)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """The command line's control plane, in memory."""
    stands = Service(load_spec(SPEC))

    @asynccontextmanager
    async def plane(settings: Settings) -> AsyncIterator[Any]:
        tasks: Sequence[asyncio.Task[None]] = ()
        if stands.answer is not None:
            tasks = [asyncio.create_task(stands.control())]
            await asyncio.sleep(TICK_SECONDS)
        try:
            yield wiring.Plane(
                stands.migration,
                None,  # type: ignore[arg-type]  # no verb over the fake speaks to an engine
                stands.records,
                SystemClock(),
                stands.gates,  # type: ignore[arg-type]  # the fake has the same two methods
            )
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    monkeypatch.setattr(wiring, "plane", plane)
    return stands
