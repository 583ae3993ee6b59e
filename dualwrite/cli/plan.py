"""``dualwrite plan``: the next move of every table, and what stands in its way."""

import asyncio
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

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
from dualwrite.cli.overview import state_of
from dualwrite.core.phases import NEXT, Kind, Mode, TableState, is_flip
from dualwrite.core.records import CLOSED, OPEN, UNKNOWN, GateVerdict
from dualwrite.core.spec import MigratedTable
from dualwrite.settings import Settings, parse

_COLOURS = {OPEN: "green", CLOSED: "red", UNKNOWN: "yellow"}
READS_ON_NEW = 100


def plan(
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    table: TableOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the next forward move of each table, and every gate with its verdict and reason."""
    with reported(as_json):
        moves = asyncio.run(_plan(parse(spec, endpoint, region=region), table))
        if as_json:
            show_json({"tables": moves})
        else:
            _show(moves)


async def _plan(settings: Settings, name: str | None) -> list[dict[str, Any]]:
    async with wiring.plane(settings) as plane:
        await plane.gates.watch()
        return [
            await _move(plane, table, await state_of(plane.records, table.name))
            for table in chosen(plane.migration, name)
        ]


async def _move(plane: wiring.Plane, table: MigratedTable, state: TableState) -> dict[str, Any]:
    goals = NEXT[table.kind][state.phase]
    goal = goals[0] if goals else None
    move: dict[str, Any] = {
        "table": table.name,
        "phase": state.phase.value,
        "next": goal.value if goal else None,
        "flip": bool(goal and is_flip(state.phase, goal)),
        "gates": [],
        "reads": None,
    }
    if goal is not None:
        move["gates"] = _listed(await plane.gates.judge(table, state, goal))
    shared = table.kind is Kind.REKEY and state.phase.mode is not Mode.SINGLE
    if shared and state.read_share < READS_ON_NEW:
        verdicts = await plane.gates.judge_reads(table, state, READS_ON_NEW)
        move["reads"] = {"share": state.read_share, "gates": _listed(verdicts)}
    return move


def _listed(verdicts: tuple[GateVerdict, ...]) -> list[dict[str, Any]]:
    return [asdict(verdict) for verdict in verdicts]


def _show(moves: list[dict[str, Any]]) -> None:
    for move in moves:
        if move["next"] is None:
            out.print(f"{move['table']}: {move['phase']}; nothing is ahead")
            continue
        flip = " (the flip)" if move["flip"] else ""
        out.print(f"{move['table']}: {move['phase']} -> {move['next']}{flip}")
        out.print(_gates(move["gates"]))
        if move["reads"] is not None:
            out.print(f"{move['table']}: reads {move['reads']['share']} % -> more on new")
            out.print(_gates(move["reads"]["gates"]))


def _gates(gates: list[dict[str, Any]]) -> Table:
    grid = Table(box=None, show_header=False, padding=(0, 2))
    for gate in gates:
        verdict = Text(gate["verdict"], style=_COLOURS[gate["verdict"]])
        grid.add_row("", gate["gate"], verdict, gate["reason"], gate["see"])
    return grid
