"""``dualwrite proxy``: one write proxy."""

from typing import Annotated

import typer

from dualwrite.cli.base import (
    EndpointOption,
    LeaseOption,
    MetricsPortOption,
    RegionOption,
    SpecOption,
    SupervisedOption,
    reported,
)
from dualwrite.settings import LOOPBACK, parse
from dualwrite.wiring.proxy import run_proxy


def proxy(
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    host: Annotated[str, typer.Option("--host", help="Loopback only.")] = LOOPBACK,
    port: Annotated[int, typer.Option("--port", help="Where clients come; 0: a free one.")] = 0,
    metrics_port: MetricsPortOption = 0,
    lease_seconds: LeaseOption = 3.0,
    supervised: SupervisedOption = False,
) -> None:
    """Serve DynamoDB's wire protocol to applications, until SIGTERM or Ctrl-C."""
    with reported():
        run_proxy(
            parse(
                spec,
                endpoint,
                region=region,
                host=host,
                port=port,
                metrics_port=metrics_port,
                lease_seconds=lease_seconds,
                supervised=supervised,
            )
        )
