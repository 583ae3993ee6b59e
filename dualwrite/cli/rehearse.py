"""``dualwrite rehearse``: the whole migration on this machine, live, with a verdict."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from dualwrite import wiring
from dualwrite.cli.base import Exit, reported
from dualwrite.control.commands import ask
from dualwrite.core.errors import DualwriteError
from dualwrite.core.records import Command
from dualwrite.settings import parse
from examples.ai_coordination_engine.tables import SPEC
from verifier.rehearsal import report as reports
from verifier.rehearsal.faults import STRIKES_DEFAULT, STRIKES_MAX
from verifier.rehearsal.live import show
from verifier.rehearsal.options import (
    DWELL_DEFAULT,
    ITEMS_DEFAULT,
    RATE_DEFAULT,
    STALL_SECONDS_DEFAULT,
    Options,
    Wiring,
    World,
)
from verifier.rehearsal.rehearsal import Rehearsal


def rehearse(
    seed: Annotated[int, typer.Option("--seed", help="Of data, workload and faults.")] = 1,
    items: Annotated[
        int, typer.Option("--items", min=300, help="Rows over all six tables.")
    ] = ITEMS_DEFAULT,
    rate: Annotated[
        float, typer.Option("--rate", min=4.0, help="The application's writes a second.")
    ] = RATE_DEFAULT,
    engine: Annotated[
        str,
        typer.Option("--engine", help="ministack, dynamodb-local, or the URL of an empty engine."),
    ] = "ministack",
    queue: Annotated[
        str,
        typer.Option("--queue", help="memory, dynamodb, kafka, or kafka://HOST:PORT/PREFIX."),
    ] = "memory",
    report: Annotated[
        Path, typer.Option("--report", help="Folder of report.json and report.html.")
    ] = Path("rehearsal-report"),
    strikes: Annotated[
        int,
        typer.Option(
            "--strikes",
            min=0,
            max=STRIKES_MAX,
            help="A proxy and a consumer are killed; each more "
            "kills or freezes any process of the service.",
        ),
    ] = STRIKES_DEFAULT,
    no_faults: Annotated[bool, typer.Option("--no-faults", help="As --strikes 0.")] = False,
    dwell: Annotated[
        float, typer.Option("--dwell", min=0.0, help="Seconds under load at each step.")
    ] = DWELL_DEFAULT,
    step_timeout: Annotated[
        float,
        typer.Option(
            "--step-timeout", min=5.0, help="Seconds a step may wait without any progress."
        ),
    ] = STALL_SECONDS_DEFAULT,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print report.json at the end, and nothing else.")
    ] = False,
) -> None:
    """Rehearse the whole migration: real processes, a live application, kills, a verdict."""
    options = Options(
        report=report,
        seed=seed,
        items=items,
        rate=rate,
        engine=engine,
        queue=queue,
        strikes=0 if no_faults else strikes,
        dwell_seconds=dwell,
        stall_seconds_max=step_timeout,
    )
    with reported():
        told = asyncio.run(_rehearse(options, as_json))
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        _summary(told, report)
    raise typer.Exit(Exit.OK if told["verdict"] == "pass" else Exit.FAILED)


async def _rehearse(options: Options, quiet: bool) -> dict[str, Any]:
    rehearsal = Rehearsal(
        options,
        Wiring(
            spec=SPEC,
            program=str(Path(sys.executable).with_name("dualwrite")),
            connect=_connect,
            ask=_ask,
        ),
    )
    running = asyncio.create_task(rehearsal.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, running.cancel)
    showing = asyncio.create_task(_nothing() if quiet else show(rehearsal.story, Console()))
    await asyncio.wait([running])
    showing.cancel()
    await asyncio.gather(showing, return_exceptions=True)
    told = await asyncio.to_thread(reports.write, rehearsal.story, options.report)
    with contextlib.suppress(asyncio.CancelledError, DualwriteError):
        running.result()
    return told


async def _nothing() -> None:
    return


@asynccontextmanager
async def _connect(url: str) -> AsyncIterator[World]:
    async with wiring.plane(parse(SPEC, url)) as plane:
        yield World(plane.migration, plane.dynamo, plane.records, plane.clock)


async def _ask(world: World, command: Command, timeout_seconds: float) -> Command:
    return await ask(world.records, world.clock, command, timeout_seconds=timeout_seconds)


def _summary(told: dict[str, Any], folder: Path) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for step in told["steps"]:
        console.print(
            f"  {step['name']:<18}{step['seconds']:7.1f} s  {step['acknowledged']} writes"
        )
    for flip in told["flips"]:
        console.print(
            f"  flip to {flip['direction']}: longest gap {flip['gap_ms']:.0f} ms, "
            f"ordinary p99.9 {flip['ordinary_p999_ms']:.0f} ms"
        )
    for invariant in told["invariants"]:
        broken = "[red]BROKEN[/]    " if invariant["judged"] else "[yellow]not judged[/]"
        word = "[green]held[/]      " if invariant["held"] else broken
        console.print(f"  {word} {invariant['name']}: {invariant['detail']}")
    colour = "green" if told["verdict"] == "pass" else "red"
    counts = [
        f"{'unknown' if told[name] is None else told[name]} {name}"
        for name in ("lost", "resurrected", "different")
    ]
    console.print(
        f"[bold {colour}]{told['verdict']}[/]: {told['acknowledged']} writes acknowledged, "
        f"{', '.join(counts)}; see {folder / 'report.html'}"
    )
