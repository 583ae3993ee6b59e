"""``dualwrite up``: all parts on one machine, kept alive, and gone together."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from dualwrite import wiring
from dualwrite.adapters.clock import SystemClock
from dualwrite.cli.base import (
    EndpointOption,
    JsonOption,
    LeaseOption,
    RegionOption,
    SpecOption,
    UsageError,
    out,
    reported,
)
from dualwrite.core.errors import DualwriteError
from dualwrite.core.ports import Clock
from dualwrite.settings import PORT_MAX, Settings, parse

READY_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 15.0
PAUSE_SECONDS_MIN = 0.5
PAUSE_SECONDS_MAX = 15.0
STEADY_SECONDS = 30.0
"""A process that lived this long is restarted without delay again."""
PARTS_MAX = 64

Tell = Callable[[Mapping[str, Any]], None]


class NotReady(DualwriteError):
    """A part did not come up; its own line says why."""


@dataclass(slots=True)
class Part:
    """One process to keep alive."""

    name: str
    verb: str
    arguments: tuple[str, ...]
    port: int = 0
    """Where it serves, once known: a restarted proxy comes back where its clients look."""
    metrics_port: int = 0
    process: Process | None = field(default=None, repr=False)


def up(
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    proxies: Annotated[int, typer.Option("--proxies", min=1, max=PARTS_MAX)] = 1,
    consumers: Annotated[int, typer.Option("--consumers", min=1, max=PARTS_MAX)] = 1,
    port: Annotated[
        int, typer.Option("--port", help="Of the first proxy, the next one has the next; 0: free.")
    ] = 0,
    lease_seconds: LeaseOption = 3.0,
    as_json: JsonOption = False,
) -> None:
    """Run controller, consumers and proxies as child processes, until Ctrl-C."""
    with reported(as_json):
        settings = parse(spec, endpoint, region=region, port=port, lease_seconds=lease_seconds)
        if port and port + proxies - 1 > PORT_MAX:
            raise UsageError(f"--port {port} leaves no room for {proxies} proxies")
        asyncio.run(_up(settings, proxies, consumers, _tell_json if as_json else _tell_people))


async def _up(settings: Settings, proxies: int, consumers: int, tell: Tell) -> None:
    async with wiring.preflight(settings) as preflight:
        report = await preflight.check()
    if not report.ready:
        raise NotReady("the tables are not ready; see: dualwrite check, dualwrite check --apply")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Supervisor(parts_of(settings, proxies, consumers), SystemClock(), tell).run(stop)


def parts_of(settings: Settings, proxies: int, consumers: int) -> list[Part]:
    """The processes of one machine, in the order in which they start."""
    common = (
        *("--spec", str(settings.spec), "--endpoint", settings.endpoint_url),
        *("--region", settings.region, "--lease-seconds", str(settings.lease_seconds)),
        "--supervised",
    )
    parts = [Part("controller", "control", common)]
    parts += [Part(f"consumer-{n}", "consume", common) for n in range(1, consumers + 1)]
    parts += [
        Part(f"proxy-{n}", "proxy", common, port=settings.port + n - 1 if settings.port else 0)
        for n in range(1, proxies + 1)
    ]
    return parts


class Supervisor:
    """Starts the parts in order, restarts the dead, stops all of them."""

    def __init__(self, parts: list[Part], clock: Clock, tell: Tell) -> None:
        self._parts = parts
        self._clock = clock
        self._tell = tell

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set. Raises NotReady where a part does not come up the first time."""
        keepers: list[asyncio.Task[None]] = []
        try:
            for part in self._parts:
                if stop.is_set():
                    return
                if not await self._start(part):
                    raise NotReady(f"{part.name} did not come up; its own line above says why")
                keepers.append(asyncio.create_task(self._keep(part)))
            self._tell({"event": "up"})
            await stop.wait()
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await asyncio.gather(*(self._stop(part) for part in self._parts))
            self._tell({"event": "stopped"})

    async def _keep(self, part: Part) -> None:
        """Restart one part whenever it ends, after pauses that grow to a bound."""
        pause = PAUSE_SECONDS_MIN
        while True:
            assert part.process is not None
            since = self._clock.monotonic_seconds()
            code = await part.process.wait()
            if self._clock.monotonic_seconds() - since >= STEADY_SECONDS:
                pause = PAUSE_SECONDS_MIN
            self._tell(
                {"event": "ended", "part": part.name, "code": code, "again_in_seconds": pause}
            )
            await self._clock.sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
            await self._start(part)

    async def _start(self, part: Part) -> bool:
        """Start a part and wait for its ready line; False where none came."""
        arguments = (*part.arguments, "--metrics-port", str(part.metrics_port))
        if part.verb == "proxy":
            arguments = (*arguments, "--port", str(part.port))
        # A session of its own: Ctrl-C reaches the supervisor alone, and the children in order.
        # Their standard input is our end of a pipe, so that they stop even if we are killed.
        part.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dualwrite.cli.main", part.verb, *arguments),
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,
        )
        assert part.process.stdout is not None
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                line = await part.process.stdout.readline()
        except TimeoutError:
            part.process.kill()
            return False
        if not line:
            await self._ended(part.process)
            return False
        ready = json.loads(line)
        part.port, part.metrics_port = ready["port"], ready["metrics_port"]
        self._tell({"event": "ready", "part": part.name, **ready})
        return True

    async def _ended(self, process: Process) -> None:
        """Await the end of a process that closed its output: to signal it in these moments would
        reap it behind asyncio's back."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await process.wait()

    async def _stop(self, part: Part) -> None:
        if part.process is None or part.process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            part.process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await part.process.wait()
        except TimeoutError:
            self._tell({"event": "killed", "part": part.name})
            part.process.kill()
            await part.process.wait()


def _tell_json(event: Mapping[str, Any]) -> None:
    print(json.dumps(event), flush=True)


def _tell_people(event: Mapping[str, Any]) -> None:
    match event["event"]:
        case "ready":
            where = f" at http://127.0.0.1:{event['port']}" if event["port"] else ""
            out.print(
                f"{event['part']} ready{where}, "
                f"metrics at http://127.0.0.1:{event['metrics_port']}/metrics"
            )
        case "ended":
            out.print(
                f"{event['part']} ended with code {event['code']}; "
                f"again in {event['again_in_seconds']} s"
            )
        case "killed":
            out.print(f"{event['part']} did not stop in time and was killed")
        case "up":
            out.print("all parts are up; Ctrl-C stops them")
        case "stopped":
            out.print("all parts are stopped")
