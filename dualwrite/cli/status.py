"""``dualwrite status``: where every table and every process stands."""

import asyncio
from collections.abc import Iterator
from typing import Any

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
from dualwrite.cli.members import watched
from dualwrite.cli.overview import member_overview, table_overview
from dualwrite.core.records import PAUSE, Role
from dualwrite.settings import Settings, parse
from verifier.evidence import EVIDENCE_AGE_SECONDS_MAX


def status(
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    table: TableOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show phase, epoch, shares, backfill, lag, drift, repairs, and who has acknowledged."""
    with reported(as_json):
        found = asyncio.run(_overview(parse(spec, endpoint, region=region), table))
        if as_json:
            show_json(found)
        else:
            show(found)


async def _overview(settings: Settings, table: str | None) -> dict[str, Any]:
    async with wiring.plane(settings) as plane:
        now_ms = plane.clock.wall_ms()
        wanted = chosen(plane.migration, table)
        members = asyncio.create_task(watched(plane.records, plane.clock))
        tables = [await table_overview(plane.records, entry, now_ms) for entry in wanted]
        return {
            "migration": plane.migration.name,
            "spec": plane.migration.digest,
            "at_ms": now_ms,
            "tables": tables,
            "members": [
                member_overview(process, value, alive) for process, value, alive in await members
            ],
        }


def show(found: dict[str, Any]) -> None:
    """The same for people."""
    grid = _grid("table", "phase", "epoch", "reads", "backfill", "lag old/new", "drift", "repairs")
    for entry in found["tables"]:
        grid.add_row(
            entry["table"],
            entry["phase"],
            str(entry["epoch"]),
            _shares(entry),
            _backfill(entry["backfill"]),
            " / ".join(_lag(lag) for lag in entry["lag"].values()),
            _drift(entry["drift"]),
            _repairs(entry["repairs"]),
        )
    out.print(grid)
    for line in _alarms(found):
        out.print(line, style="bold red")
    if not found["members"]:
        out.print("no process of the service is registered; start them: dualwrite up")
        return
    processes = _grid("process", "role", "", "pid", "port", "metrics", "acknowledged")
    wanted = {entry["table"]: entry["epoch"] for entry in found["tables"]}
    for member in found["members"]:
        processes.add_row(
            member["process"],
            member["role"],
            "alive" if member["alive"] else "silent",
            str(member["pid"]),
            str(member["port"] or "-"),
            str(member["metrics_port"] or "-"),
            _acks(member, wanted),
        )
    out.print()
    out.print(processes)


def _grid(*names: str) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(names):
        grid.add_column(name, no_wrap=number < 2)
    return grid


def _alarms(found: dict[str, Any]) -> Iterator[str]:
    for member in found["members"]:
        if not member["alive"]:
            continue
        if member["spec"] != found["spec"]:
            yield f"{member['role']} {member['process']} was started with another spec than this"
        for table in member["held_back"]:
            yield f"{table}: its follower does not answer proxy {member['process']}, which waits"
    for entry in found["tables"]:
        if entry["bypass_writes"]:
            yield f"{entry['table']}: {entry['bypass_writes']} writes went past the proxy"
        if entry["quarantined"]:
            yield f"{entry['table']}: {entry['quarantined']} straggler writes are in quarantine"
        for side, lag in entry["lag"].items():
            if lag is not None and lag["gaps"]:
                yield f"{entry['table']}: the {side} stream has {lag['gaps']} gaps"


def _acks(member: dict[str, Any], wanted: dict[str, int]) -> str:
    if member["role"] == Role.CONTROLLER:
        return "-"
    late = [name for name, epoch in wanted.items() if member["acks"].get(name) != epoch]
    return f"not yet: {', '.join(late)}" if late else "all"


def _shares(entry: dict[str, Any]) -> str:
    shadow = f", shadow {entry['shadow_share']} %" if entry["shadow_share"] else ""
    return f"{entry['read_share']} %{shadow}"


def _backfill(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "-"
    if entry["complete"]:
        return f"complete, {entry['copied']} copied"
    eta = f", {entry['eta_seconds']:.0f} s left" if entry["eta_seconds"] is not None else ""
    paused = ", paused" if entry["wanted"] == PAUSE else ""
    return f"{entry['share'] * 100:.0f} %{eta}{paused}"


def _lag(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "-"
    if entry["said_seconds_ago"] > EVIDENCE_AGE_SECONDS_MAX:
        return f"unread for {entry['said_seconds_ago']:.0f} s"
    return f"{entry['seconds']:.1f} s"


def _drift(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "-"
    if not entry["done"]:
        return f"sweeping, {entry['compared']} so far"
    if entry["errors"]:
        return f"nothing proven: {entry['errors']} errors"
    if entry["clean"]:
        return f"0 of {entry['compared']}"
    return ", ".join(f"{entry[kind]} {kind}" for kind in ("missing", "extra", "different"))


def _repairs(entry: dict[str, Any]) -> str:
    poison = f", {entry['poison']} for a person" if entry["poison"] else ""
    return f"{entry['waiting']}{poison}"
