"""What the verbs share that ask the controller for something."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from dualwrite import wiring
from dualwrite.cli.base import (
    Exit,
    UsageError,
    chosen,
    gate_line,
    out,
    reported,
    show_json,
    whoever,
)
from dualwrite.cli.members import require_controller
from dualwrite.control.commands import ALL, DONE, REFUSED, RUNNING, ask, problem_of
from dualwrite.core.records import Command
from dualwrite.settings import Settings, parse

WAIT_SECONDS = 900.0

WaitOption = Annotated[
    float,
    typer.Option("--wait", min=1.0, help="Seconds to wait for the outcome.", metavar="SECONDS"),
]


def give(
    verb: str,
    *,
    spec: Path,
    endpoint: str | None,
    region: str | None,
    table: str | None,
    argument: str = "",
    reason: str = "",
    who: str | None = None,
    wait: float = WAIT_SECONDS,
    as_json: bool = False,
) -> None:
    """Ask, wait, show the outcome, and exit with what it means."""
    with reported(as_json):
        settings = parse(spec, endpoint, region=region)
        command = Command(verb, table or ALL, argument, reason, whoever(who))
        outcome = asyncio.run(_ask(settings, command, table, wait))
        if as_json:
            show_json(shape(outcome))
        else:
            show(outcome)
    if outcome.status != DONE or outcome.clean is False:
        raise typer.Exit(Exit.REFUSED if outcome.status == REFUSED else Exit.FAILED)


async def _ask(settings: Settings, command: Command, table: str | None, wait: float) -> Command:
    async with wiring.plane(settings) as plane:
        chosen(plane.migration, table)
        if problem := problem_of(command, plane.migration):
            raise UsageError(problem)
        await require_controller(plane.records, plane.clock)
        with out.status(f"{command.verb}: waiting for the controller"):
            return await ask(plane.records, plane.clock, command, timeout_seconds=wait)


def shape(outcome: Command) -> dict[str, Any]:
    """The documented JSON answer."""
    wanted = ("verb", "table", "argument", "reason", "who", "status", "message", "gates", "clean")
    return {name: getattr(outcome, name) for name in wanted}


def show(outcome: Command) -> None:
    """The same for people, a line for each change and each gate that is not open."""
    where = "all tables" if outcome.table == ALL else outcome.table
    if outcome.status == RUNNING:
        out.print(f"{outcome.verb} of {where} is still running; see: dualwrite status")
        return
    out.print(f"{outcome.verb} of {where}: {outcome.status}")
    for line in outcome.said:
        out.print(f"  {line}")
    for gate in outcome.gates:
        out.print(f"  {gate['table']}: {gate_line(gate)}")
