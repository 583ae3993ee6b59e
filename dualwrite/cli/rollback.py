"""``dualwrite rollback``: the lead goes back to old."""

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


def rollback(
    spec: SpecOption,
    reason: ReasonOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    table: TableOption = None,
    who: WhoOption = None,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Give the lead back to old, where nothing would be lost by it."""
    give(
        "rollback",
        spec=spec,
        endpoint=endpoint,
        region=region,
        table=table,
        reason=reason,
        who=who,
        wait=wait,
        as_json=as_json,
    )
