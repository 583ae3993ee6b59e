"""``dualwrite repairs [list|retry]``: the keys that may differ, or cannot be made equal."""

import asyncio
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from dualwrite import wiring
from dualwrite.cli.auditing import audited
from dualwrite.cli.base import (
    EndpointOption,
    JsonOption,
    RegionOption,
    SpecOption,
    TableOption,
    WhoOption,
    chosen,
    out,
    reported,
    show_json,
    whoever,
)
from dualwrite.core.errors import StateConflict
from dualwrite.core.ports import Record, Records
from dualwrite.core.records import REPAIR, Repair, dump, load
from dualwrite.settings import Settings, parse

SHOWN_MAX = 50


class Action(StrEnum):
    """What to do with the queue."""

    LIST = "list"
    RETRY = "retry"


def repairs(
    spec: SpecOption,
    action: Annotated[Action, typer.Argument()] = Action.LIST,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    table: TableOption = None,
    reason: Annotated[
        str, typer.Option("--reason", help="Why to retry; goes to the audit.", metavar="TEXT")
    ] = "another try was asked for",
    who: WhoOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the repairs; or make all of them due now, also those that waited for a person."""
    with reported(as_json):
        settings = parse(spec, endpoint, region=region)
        if action is Action.RETRY:
            count = asyncio.run(_retry(settings, table, reason, whoever(who)))
            if as_json:
                show_json({"retried": count})
            else:
                out.print(f"{count} repairs are due now")
            return
        entries = asyncio.run(_list(settings, table))
        if as_json:
            show_json({"repairs": entries})
        else:
            _show(entries)


def _show(entries: list[dict[str, Any]]) -> None:
    if not entries:
        out.print("no repairs")
        return
    columns = ("table", "side", "key", "reason", "attempts", "waits for")
    grid = Table(*columns, box=None, pad_edge=False)
    for entry in entries[:SHOWN_MAX]:
        waits = "a person" if entry["poison"] else "its next try"
        grid.add_row(
            *(str(entry[name]) for name in ("table", "side", "token", "reason", "attempts")), waits
        )
    out.print(grid)
    if len(entries) > SHOWN_MAX:
        out.print(f"and {len(entries) - SHOWN_MAX} more; --json lists all")


async def _list(settings: Settings, table: str | None) -> list[dict[str, Any]]:
    async with wiring.plane(settings) as plane:
        chosen(plane.migration, table)
        found = await plane.records.list(REPAIR, f"{table}/" if table else "")
    return [asdict(load(Repair, record.value)) for record in found]


async def _retry(settings: Settings, table: str | None, reason: str, who: str) -> int:
    async with wiring.plane(settings) as plane:
        count = 0
        for each in chosen(plane.migration, table):
            found = await plane.records.list(REPAIR, f"{each.name}/")
            if not found:
                continue
            async with audited(
                plane.records, plane.clock, verb="repairs-retry", table=each.name, who=who,
                reason=reason, before=_standing(found), after="due now",
            ):  # fmt: skip
                count += await _make_due(plane.records, found, plane.clock.wall_ms())
        return count


def _standing(found: tuple[Record, ...]) -> str:
    poison = sum(load(Repair, record.value).poison for record in found)
    return f"{len(found)} repairs, {poison} of them waited for a person"


async def _make_due(records: Records, found: tuple[Record, ...], now_ms: int) -> int:
    count = 0
    for record in found:
        due = replace(load(Repair, record.value), next_ms=now_ms, poison=False)
        try:
            await records.write(REPAIR, record.name, dump(due), expected=record.version)
        except StateConflict:
            continue  # a consumer has it in hand at this moment
        count += 1
    return count
