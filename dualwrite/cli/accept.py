"""``dualwrite accept``: live with it that atomic mode refuses an application's big transactions."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer

from dualwrite import wiring
from dualwrite.cli.auditing import audited, require_reason
from dualwrite.cli.base import (
    EndpointOption,
    JsonOption,
    ReasonOption,
    RegionOption,
    SpecOption,
    WhoOption,
    chosen,
    out,
    reported,
    show_json,
    whoever,
)
from dualwrite.core.ports import Record, Records
from dualwrite.core.records import BIG_TRANSACTIONS, BigTransactions, dump, load
from dualwrite.revising import revised
from dualwrite.settings import Settings, parse


def accept(
    spec: SpecOption,
    table: Annotated[str, typer.Option("--table", help="Logical name.", metavar="NAME")],
    reason: ReasonOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    who: WhoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept all transactions seen so far that atomic mode would refuse, for their size."""
    with reported(as_json):
        require_reason("accept", reason)
        settings = parse(spec, endpoint, region=region)
        answer = asyncio.run(_accept(settings, table, reason, whoever(who)))
        if as_json:
            show_json(answer)
        else:
            out.print(f"{table}: {answer['accepted']} big transactions accepted, "
                      f"of {answer['seen']} seen")  # fmt: skip


async def _accept(settings: Settings, table: str, reason: str, who: str) -> dict[str, Any]:
    async with wiring.plane(settings) as plane:
        chosen(plane.migration, table)
        records = plane.records
        found = await records.list(BIG_TRANSACTIONS, f"{table}/")
        waiting = [record for record in found if _waiting(record)]
        seen = sum(load(BigTransactions, record.value).count for record in found)
        count = sum(_waiting(record) for record in waiting)
        if count:
            async with audited(
                records, plane.clock, verb="accept", table=table, who=who, reason=reason,
                before=f"{count} big transactions not accepted", after="accepted",
            ):  # fmt: skip
                for record in waiting:
                    await _settle(records, record)
    return {"table": table, "seen": seen, "accepted": count}


def _waiting(record: Record) -> int:
    counted = load(BigTransactions, record.value)
    return max(0, counted.count - counted.accepted)


async def _settle(records: Records, looked_at: Record) -> None:
    """Accept as many as the operator was told of: what comes meanwhile closes the gate again."""
    upto = load(BigTransactions, looked_at.value).count

    def accepted(held: Record | None) -> Mapping[str, Any] | None:
        if held is None:
            return None
        counted = load(BigTransactions, held.value)
        return dump(replace(counted, accepted=max(counted.accepted, upto)))

    await revised(records, looked_at.kind, looked_at.name, accepted)
