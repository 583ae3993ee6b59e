"""``dualwrite flip``: new takes the lead."""

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


def flip(
    spec: SpecOption,
    reason: ReasonOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    table: TableOption = None,
    who: WhoOption = None,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Give the lead to new, through the atomic edge; `dualwrite rollback` gives it back."""
    give(
        "flip",
        spec=spec,
        endpoint=endpoint,
        region=region,
        table=table,
        reason=reason,
        who=who,
        wait=wait,
        as_json=as_json,
    )
