"""``dualwrite reads``: the share of reads that new serves."""

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


def reads(
    spec: SpecOption,
    percent: Annotated[int, typer.Argument(min=0, max=100)],
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    table: TableOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes to the audit.")] = "",
    who: WhoOption = None,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Say how many percent of the eventually consistent reads new serves."""
    give(
        "reads",
        spec=spec,
        endpoint=endpoint,
        region=region,
        table=table,
        argument=str(percent),
        reason=reason,
        who=who,
        wait=wait,
        as_json=as_json,
    )
