"""A backend that costs next to nothing: it answers each PutItem with a constant.

Just enough HTTP to know where a request ends, so that the proxy and not the backend is measured.
"""

import argparse
import asyncio
from typing import cast

import uvloop

CAPACITY = b'{"ConsumedCapacity":{"TableName":"t","CapacityUnits":1.0}}'
EMPTY = b"{}"
_HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: Server\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Content-Type: application/x-amz-json-1.0\r\nConnection: keep-alive\r\n"
    b"x-amzn-RequestId: NVCM3BFHQ8J8GBT6P6SG7G2KJJVV4KQNSO5AEMVJF66Q9ASUAAJG\r\n"
    b"x-amz-crc32: 2745614147\r\nContent-Length: %d\r\n\r\n%b"
)
ANSWER = _HEAD % (len(EMPTY), EMPTY)
ANSWER_WITH_CAPACITY = _HEAD % (len(CAPACITY), CAPACITY)


class Constant(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
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
            asked = buffer.find(b"ReturnConsumedCapacity", end, whole) >= 0
            self._transport.write(ANSWER_WITH_CAPACITY if asked else ANSWER)
            buffer = buffer[whole:]
        self._buffer = buffer


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Constant, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    uvloop.run(serve())
