"""``dualwrite repairs [list|retry]``: the keys that may differ, or cannot be made equal."""

import asyncio
from contextlib import suppress
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
from dualwrite.core.ports import Records
from dualwrite.core.records import POISON, REPAIR, Repair, dump, load
from dualwrite.queued import Queued, pages, queued
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
        entries, count = asyncio.run(_list(settings, table, None if as_json else SHOWN_MAX))
        if as_json:
            show_json({"repairs": entries})
        else:
            _show(entries, count)


def _show(entries: list[dict[str, Any]], count: int) -> None:
    if not entries:
        out.print("no repairs")
        return
    columns = ("table", "side", "key", "reason", "attempts", "waits for")
    grid = Table(*columns, box=None, pad_edge=False)
    for entry in entries:
        waits = "a person" if entry["poison"] else "its next try"
        grid.add_row(
            *(str(entry[name]) for name in ("table", "side", "token", "reason", "attempts")), waits
        )
    out.print(grid)
    if count > len(entries):
        out.print(f"and {count - len(entries)} more; --json lists all")


async def _list(
    settings: Settings, table: str | None, most: int | None
) -> tuple[list[dict[str, Any]], int]:
    """The first ``most`` entries, or all, and how many there are; poison comes last."""
    entries: list[dict[str, Any]] = []
    count = 0
    async with wiring.plane(settings) as plane:
        chosen(plane.migration, table)
        for kind in (REPAIR, POISON):
            async for page in pages(plane.records, kind, f"{table}/" if table else ""):
                count += len(page)
                room = len(page) if most is None else most - len(entries)
                entries += [
                    _entry(load(Repair, record.value), kind) for record in page[: max(0, room)]
                ]
    return entries, count


def _entry(repair: Repair, kind: str) -> dict[str, Any]:
    shown = asdict(repair) | {"poison": kind == POISON}
    del shown["listed"]
    return shown


async def _retry(settings: Settings, table: str | None, reason: str, who: str) -> int:
    async with wiring.plane(settings) as plane:
        count = 0
        for each in chosen(plane.migration, table):
            found = await queued(plane.records, each.name)
            if not found.count:
                continue
            async with audited(
                plane.records, plane.clock, verb="repairs-retry", table=each.name, who=who,
                reason=reason, before=_standing(found), after="due now",
            ):  # fmt: skip
                now_ms = plane.clock.wall_ms()
                count += await _make_due(plane.records, f"{each.name}/", now_ms)
                count += await _bring_back(plane.records, f"{each.name}/", now_ms)
        return count


def _standing(found: Queued) -> str:
    return f"{found.count} repairs, {found.poison} of them waited for a person"


async def _make_due(records: Records, prefix: str, now_ms: int) -> int:
    count = 0
    async for page in pages(records, REPAIR, prefix):
        for record in page:
            due = replace(load(Repair, record.value), next_ms=now_ms)
            with suppress(StateConflict):  # a consumer has it in hand at this moment
                await records.write(REPAIR, record.name, dump(due), expected=record.version)
                count += 1
    return count


async def _bring_back(records: Records, prefix: str, now_ms: int) -> int:
    """Let what is poison be tried again; it is listed until somebody has made it equal."""
    count = 0
    async for page in pages(records, POISON, prefix):
        for record in page:
            due = replace(load(Repair, record.value), next_ms=now_ms, listed=True)
            with suppress(StateConflict):  # it waits to be tried anyhow
                await records.write(REPAIR, record.name, dump(due), expected=0)
                count += 1
    return count
