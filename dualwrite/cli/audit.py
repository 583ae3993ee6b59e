"""``dualwrite audit``: who changed what, when and why."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
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
    chosen,
    out,
    reported,
    show_json,
)
from dualwrite.core.records import AUDIT, AuditEntry, load
from dualwrite.settings import Settings, parse


def audit(
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    table: TableOption = None,
    last: Annotated[int, typer.Option("--last", min=1, help="Only the newest entries.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List the changes of state, the oldest first."""
    with reported(as_json):
        entries = asyncio.run(_entries(parse(spec, endpoint, region=region), table))[-last:]
        if as_json:
            show_json({"entries": entries})
            return
        columns = ("when", "who", "verb", "table", "from", "to", "epoch", "outcome", "reason")
        grid = Table(*columns, box=None, pad_edge=False)
        for entry in entries:
            when = datetime.fromtimestamp(entry["at_ms"] / 1000, UTC)
            grid.add_row(
                when.strftime("%Y-%m-%d %H:%M:%SZ"),
                *(str(entry[name]) for name in ("who", "verb", "table", "before", "after")),
                str(entry["epoch"] or "-"),
                *(str(entry[name]) for name in ("outcome", "reason")),
            )
        out.print(grid)


async def _entries(settings: Settings, table: str | None) -> list[dict[str, Any]]:
    async with wiring.plane(settings) as plane:
        chosen(plane.migration, table)
        entries = [
            asdict(load(AuditEntry, record.value)) for record in await plane.records.list(AUDIT)
        ]
    return [entry for entry in entries if table is None or entry["table"] == table]
