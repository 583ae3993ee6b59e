"""A load generator that costs little: blocking-free sockets, requests encoded beforehand.

Closed loop (no rate): each connection sends its next request when it has its answer. Open loop: at
a fixed rate, whatever the answers do; a request that finds no idle connection waits, and its wait
counts. ``select`` and not an event loop, because timers of those are a millisecond wide.
"""

import argparse
import json
import select
import socket
import time
from collections import deque

from bench.cases import CASES
from bench.requests import requests_of


class Line:
    """One connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.since = 0.0
        self.buffer = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, request: bytes, since: float) -> None:
        self.since = since
        self.socket.sendall(request)

    def answered(self) -> bool:
        """Read; whether the answer is whole. Raises RuntimeError for one that is no success."""
        data = self.socket.recv(65536)
        if not data:
            raise RuntimeError("the server hung up")
        self.buffer = buffer = self.buffer + data if self.buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        start = buffer.lower().find(b"content-length:", 0, end) + 15
        if len(buffer) < end + 4 + int(buffer[start : buffer.find(b"\r", start)]):
            return False
        if not buffer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not a success: {buffer[:400]!r}")
        self.buffer = b""
        return True


def closed_loop(lines: list[Line], requests: list[bytes], seconds: float) -> list[float]:
    """As fast as the answers come; the seconds each took."""
    clock = time.perf_counter
    number, taken = 0, []
    end = clock() + seconds
    for line in lines:
        line.send(requests[number % len(requests)], clock())
        number += 1
    under_way = set(lines)
    while under_way:
        for line in select.select(list(under_way), (), (), 30.0)[0]:
            if not line.answered():
                continue
            now = clock()
            taken.append(now - line.since)
            if now < end:
                line.send(requests[number % len(requests)], now)
                number += 1
            else:
                under_way.discard(line)
    return taken


def open_loop(lines: list[Line], requests: list[bytes], seconds: float, rate: float) -> list[float]:
    """``rate`` a second, evenly spaced; the seconds from when each was due to its answer."""
    clock = time.perf_counter
    idle, under_way = deque(lines), set[Line]()
    taken: list[float] = []
    step, total, sent = 1 / rate, int(seconds * rate), 0
    start = clock()
    while sent < total or under_way:
        now = clock()
        while sent < total and idle and start + sent * step <= now:
            line = idle.popleft()
            line.send(requests[sent % len(requests)], start + sent * step)
            under_way.add(line)
            sent += 1
        due = start + sent * step - clock() if sent < total and idle else 30.0
        for line in select.select(list(under_way), (), (), max(0.0, due))[0]:
            if line.answered():
                taken.append(clock() - line.since)
                under_way.discard(line)
                idle.append(line)
    return taken


def summary(taken: list[float], seconds: float) -> dict[str, float]:
    ordered = sorted(taken)
    return {
        "requests": len(ordered),
        "per_second": len(ordered) / seconds,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--case", choices=tuple(CASES), default="put")
    parser.add_argument("--managed", action="store_true", help="at the migrated table")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.0, help="0: closed loop")
    arguments = parser.parse_args()
    requests = requests_of(arguments.case, managed=arguments.managed)
    lines = [Line(arguments.port) for _ in range(arguments.connections)]
    started = time.perf_counter()
    if arguments.rate:
        taken = open_loop(lines, requests, arguments.seconds, arguments.rate)
    else:
        taken = closed_loop(lines, requests, arguments.seconds)
    print(json.dumps(summary(taken, time.perf_counter() - started)))


if __name__ == "__main__":
    main()
