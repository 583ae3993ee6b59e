"""Keeps child processes of the service alive, and takes them along when it goes."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dualwrite.control.tasks import together
from dualwrite.core.errors import DualwriteError
from dualwrite.core.ports import Clock
from dualwrite.core.spec import Migration
from dualwrite.core.vouching import REQUEST_MARGIN_SECONDS
from dualwrite.settings import Settings
from dualwrite.starting import TRIES_MAX

START_SECONDS_MAX = 30.0
"""For Python and its modules on a machine that is busy."""
STOP_SECONDS_MAX = 15.0
PAUSE_SECONDS_MIN = 0.5
PAUSE_SECONDS_MAX = 15.0
STEADY_SECONDS = 30.0
"""A process that lived this long is restarted without delay again."""

Event = Mapping[str, Any]
Tell = Callable[[Event], None]


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
    ready_seconds_max: float | None = None
    """None: for as long as it takes. A controller waits for its predecessor's lease, whose length
    only the control table knows."""
    process: Process | None = field(default=None, repr=False)


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; a second signal changes nothing, so that nobody cuts
    off by impatience what is being finished."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def ready_seconds_max(settings: Settings, migration: Migration) -> float:
    """How long a part may take that waits for nobody else: what it asks of the engine, and its
    registration under a lease, may each have to be tried again."""
    asks = migration.timeout_seconds_max + REQUEST_MARGIN_SECONDS + 2 * settings.lease_seconds
    return START_SECONDS_MAX + TRIES_MAX * asks


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
            await together(self._run_parts(keepers), _until_set(stop))
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await asyncio.gather(*(self._stop(part) for part in self._parts))
            self._tell({"event": "stopped"})

    async def _run_parts(self, keepers: list[asyncio.Task[None]]) -> None:
        for part in self._parts:
            failure = await self._start(part)
            if failure is not None:
                why = failure.get("why", "its own line above says why")
                raise NotReady(f"{part.name} did not come up; {why}")
            keepers.append(asyncio.create_task(self._keep(part)))
        self._tell({"event": "up"})
        await asyncio.gather(*keepers)

    async def _keep(self, part: Part) -> None:
        """Restart one part whenever it ends or could not be started, after pauses that grow to a
        bound."""
        pause = PAUSE_SECONDS_MIN
        while True:
            assert part.process is not None
            since = self._clock.monotonic_seconds()
            failure: Event | None = _ended(part, await part.process.wait())
            if self._clock.monotonic_seconds() - since >= STEADY_SECONDS:
                pause = PAUSE_SECONDS_MIN
            while failure is not None:
                self._tell({**failure, "again_in_seconds": pause})
                await self._clock.sleep(pause)
                pause = min(pause * 2, PAUSE_SECONDS_MAX)
                failure = await self._start(part)

    async def _start(self, part: Part) -> Event | None:
        """Start a part and wait for its ready line. Gives what went wrong, if anything did; then
        nothing of it is left running."""
        try:
            part.process = await self._spawned(part)
            assert part.process.stdout is not None
            async with asyncio.timeout(part.ready_seconds_max):
                line = await part.process.stdout.readline()
            ready = json.loads(line) if line else None
        except TimeoutError:
            return await self._failed(part, f"it was not ready within {part.ready_seconds_max:g} s")
        except (OSError, RuntimeError, ValueError) as error:
            # No process, thread or file could be had, which may pass; or that was no ready line.
            return await self._failed(part, str(error))
        if ready is None:
            # To signal a process that has closed its output would reap it behind asyncio's back.
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS_MAX):
                    await part.process.wait()
            await self._stop(part)
            return _ended(part, part.process.returncode)
        part.port, part.metrics_port = ready["port"], ready["metrics_port"]
        self._tell({"event": "ready", "part": part.name, **ready})
        return None

    async def _spawned(self, part: Part) -> Process:
        arguments = (*part.arguments, "--metrics-port", str(part.metrics_port))
        if part.verb == "proxy":
            arguments = (*arguments, "--port", str(part.port))
        # A session of its own: Ctrl-C reaches the supervisor alone, and the children in order.
        # Their standard input is our end of a pipe, so that they stop even if we are killed.
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dualwrite.cli.main", part.verb, *arguments),
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,
        )

    async def _failed(self, part: Part, why: str) -> Event:
        await self._stop(part)
        return {"event": "failed", "part": part.name, "why": why}

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


def _ended(part: Part, code: int | None) -> Event:
    return {"event": "ended", "part": part.name, "code": code}


async def _until_set(stop: asyncio.Event) -> None:
    await stop.wait()
