"""A server that plays a script, and the wire client that speaks to it."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from botocore.credentials import ReadOnlyCredentials

from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.wire import WireClient

PUT = "DynamoDB_20120810.PutItem"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def client(url: str, **options: Any) -> Any:
    wire = WireClient(
        url,
        region="us-east-1",
        credentials=lambda: ReadOnlyCredentials("test", "test", None),
        clock=SystemClock(),
        **options,
    )
    try:
        yield wire
    finally:
        await wire.close()


class Backend:
    """A server that plays one script a connection and keeps what it was sent."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.scripts = list(scripts)
        self.tls = tls
        self.requests: list[bytes] = []
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        whole = head + await reader.readexactly(length)
        self.requests.append(whole)
        return whole

    async def play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        self.writers.append(writer)
        try:
            await script(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def serving(self) -> Any:
        server = await asyncio.start_server(self.play, "127.0.0.1", 0, ssl=self.tls)
        scheme = "https" if self.tls else "http"
        try:
            yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for writer in self.writers:
                writer.transport.abort()


def answering(*answers: bytes, backend: list[Backend]) -> Script:
    """Answers a connection's requests with those bytes, the last one again and again."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while True:
            await backend[0].request(reader)
            writer.write(answers[min(number, len(answers) - 1)])
            number += 1

    return script


def backend_of(*answers: bytes, tls: ssl.SSLContext | None = None) -> Backend:
    held: list[Backend] = []
    held.append(Backend(answering(*answers, backend=held), tls=tls))
    return held[0]


def http(status: int, body: bytes, extra: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\n%bcontent-length: %d\r\n\r\n%b" % (status, extra, len(body), body)
