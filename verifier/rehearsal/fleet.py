"""The service's own processes, started through the command that an operator would use."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from verifier.rehearsal.engine import free_port
from verifier.rehearsal.faults import Blow
from verifier.rehearsal.processes import Child, ChildFailed, Processes

PROXIES = ("proxy-1", "proxy-2")
CONSUMERS = ("consumer-1", "consumer-2")
CONTROLLER = "controller"
READY_SECONDS_MAX = 45.0
PREPARE_SECONDS_MAX = 120.0
STARTS_MAX = 10
"""Of a process that others end before it works."""
VERBS = {"proxy": "proxy", "consumer": "consume", "controller": "control"}


@dataclass(frozen=True, slots=True)
class Ports:
    """A process's fixed ports: it comes back on the same ones."""

    serve: int
    metrics: int


class Fleet:
    """Two proxies, two consumers, one controller."""

    def __init__(
        self, processes: Processes, program: str, spec: Path, engine_url: str, queue: str
    ) -> None:
        self._queue = queue
        self._processes = processes
        self._program = program
        self._options = ("--spec", str(spec), "--endpoint", engine_url)
        names = (*PROXIES, *CONSUMERS, CONTROLLER)
        self._ports = {name: Ports(free_port(), free_port()) for name in names}
        self._children: dict[str, Child] = {}

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Where applications connect."""
        return tuple(f"http://127.0.0.1:{self._ports[name].serve}" for name in PROXIES)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._ports)

    async def start(self) -> None:
        """Start all. Raises ChildFailed."""
        for name in self._ports:
            await self._launch(name)
        for name in self._ports:
            await self._ready(name)

    async def kill(self, name: str) -> None:
        await self._children[name].kill()

    async def freeze(self, name: str, seconds: float) -> None:
        await self._children[name].freeze(seconds)

    def alive(self, name: str) -> bool:
        return self._children[name].alive

    def fallen(self) -> list[str]:
        """Processes that ended without being asked to."""
        return [name for name, child in self._children.items() if child.fallen]

    def let_go(self, name: str) -> Blow:
        """How a fallen one ended; ``fallen`` names it no more."""
        child = self._children[name]
        blow = Blow.ENDED if child.ended_by_others else Blow.DIED
        child.let_go()
        return blow

    async def restart(self, name: str) -> None:
        """Start an ended process again, on its ports. Raises ChildFailed."""
        await self._launch(name)
        await self._ready(name)

    async def prepare(self) -> None:
        """``dualwrite check --apply``: streams, new tables, control table. Raises ChildFailed."""
        command = (self._program, "check", *self._options, "--apply", "--json")
        child = await self._processes.start("check", command)
        await child.succeed(PREPARE_SECONDS_MAX)

    async def _launch(self, name: str) -> None:
        role = name.split("-")[0]
        command = [self._program, VERBS[role], *self._options]
        if role == "proxy":
            command += ["--port", str(self._ports[name].serve)]
        if role in ("consumer", "controller"):
            command += ["--queue", self._queue]
        command += ["--metrics-port", str(self._ports[name].metrics)]
        self._children[name] = await self._processes.start(name, command)

    async def _ready(self, name: str) -> None:
        """Wait until it works; begun again where others end it meanwhile."""
        for _ in range(STARTS_MAX):
            child = self._children[name]
            try:
                await child.line(READY_SECONDS_MAX)
            except ChildFailed:
                if not await child.proves_ended_by_others():
                    raise
                child.let_go()
                await self._launch(name)
            else:
                return
        raise ChildFailed(f"{name} was ended {STARTS_MAX} times before it worked")

    def metrics_urls(self) -> dict[str, str]:
        """Where to scrape those that are alive, by name and pid (a new process counts anew)."""
        return {
            f"{name}/{child.pid}": f"http://127.0.0.1:{self._ports[name].metrics}/metrics"
            for name, child in self._children.items()
            if child.alive
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """One sample of a scrape."""

    name: str
    labels: dict[str, str]
    value: float


def scrape(url: str) -> list[Reading]:
    """All counters and gauges a process exports; empty where it does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            text = reply.read().decode()
    except (urllib.error.URLError, OSError):
        return []
    return list(_readings(text))


def _readings(text: str) -> Iterator[Reading]:
    lines = [line for line in text.splitlines() if "_bucket{" not in line]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            yield Reading(sample.name, dict(sample.labels), sample.value)
