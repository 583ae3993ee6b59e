"""``dualwrite backfill start|pause|resume``: bring the past to the new side."""

from enum import StrEnum
from typing import Annotated

import typer

from dualwrite.cli.base import (
    EndpointOption,
    JsonOption,
    RegionOption,
    SpecOption,
    TableOption,
    WhoOption,
)
from dualwrite.cli.ordering import WAIT_SECONDS, WaitOption, give
from dualwrite.control.commands import SEGMENTS_DEFAULT, SEGMENTS_MAX, TOGETHER_MAX


class Action(StrEnum):
    """What to do with the copy."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"


def backfill(
    action: Action,
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    table: TableOption = None,
    segments: Annotated[
        int, typer.Option("--segments", min=1, max=SEGMENTS_MAX, help="Parallel scans a table.")
    ] = SEGMENTS_DEFAULT,
    units: Annotated[
        float,
        typer.Option("--units-per-second", min=0.0, help="Capacity a table may take; 0: no limit."),
    ] = 0.0,
    together: Annotated[
        int,
        typer.Option(
            "--together",
            min=1,
            max=TOGETHER_MAX,
            help="Items copied in one transaction: fewer calls, twice the capacity units.",
        ),
    ] = 1,
    who: WhoOption = None,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Start, pause or resume the copy; it puts what is absent and overwrites nothing."""
    give(
        f"backfill-{action.value}",
        spec=spec,
        endpoint=endpoint,
        region=region,
        table=table,
        argument=f"{segments}:{units:g}:{together}" if action is Action.START else "",
        who=who,
        wait=wait,
        as_json=as_json,
    )
