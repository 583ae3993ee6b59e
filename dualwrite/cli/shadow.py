"""``dualwrite shadow``: the share of reads that are compared."""

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


def shadow(
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
    """Say how many percent of the reads go to both sides and are compared."""
    give(
        "shadow",
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
