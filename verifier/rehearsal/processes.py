"""Child processes that cannot outlive the rehearsal.

Each is the leader of a session of its own, so a terminal's Ctrl-C reaches the rehearsal alone,
which stops them in order. A guard process holds the reading end of a pipe: if the rehearsal
itself is killed the pipe ends, and the guard kills what is left.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from dualwrite.core.errors import DualwriteError

STOP_SECONDS_MAX = 8.0
"""After SIGTERM; then SIGKILL."""
ENDED_BY_OTHERS = frozenset({0, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP})
"""Exit codes of a service's process that was sent a signal: gone at once, or in order (0)."""
LINE_BYTES_MAX = 1 << 20


class ChildFailed(DualwriteError):
    """A process of the rehearsal did not start, or ended by itself; see its log."""


class Guard:
    """Kills the registered processes should the rehearsal die without stopping them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "verifier.rehearsal.guard"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        self._tell(f"+{pid}")

    def forget(self, pid: int) -> None:
        self._tell(f"-{pid}")

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=STOP_SECONDS_MAX)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()


class Child:
    """One started process: its ready line, its stdin, its log."""

    def __init__(self, name: str, process: Process, log: IO[bytes], guard: Guard) -> None:
        self.name = name
        self._process = process
        self._log = log
        self._guard = guard
        self.asked_to_end = False
        """By the rehearsal."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def fallen(self) -> bool:
        """Whether it ended without being asked to."""
        return not self.alive and not self.asked_to_end

    @property
    def ended_by_others(self) -> bool:
        return not self.asked_to_end and self._process.returncode in ENDED_BY_OTHERS

    async def proves_ended_by_others(self) -> bool:
        """The same of one whose output has ended, so that it is over in a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await self._process.wait()
        return self.ended_by_others

    def let_go(self) -> None:
        """It has ended, and somebody knows: nobody need be told."""
        self.asked_to_end = True
        self._over()

    async def line(self, timeout_seconds: float) -> dict[str, Any]:
        """The next JSON line it prints. Raises ChildFailed."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(timeout_seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise ChildFailed(f"{self.name} said nothing for {timeout_seconds:g} s") from None
        if not line:
            raise ChildFailed(f"{self.name} ended; see {self._log.name}")
        try:
            answer: dict[str, Any] = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise ChildFailed(f"{self.name} printed no JSON line; see {self._log.name}") from None
        return answer

    async def tell(self, line: str, timeout_seconds: float) -> dict[str, Any]:
        """Write a line to its stdin and await its answer. Raises ChildFailed."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()
        return await self.line(timeout_seconds)

    async def finish(self, timeout_seconds: float) -> None:
        """Close its stdin and wait until it ends. Raises ChildFailed."""
        self.asked_to_end = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._process.wait()
        except TimeoutError:
            await self.stop()
            raise ChildFailed(f"{self.name} did not end by itself") from None
        self._over()

    async def succeed(self, timeout_seconds: float) -> None:
        """Wait until it ends with exit code 0, whatever it prints. Raises ChildFailed."""
        self.asked_to_end = True
        try:
            async with asyncio.timeout(timeout_seconds):
                printed, _ = await self._process.communicate()
        except TimeoutError:
            await self.stop()
            raise ChildFailed(f"{self.name} did not end in {timeout_seconds:g} s") from None
        self._log.write(printed or b"")
        log = self._log.name
        self._over()
        if self._process.returncode != 0:
            raise ChildFailed(f"{self.name} failed ({self._process.returncode}); see {log}")

    async def kill(self) -> None:
        """SIGKILL, as a machine that is gone."""
        self.asked_to_end = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._over()

    async def freeze(self, seconds: float) -> None:
        """Let it stand still for so long."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL to its whole session. Safe to repeat."""
        self.asked_to_end = True
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS_MAX):
                    await self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        await self._process.wait()
        self._over()

    def _over(self) -> None:
        if not self._log.closed:
            self._guard.forget(self.pid)
            self._log.close()


class Processes:
    """Starts children and stops all of them."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        for left_behind in logs.glob("*.log"):
            left_behind.unlink()
        self._logs = logs
        self._guard = Guard()
        self._children: list[Child] = []

    async def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Child:
        """Start one; its stderr goes to ``NAME.log``. Whether it is ready, its lines say."""
        log = (self._logs / f"{name}.log").open("ab")
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=log,
            env=os.environ | (environment or {}),
            start_new_session=True,
            limit=LINE_BYTES_MAX,
        )
        child = Child(name, process, log, self._guard)
        self._guard.watch(child.pid)
        self._children.append(child)
        return child

    async def start_mute(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> Child:
        """Start one that prints what nobody reads."""
        log = (self._logs / f"{name}.log").open("ab")
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | environment,
            start_new_session=True,
        )
        child = Child(name, process, log, self._guard)
        self._guard.watch(child.pid)
        self._children.append(child)
        return child

    def died(self) -> list[str]:
        """Names of children that ended without being asked to, and were not let go."""
        return [child.name for child in self._children if child.fallen]

    async def stop(self) -> None:
        """Stop all: the engine, which was started first, after those that need it."""
        await asyncio.gather(*(child.stop() for child in self._children[1:]))
        for child in self._children[:1]:
            await child.stop()
        self._guard.stop()
