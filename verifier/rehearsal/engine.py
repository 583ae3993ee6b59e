"""The engine of a rehearsal: an embedded MiniStack of its own, or one that runs already."""

import asyncio
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from verifier.rehearsal import jvm
from verifier.rehearsal.processes import Child, ChildFailed, Processes

EMBEDDED = "ministack"
PROGRAM = [sys.executable, "-m", "verifier.rehearsal.embedded"]
LOCAL = "dynamodb-local"
LOCAL_MAIN = "software.amazon.dynamodb.services.local.main.ServerRunner"
START_SECONDS_MAX = 120.0
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Engine:
    """Where the tables are."""

    url: str
    name: str


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def embedded_environment(port: int) -> dict[str, str]:
    """MiniStack's settings: two services, on one port of loopback and no other."""
    return {
        "SERVICES": "dynamodb,dynamodbstreams",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",  # this listener would bind all interfaces, whatever BIND_HOST says
        "LOG_LEVEL": "WARNING",
    }


async def start(processes: Processes, wanted: str) -> Engine:
    """Start the embedded engine or DynamoDB Local, or take the one at a URL. Raises ChildFailed."""
    if wanted == LOCAL:
        return await _local(processes)
    if wanted != EMBEDDED:
        await _answers(wanted.rstrip("/"), None)
        return Engine(wanted.rstrip("/"), "external")
    port = free_port()
    if find_spec("ministack") is None:
        raise ChildFailed(f"the embedded engine is not installed for {sys.executable}")
    child = await processes.start_mute("engine", PROGRAM, embedded_environment(port))
    url = f"http://127.0.0.1:{port}"
    await until_healthy(child, "engine", lambda: _healthy(f"{url}/_ministack/health"))
    return Engine(url, "MiniStack")


async def _local(processes: Processes) -> Engine:
    """DynamoDB Local: one database for all, in memory."""
    port = free_port()
    jars = await jvm.jars("dynamodb-local")
    # A command line of the engine's own documentation; it binds all interfaces, no flag helps.
    command = [jvm.java(), *jvm.SHORT_LIVED, "-Xmx2g", "-cp", jars]
    command += [LOCAL_MAIN, "-inMemory", "-sharedDb"]
    command += ["-disableTelemetry", "-port", str(port)]
    child = await processes.start_mute("engine", command, {})
    url = f"http://127.0.0.1:{port}"
    await until_healthy(child, "engine", lambda: _healthy(url))
    return Engine(url, "DynamoDB Local")


async def until_healthy(child: Child, name: str, healthy: Callable[[], bool]) -> None:
    """Wait until a program answers; ``healthy`` is asked in a thread. Raises ChildFailed."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS_MAX
    while not await asyncio.to_thread(healthy):
        if not child.alive:
            raise ChildFailed(f"the {name} ended before it answered; see logs/{name}.log")
        if asyncio.get_running_loop().time() > deadline:
            raise ChildFailed(f"the {name} did not answer in {START_SECONDS_MAX:g} s")
        await asyncio.sleep(POLL_SECONDS)


async def _answers(url: str, path: str | None) -> None:
    if not await asyncio.to_thread(_healthy, f"{url}{path or '/'}"):
        raise ChildFailed(f"no engine answers at {url}")


def _healthy(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True  # it speaks HTTP: DynamoDB Local answers a bare GET with 400
    except (urllib.error.URLError, OSError, ValueError):
        return False
    return True
