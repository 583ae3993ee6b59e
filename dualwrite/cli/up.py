"""``dualwrite up``: all parts on one machine, kept alive, and gone together."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any

import typer

from dualwrite import wiring
from dualwrite.adapters import logs
from dualwrite.adapters.clock import SystemClock
from dualwrite.cli.base import (
    EndpointOption,
    FeedImagesOption,
    FeedOption,
    HostOption,
    JsonOption,
    KeysOption,
    LeaseOption,
    QueueOption,
    RegionOption,
    SpecOption,
    TlsCertOption,
    TlsKeyOption,
    UsageError,
    WorkersOption,
    reported,
)
from dualwrite.cli.supervisor import (
    NotReady,
    Part,
    Supervisor,
    Tell,
    ready_seconds_max,
    stop_on_signals,
)
from dualwrite.cli.workers import reserved, worker_parts
from dualwrite.settings import (
    LOOPBACK,
    PORT_MAX,
    Settings,
    arguments_of,
    consumer_arguments_of,
    parse,
    serving_arguments_of,
)
from dualwrite.wiring.files import checked

PARTS_MAX = 64


def up(
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    proxies: Annotated[int, typer.Option("--proxies", min=1, max=PARTS_MAX)] = 1,
    consumers: Annotated[int, typer.Option("--consumers", min=1, max=PARTS_MAX)] = 1,
    host: HostOption = LOOPBACK,
    port: Annotated[
        int, typer.Option("--port", help="Of the first proxy, the next one has the next; 0: free.")
    ] = 0,
    metrics_port: Annotated[
        int,
        typer.Option(
            "--metrics-port", help="Of the controller's /metrics, each next part has the next."
        ),
    ] = 0,
    keys: KeysOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    workers: WorkersOption = 1,
    lease_seconds: LeaseOption = 3.0,
    queue: QueueOption = "memory",
    feed: FeedOption = "",
    feed_images: FeedImagesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run controller, consumers and proxies as child processes, until Ctrl-C."""
    with reported(as_json):
        settings = parse(
            spec,
            endpoint,
            region=region,
            host=host,
            port=port,
            metrics_port=metrics_port,
            keys=keys,
            tls_cert=tls_cert,
            tls_key=tls_key,
            lease_seconds=lease_seconds,
            workers=workers,
            queue=queue,
            feed=feed,
            feed_images=feed_images,
        )
        if port and port + proxies - 1 > PORT_MAX:
            raise UsageError(f"--port {port} leaves no room for {proxies} proxies")
        processes = 1 + consumers + proxies * workers
        if metrics_port and metrics_port + processes - 1 > PORT_MAX:
            raise UsageError(f"--metrics-port {metrics_port} leaves no room for {processes} parts")
        tell = _tell_json if as_json else partial(_tell_people, settings)
        asyncio.run(_up(settings, proxies, consumers, tell))


async def _up(settings: Settings, proxies: int, consumers: int, tell: Tell) -> None:
    migration = checked(settings)
    async with wiring.preflight(settings) as preflight:
        report = await preflight.check()
    if not report.ready:
        raise NotReady("the tables are not ready; see: dualwrite check, dualwrite check --apply")
    stop = stop_on_signals()
    seconds_max = ready_seconds_max(settings, migration)
    with ExitStack() as ports:
        parts = parts_of(settings, proxies, consumers, seconds_max, ports)
        await Supervisor(parts, SystemClock(), tell).run(stop)


def parts_of(
    settings: Settings, proxies: int, consumers: int, seconds_max: float, ports: ExitStack
) -> list[Part]:
    """The processes of one machine, in the order in which they start and get their metrics ports.
    ``ports`` holds those that several workers share; raises PortInUse."""
    common = arguments_of(settings)
    serving = (*common, *serving_arguments_of(settings))
    parts = [Part("controller", "control", (*common, "--queue", settings.queue))]
    consuming = (*common, *consumer_arguments_of(settings))
    for n in range(1, consumers + 1):
        parts.append(Part(f"consumer-{n}", "consume", consuming, ready_seconds_max=seconds_max))
    for n in range(1, proxies + 1):
        port = settings.port + n - 1 if settings.port else 0
        if settings.workers == 1:
            parts.append(Part(f"proxy-{n}", "proxy", serving, port, ready_seconds_max=seconds_max))
        else:
            port = ports.enter_context(reserved(settings.host, port))
            parts += worker_parts(f"proxy-{n}", serving, settings.workers, port, seconds_max)
    if settings.metrics_port:
        for number, part in enumerate(parts):
            part.metrics_port = settings.metrics_port + number
    return parts


def _tell_json(event: Mapping[str, Any]) -> None:
    logs.tell(json.dumps(event))


def _tell_people(settings: Settings, event: Mapping[str, Any]) -> None:
    match event["event"]:
        case "ready":
            where = f" at {_url(settings, event['port'])}" if event["port"] else ""
            logs.tell(
                f"{event['part']} ready{where}, "
                f"metrics at http://127.0.0.1:{event['metrics_port']}/metrics"
            )
        case "ended":
            logs.tell(
                f"{event['part']} ended with code {event['code']}; "
                f"again in {event['again_in_seconds']} s"
            )
        case "failed":
            logs.tell(
                f"{event['part']} did not come up: {event['why']}; "
                f"again in {event['again_in_seconds']} s"
            )
        case "killed":
            logs.tell(f"{event['part']} did not stop in time and was killed")
        case "up":
            logs.tell("all parts are up; Ctrl-C stops them")
        case "stopped":
            logs.tell("all parts are stopped")


def _url(settings: Settings, port: int) -> str:
    scheme = "http" if settings.tls_cert is None else "https"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{port}"
