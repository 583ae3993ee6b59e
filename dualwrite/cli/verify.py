"""``dualwrite verify``: compare both sides whole."""

from dualwrite.cli.base import (
    EndpointOption,
    JsonOption,
    RegionOption,
    SpecOption,
    TableOption,
    WhoOption,
)
from dualwrite.cli.ordering import WAIT_SECONDS, WaitOption, give


def verify(
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    table: TableOption = None,
    who: WhoOption = None,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Order a sweep: every key of both sides is compared, in-flight ones twice."""
    give(
        "verify",
        spec=spec,
        endpoint=endpoint,
        region=region,
        table=table,
        who=who,
        wait=wait,
        as_json=as_json,
    )
