"""A backend that costs next to nothing: it answers each operation with a constant.

Just enough HTTP to know where a request ends and what it asks for, so that the proxy and not the
backend is measured.
"""

import argparse
import asyncio
import json
from typing import cast
from zlib import crc32

import uvloop

from bench.cases import CASES, answer, table_name
from dualwrite.core.phases import Side

_HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: Server\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Content-Type: application/x-amz-json-1.0\r\nConnection: keep-alive\r\n"
    b"x-amzn-RequestId: NVCM3BFHQ8J8GBT6P6SG7G2KJJVV4KQNSO5AEMVJF66Q9ASUAAJG\r\n"
    b"x-amz-crc32: %d\r\nContent-Length: %d\r\n\r\n%b"
)
Answers = dict[tuple[bytes, bool, bool], bytes]
"""By operation, whether the table is a managed one, and whether capacity is asked for."""


def answers() -> Answers:
    """All of them, encoded."""
    made: Answers = {}
    for operation in {case.operation for case in CASES.values()}:
        for managed in (False, True):
            told = answer(operation, managed=managed)
            untold = {name: value for name, value in told.items() if name != "ConsumedCapacity"}
            for asked, body in ((True, told), (False, untold)):
                text = json.dumps(body).encode()
                made[operation.encode(), managed, asked] = _HEAD % (crc32(text), len(text), text)
    return made


class Constant(asyncio.Protocol):
    """One connection."""

    def __init__(self, known: Answers, names: tuple[bytes, ...]) -> None:
        self._known = known
        self._names = names
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while True:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                break
            start = buffer.find(b"ontent-", 0, end)
            while buffer[start + 7 : start + 13].lower() != b"length":
                start = buffer.find(b"ontent-", start + 1, end)
            whole = end + 4 + int(buffer[start + 14 : buffer.find(b"\r", start)])
            if len(buffer) < whole:
                break
            self._transport.write(self._answer(buffer, end, whole))
            buffer = buffer[whole:]
        self._buffer = buffer

    def _answer(self, buffer: bytes, end: int, whole: int) -> bytes:
        start = buffer.find(b"_20120810.", 0, end) + 10
        operation = buffer[start : buffer.find(b"\r", start)]
        asked = buffer.find(b"ReturnConsumedCapacity", end, whole) >= 0
        managed = any(buffer.find(name, end, whole) >= 0 for name in self._names)
        return self._known[operation, managed, asked]


async def serve() -> None:
    known = answers()
    names = tuple(table_name(managed=True, side=side).encode() for side in Side)
    server = await asyncio.get_running_loop().create_server(
        lambda: Constant(known, names), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    uvloop.run(serve())
