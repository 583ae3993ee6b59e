"""``dualwrite advance``: the next phase, or one that is named."""

from typing import Annotated

import typer

from dualwrite.cli.base import (
    EndpointOption,
    JsonOption,
    ReasonOption,
    RegionOption,
    SpecOption,
    TableOption,
    WhoOption,
)
from dualwrite.cli.ordering import WAIT_SECONDS, WaitOption, give


def advance(
    spec: SpecOption,
    reason: ReasonOption,
    phase: Annotated[
        str, typer.Argument(help="Where to, e.g. atomic/old; default: one phase forward.")
    ] = "",
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    table: TableOption = None,
    who: WhoOption = None,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Move tables along the square, each step through its gates."""
    give(
        "advance",
        spec=spec,
        endpoint=endpoint,
        region=region,
        table=table,
        argument=phase,
        reason=reason,
        who=who,
        wait=wait,
        as_json=as_json,
    )
