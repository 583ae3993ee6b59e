"""The proxy's HTTP server, and a client that writes bytes to it."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

from dualwrite.proxy.server import Bounds, Handler, HttpReply, HttpRequest, Server

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"


async def echo(request: HttpRequest) -> HttpReply:
    return HttpReply(200, ((b"x-method", request.method),), request.body)


@asynccontextmanager
async def serving(handler: Handler = echo, **bounds: Any) -> Any:
    server = Server(handler, host="127.0.0.1", port=0, bounds=Bounds(**bounds))
    port = await server.start()
    try:
        yield server, port
    finally:
        await server.stop(0.0)


async def dial(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def reply(reader: asyncio.StreamReader, *, body: bool = True) -> tuple[bytes, bytes]:
    """(head, body) of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    if not body or b"content-length: " not in head:
        return head, b""
    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
    return head, await reader.readexactly(length)


def post(body: bytes, extra: bytes = b"") -> bytes:
    return HEAD + extra + b"content-length: %d\r\n\r\n" % len(body) + body
