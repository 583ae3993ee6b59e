"""dynoxide as a second opinion: fetched by npm on request, started on a free port of loopback."""

import platform
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engines_chosen import EngineName, fetched, free_port, lacking, running

HOME = Path(__file__).parent / "engines" / "dynoxide"
PROGRAM = HOME / "node_modules" / "@dynoxide" / "linux-x64" / "dynoxide"


@contextmanager
def running_dynoxide() -> Iterator[int]:
    """The port of a running dynoxide; ends the test where there is none to run."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        lacking(EngineName.DYNOXIDE, "its package here is for Linux on x86-64 only")
    fetch = ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
    fetched(EngineName.DYNOXIDE, HOME, fetch, target="node_modules", source="package-lock.json")
    port = free_port()
    command = [str(PROGRAM), "--host", "127.0.0.1", "--port", str(port)]
    with running(command, lambda: _answers(port)):
        yield port


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
