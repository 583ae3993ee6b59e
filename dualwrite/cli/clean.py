"""``dualwrite clean``: take the hidden attributes off, once a migration is done and all is over."""

import asyncio
from typing import Annotated, Any

import typer

from consumers.cleaning import Cleaned, Cleaner
from dualwrite import wiring
from dualwrite.cli.auditing import audited, require_reason
from dualwrite.cli.base import (
    EndpointOption,
    JsonOption,
    ReasonOption,
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
from dualwrite.cli.members import watched
from dualwrite.core.errors import StateConflict
from dualwrite.core.phases import Phase, TableState
from dualwrite.core.records import STATE, Role, load
from dualwrite.core.spec import MigratedTable
from dualwrite.settings import Settings, parse
from dualwrite.wiring import Plane


def clean(
    spec: SpecOption,
    reason: ReasonOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    table: TableOption = None,
    write_units_per_second: Annotated[
        float,
        typer.Option("--write-units-per-second", min=0.0, help="Write capacity; 0: no limit."),
    ] = 0.0,
    who: WhoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove dw_stamp and dw_other from every item of tables that are done; no proxy may live."""
    with reported(as_json):
        require_reason("clean", reason)
        settings = parse(spec, endpoint, region=region)
        answer = asyncio.run(_clean(settings, table, write_units_per_second, reason, whoever(who)))
        if as_json:
            show_json({"tables": answer})
            return
        for entry in answer:
            out.print(f"{entry['table']}: {entry['cleaned']} of {entry['scanned']} items cleaned")


async def _clean(
    settings: Settings, table: str | None, per_second: float, reason: str, who: str
) -> list[dict[str, Any]]:
    async with wiring.plane(settings) as plane:
        tables = chosen(plane.migration, table)
        await _require_over(plane, tables)
        answer = []
        for each in tables:
            async with audited(
                plane.records, plane.clock, verb="clean", table=each.name, who=who, reason=reason,
                before="hidden attributes", after="none",
            ):  # fmt: skip
                done = await _clean_one(plane, each, per_second)
            answer.append({"table": each.name} | done._asdict())
        return answer


async def _require_over(plane: Plane, tables: tuple[MigratedTable, ...]) -> None:
    """Raises StateConflict where somebody may still need what would be taken off."""
    states = [load(TableState, record.value) for record in await plane.records.list(STATE)]
    done = {state.table for state in states if state.phase is Phase.DONE}
    early = [table.name for table in tables if table.name not in done]
    if early:
        raise StateConflict(f"{', '.join(early)}: not done yet; see: dualwrite plan")
    found = await watched(plane.records, plane.clock, Role.PROXY)
    alive = [f"pid {member['pid']}" for _, member, lives in found if lives]
    if alive:
        raise StateConflict(
            f"a proxy is alive ({', '.join(alive)}), and answers clients of the old design out of "
            "what would be removed; stop it first"
        )


async def _clean_one(plane: Plane, table: MigratedTable, per_second: float) -> Cleaned:
    cleaner = Cleaner(plane.dynamo, plane.clock, table.new, write_units_per_second=per_second)
    with out.status(f"{table.name}: cleaning") as shown:
        return await cleaner.run(
            lambda so_far: shown.update(
                f"{table.name}: {so_far.cleaned} of {so_far.scanned} cleaned"
            )
        )
