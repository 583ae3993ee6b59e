"""What a test run uses: ``ENGINES=all``, or names with commas; MiniStack is always there.

An engine that was asked for and cannot be had fails the run; one that was not is left out.
"""

import fcntl
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

import pytest


class EngineName(StrEnum):
    """The DynamoDB-compatible engines that tests run against."""

    MINISTACK = "ministack"
    """The embedded default; lenient, so no oracle."""
    DYNAMODB_LOCAL = "dynamodb-local"
    """The oracle; each access key has a database of its own."""
    DYNOXIDE = "dynoxide"
    """A second opinion."""


KAFKA = "kafka"
"""A broker, fetched and asked for by its name like the engines; ``all`` means those alone."""
START_SECONDS_MAX = 90.0
FETCH_SECONDS_MAX = 600


def chosen(setting: str) -> tuple[EngineName, ...]:
    """The engines that a value of ``ENGINES`` means; raises ValueError for an unknown name."""
    names = {name.strip() for name in setting.split(",")} - {"", KAFKA}
    if "all" in names:
        return tuple(EngineName)
    asked = {EngineName(name) for name in names}
    return tuple(name for name in EngineName if name in asked | {EngineName.MINISTACK})


ENGINES = chosen(os.environ.get("ENGINES", ""))
ASKED: frozenset[str] = frozenset(ENGINES) | (
    {KAFKA} & set(os.environ.get("ENGINES", "").split(","))
)
"""What a run must have, and fails without."""


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_ports(count: int) -> int:
    """The first of so many ports in a row that were free a moment ago; below those that the system
    hands out, which others may be given meanwhile."""
    while True:
        first = random.randint(10_000, 32_000)
        with ExitStack() as held, suppress(OSError):
            for port in range(first, first + count):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


def lacking(engine: str, what: str) -> NoReturn:
    """End the test: failed where the engine was asked for, skipped where it was not."""
    if engine in ASKED:
        pytest.fail(f"{engine} was asked for, and {what}")
    pytest.skip(f"{engine} is left out: {what}")


def fetched(engine: str, home: Path, command: Sequence[str], *, target: str, source: str) -> None:
    """Fetch an engine as ``fetched_once`` does; ends the test where it cannot be had."""
    problem = fetched_once(home, command, target=target, source=source, allowed=engine in ASKED)
    if problem is not None:
        lacking(engine, problem)


def fetched_once(
    home: Path, command: Sequence[str], *, target: str, source: str, allowed: bool
) -> str | None:
    """Fetch by a registry's client into ``home/target``, anew whenever the file ``home/source``
    has changed; workers of one test run wait for the one that fetches. Returns why not."""
    stamp, wanted = home / target / ".done", (home / source).read_text()
    with (home / source).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return None
        if not allowed:
            return "it is not fetched; ENGINES with its name fetches it"
        client = shutil.which(command[0])
        if client is None:
            return f"{command[0]}, which fetches it, is not installed"
        shutil.rmtree(home / target, ignore_errors=True)
        done = subprocess.run(
            [str(client), *command[1:]], cwd=home, capture_output=True, text=True,
            timeout=FETCH_SECONDS_MAX, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            return f"{command[0]} could not fetch it: {(done.stdout + done.stderr)[-800:]}"
        stamp.write_text(wanted)
    return None


@contextmanager
def running(
    command: Sequence[str],
    answers: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """A program that has begun to answer; ended at the end."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not answers():
            assert process.poll() is None, f"{command[0]} ended before it answered"
            assert time.monotonic() < deadline, f"{command[0]} did not answer in time"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)
