"""``dualwrite backfill start|change|pause|resume|status``: bring the past to the new side."""

import asyncio
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from dualwrite import wiring
from dualwrite.cli.base import (
    EndpointOption,
    JsonOption,
    RegionOption,
    SpecOption,
    TableOption,
    UsageError,
    WhoOption,
    chosen,
    out,
    reported,
    show_json,
)
from dualwrite.cli.ordering import WAIT_SECONDS, WaitOption, give
from dualwrite.cli.overview import backfill_of
from dualwrite.control.copying import TOGETHER_MAX, Copying
from dualwrite.core.backfills import SEGMENTS_MAX
from dualwrite.settings import Settings, parse


class Action(StrEnum):
    """What to do with the copy."""

    START = "start"
    CHANGE = "change"
    PAUSE = "pause"
    RESUME = "resume"
    STATUS = "status"


def backfill(
    action: Action,
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    table: TableOption = None,
    segments: Annotated[
        int | None,
        typer.Option(
            "--segments",
            min=1,
            max=SEGMENTS_MAX,
            help="Parallel scans a table; default: by its size.",
        ),
    ] = None,
    reads: Annotated[
        float | None,
        typer.Option(
            "--read-units-per-second",
            min=0.0,
            help="Read capacity a table may take; 0: no limit.",
        ),
    ] = None,
    writes: Annotated[
        float | None,
        typer.Option(
            "--write-units-per-second",
            min=0.0,
            help="Write capacity a table may take, on either side; 0: no limit.",
        ),
    ] = None,
    together: Annotated[
        int | None,
        typer.Option(
            "--together",
            min=1,
            max=TOGETHER_MAX,
            help="Items copied in one transaction: fewer calls, twice the capacity units.",
        ),
    ] = None,
    who: WhoOption = None,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Start, change, pause or resume the copy, or see how far it is; it overwrites nothing."""
    told = Copying(segments, reads, writes, together)
    if action is Action.STATUS:
        with reported(as_json):
            found = asyncio.run(_status(parse(spec, endpoint, region=region), table))
            if as_json:
                show_json({"tables": found})
            else:
                _show(found)
        return
    with reported(as_json):
        if told.words and action not in (Action.START, Action.CHANGE):
            raise UsageError(f"{action.value} takes no such option; see: dualwrite backfill change")
    give(
        f"backfill-{action.value}",
        spec=spec,
        endpoint=endpoint,
        region=region,
        table=table,
        argument=told.words,
        who=who,
        wait=wait,
        as_json=as_json,
    )


async def _status(settings: Settings, name: str | None) -> list[dict[str, Any]]:
    async with wiring.plane(settings) as plane:
        return [
            {"table": table.name, "backfill": await backfill_of(plane.records, table)}
            for table in chosen(plane.migration, name)
        ]


def _show(found: list[dict[str, Any]]) -> None:
    columns = ("table", "wanted", "done", "segments", "items", "bytes", "copied", "present", "left")
    grid = Table(*columns, "seconds left", box=None, pad_edge=False)
    for entry in found:
        seen = entry["backfill"]
        if seen is None:
            grid.add_row(entry["table"], "-")
            continue
        eta = seen["eta_seconds"]
        grid.add_row(
            entry["table"],
            "complete" if seen["complete"] else seen["wanted"],
            f"{seen['share'] * 100:.0f} %",
            f"{seen['segments_done']}/{seen['segments']}",
            f"{seen['scanned']}/{seen['items_estimate'] or '?'}",
            f"{seen['bytes']}/{seen['bytes_estimate'] or '?'}",
            *(str(seen[name]) for name in ("copied", "present", "left")),
            "?" if eta is None else f"{eta:.0f}",
        )
    out.print(grid)
