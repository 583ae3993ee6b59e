"""What a supervisor does about parts that do not become ready."""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from dualwrite.adapters.clock import SystemClock
from dualwrite.cli.supervisor import NotReady, Part, Supervisor
from tests.unit.cli.conftest import SPEC


@pytest.fixture
def part() -> Iterator[Part]:
    """A proxy whose engine never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        yield Part("proxy-1", "proxy", ("--spec", str(SPEC), "--endpoint", url, "--supervised"))


def supervise(part: Part, stop_when_started: bool) -> list[Mapping[str, Any]]:
    told: list[Mapping[str, Any]] = []

    async def go() -> None:
        stop, clock = asyncio.Event(), SystemClock()
        run = asyncio.create_task(Supervisor([part], clock, told.append).run(stop))
        while part.process is None:
            await clock.sleep(0.01)
        if stop_when_started:
            stop.set()
        await run

    asyncio.run(go())
    return told


def test_a_part_that_is_not_ready_in_time_is_told_as_that(part: Part) -> None:
    """With how long it was given, and nothing of it is left running."""
    part.ready_seconds_max = 0.05
    with pytest.raises(NotReady, match=r"^proxy-1 did not come up; it was not ready within 0.05 s"):
        supervise(part, stop_when_started=False)
    assert part.process is not None
    assert part.process.returncode is not None


def test_who_stops_need_not_wait_until_all_is_up(part: Part) -> None:
    """A part that is still starting, for however long it may, is stopped too."""
    assert supervise(part, stop_when_started=True) == [{"event": "stopped"}]
    assert part.process is not None
    assert part.process.returncode is not None
