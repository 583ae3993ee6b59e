"""Several proxy processes on one port: the kernel hands each new connection to one of them."""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from dualwrite.adapters import logs
from dualwrite.adapters.clock import SystemClock
from dualwrite.cli.supervisor import Part, Supervisor, ready_seconds_max, stop_on_signals
from dualwrite.core.records import Role
from dualwrite.settings import Settings
from dualwrite.wiring.files import checked
from dualwrite.wiring.process import port_in_use

log = structlog.get_logger()


@contextmanager
def reserved(host: str, port: int) -> Iterator[int]:
    """Hold a port for workers that come and go; gives its number (0: a free one).

    The holder does not listen, so it is handed no connection. Raises PortInUse, also where
    somebody else's workers share the port among themselves.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with port_in_use("--port", port):
        if port:
            with socket.socket(family) as alone:
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.bind((host, port))
        holder = socket.socket(family)
    with holder:
        with port_in_use("--port", port):
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind((host, port))
        yield holder.getsockname()[1]


def worker_parts(
    name: str,
    common: tuple[str, ...],
    workers: int,
    port: int,
    seconds_max: float,
    metrics_port: int = 0,
) -> list[Part]:
    """Workers of one proxy. Each has a metrics port of its own: ``metrics_port`` and those after
    it, or free ones, for what one process counts must not be hidden behind another's answer."""
    return [
        Part(
            f"{name}.{number}",
            "proxy",
            (*common, "--reuse-port"),
            port=port,
            metrics_port=metrics_port + number - 1 if metrics_port else 0,
            ready_seconds_max=seconds_max,
        )
        for number in range(1, workers + 1)
    ]


async def serve(settings: Settings, common: tuple[str, ...], workers: int) -> None:
    """Run the workers of ``dualwrite proxy`` until a signal; raises SpecError, UnusableFile,
    NotReady, PortInUse."""
    logs.configure()
    seconds_max = ready_seconds_max(settings, checked(settings))
    stop = stop_on_signals()
    with reserved(settings.host, settings.port) as port:
        parts = worker_parts("proxy", common, workers, port, seconds_max, settings.metrics_port)
        await Supervisor(parts, SystemClock(), _Teller(port)).run(stop)


class _Teller:
    """One ready line once all workers serve; what happens later goes to the log."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._workers: dict[str, Mapping[str, Any]] = {}
        self._up = False

    def __call__(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        if kind == "ready" and not self._up:
            shown = ("pid", "process", "metrics_port")
            self._workers[event["part"]] = {name: event[name] for name in shown}
        elif kind == "up":
            self._up = True
            self._say_ready()
        else:
            rest = {name: value for name, value in event.items() if name != "event"}
            log.info(f"worker {kind}" if kind != "stopped" else "workers stopped", **rest)

    def _say_ready(self) -> None:
        workers = list(self._workers.values())
        line = {
            "ready": True,
            "role": Role.PROXY.value,
            "pid": os.getpid(),
            "process": "",
            "port": self._port,
            "metrics_port": workers[0]["metrics_port"],
            "workers": workers,
        }
        logs.tell(json.dumps(line))
