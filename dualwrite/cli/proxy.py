"""``dualwrite proxy``: the write proxy, in one process or in several that share its port."""

import asyncio
from typing import Annotated

import typer

from dualwrite.cli.base import (
    EndpointOption,
    HostOption,
    KeysOption,
    LeaseOption,
    MetricsPortOption,
    RegionOption,
    SpecOption,
    SupervisedOption,
    TlsCertOption,
    TlsKeyOption,
    WorkersOption,
    reported,
)
from dualwrite.cli.workers import serve
from dualwrite.settings import LOOPBACK, arguments_of, parse, serving_arguments_of
from dualwrite.wiring.proxy import run_proxy


def proxy(
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    host: HostOption = LOOPBACK,
    port: Annotated[int, typer.Option("--port", help="Where clients come; 0: a free one.")] = 0,
    keys: KeysOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
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
            keys=keys,
            tls_cert=tls_cert,
            tls_key=tls_key,
            metrics_port=metrics_port,
            lease_seconds=lease_seconds,
            supervised=supervised,
            reuse_port=reuse_port,
            workers=workers,
        )
        if workers == 1:
            run_proxy(settings)
        else:
            common = (*arguments_of(settings), *serving_arguments_of(settings))
            asyncio.run(serve(settings, common, workers))
