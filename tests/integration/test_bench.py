"""The benchmark's own parts: what they count is what happened."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from bench.cases import CASES, ITEM_BYTES, coordinations
from bench.load import Line, closed_loop, open_loop, summary
from bench.requests import requests_of
from dualwrite.core.items import size_bytes


@pytest.fixture(scope="module")
def backend() -> Iterator[int]:
    """The port of a constant-answer backend in a process of its own."""
    command = [sys.executable, "-m", "bench.backend"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline())
    process.terminate()
    process.wait(timeout=10)
    process.stdout.close()


def test_the_requests_are_realistic_and_the_same_each_time() -> None:
    """Old-dialect coordinations of about 0.7 KB, of many tenants."""
    items = coordinations(count=60)
    assert items == coordinations.__wrapped__(60)
    assert all(ITEM_BYTES[0] <= size_bytes(item) <= ITEM_BYTES[1] for item in items)
    assert len({item["endpoint_id"]["S"] for item in items}) == 50


@pytest.mark.parametrize("managed", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_backend_answers_every_case(backend: int, case: str, managed: bool) -> None:
    """Each operation gets its own constant answer, at a migrated table and at a plain one."""
    line = Line(backend)
    with closing(line.socket):
        assert closed_loop([line], requests_of(case, managed=managed, count=2), seconds=0.01)


def test_both_loops_count_each_answer_once(backend: int) -> None:
    """The open loop sends exactly what its rate asks for."""
    requests = requests_of("put", managed=True, count=5)
    lines = [Line(backend) for _ in range(3)]
    try:
        taken = open_loop(lines, requests, seconds=0.2, rate=1000.0)
        assert len(taken) == 200
        taken += closed_loop(lines, requests, seconds=0.1)
        assert summary(taken, 1.0)["requests"] == len(taken) > 203
        assert all(seconds > 0 for seconds in taken)
    finally:
        for line in lines:
            line.socket.close()


def test_an_answer_that_is_no_success_ends_the_run(backend: int) -> None:
    """A benchmark of errors would be quick and worth nothing."""
    line = Line(backend)
    with closing(line.socket):
        line.buffer = b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n"
        line.send(requests_of("put", managed=True, count=1)[0], 0.0)
        with pytest.raises(RuntimeError, match="not a success"):
            line.answered()
