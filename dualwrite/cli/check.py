"""``dualwrite check``: are the real tables what the spec says?"""

import asyncio
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from dualwrite import wiring
from dualwrite.adapters.preflight import Report, Standing
from dualwrite.cli.base import (
    EndpointOption,
    Exit,
    JsonOption,
    RegionOption,
    SpecOption,
    out,
    reported,
    show_json,
)
from dualwrite.settings import Settings, parse

_COLOURS = {
    Standing.NOTE: "cyan",
    Standing.MISSING: "yellow",
    Standing.WRONG: "red",
}


def check(
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Create what lacks; never touches data.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare the spec with the real tables: keys, indexes, streams, control table."""
    with reported(as_json):
        report = asyncio.run(_run(parse(spec, endpoint, region=region), apply))
        if as_json:
            show_json(asdict(report) | {"ready": report.ready})
        else:
            _show(report, apply)
    if not report.ready:
        raise typer.Exit(Exit.FAILED)


async def _run(settings: Settings, apply: bool) -> Report:
    async with wiring.preflight(settings) as preflight:
        return await (preflight.apply() if apply else preflight.check())


def _show(report: Report, apply: bool) -> None:
    counts = Counter(finding.standing for finding in report.findings)
    for finding in report.findings:
        if finding.standing is Standing.OK:
            continue
        line = Text(f"{finding.table}: {finding.subject}: ")
        line.append(finding.standing.value, style=_COLOURS[finding.standing])
        line.append(f": {finding.detail}")
        if finding.mend:
            line.append(f"; do: {finding.mend}")
        out.print(line)
    for done in report.applied:
        out.print(done)
    if apply and counts[Standing.WRONG] and not report.applied:
        out.print("nothing was applied: mend first what is wrong")
    out.print(", ".join(f"{counts[each]} {each.value}" for each in Standing if counts[each]))
    out.print("ready" if report.ready else "not ready")
