"""``dualwrite proxy``: the write proxy, in one process or in several that share its port."""

import asyncio
from typing import Annotated

import typer

from dualwrite.cli.base import (
    EndpointOption,
    LeaseOption,
    MetricsPortOption,
    RegionOption,
    SpecOption,
    SupervisedOption,
    WorkersOption,
    reported,
)
from dualwrite.cli.workers import serve
from dualwrite.settings import LOOPBACK, arguments_of, parse
from dualwrite.wiring.proxy import run_proxy


def proxy(
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    host: Annotated[str, typer.Option("--host", help="Loopback only.")] = LOOPBACK,
    port: Annotated[int, typer.Option("--port", help="Where clients come; 0: a free one.")] = 0,
    workers: WorkersOption = 1,
    metrics_port: MetricsPortOption = 0,
    lease_seconds: LeaseOption = 3.0,
    supervised: SupervisedOption = False,
    reuse_port: Annotated[
        bool, typer.Option("--reuse-port", hidden=True, help="Share the port with other workers.")
    ] = False,
) -> None:
    """Serve DynamoDB's wire protocol to applications, until SIGTERM or Ctrl-C."""
    with reported():
        settings = parse(
            spec,
            endpoint,
            region=region,
            host=host,
            port=port,
            metrics_port=metrics_port,
            lease_seconds=lease_seconds,
            supervised=supervised,
            reuse_port=reuse_port,
            workers=workers,
        )
        if workers == 1:
            run_proxy(settings)
        else:
            asyncio.run(serve(settings, arguments_of(settings), workers))
