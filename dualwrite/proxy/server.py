"""The HTTP/1.1 server of the proxy: bytes in, a handler's reply out, and a bound on everything.

It adds nothing to a reply but framing and the date. All time-outs of all connections hang on one
timer.
"""

import asyncio
import ssl
from email.utils import formatdate

from dualwrite.proxy.connection import Bounds, Connection
from dualwrite.proxy.messages import Handler, HttpReply, HttpRequest
from dualwrite.proxy.plain import PlainRequests

__all__ = ["Bounds", "Handler", "HttpReply", "HttpRequest", "Server"]

TICK_SECONDS_MAX = 0.5
ABORT_SECONDS = 2.0
"""How long cancelled handlers may take to end."""
LISTEN_BACKLOG = 1024
FLOOD_FACTOR = 2
"""Clients beyond ``connections_max`` are told so; beyond this multiple of it they are cut off."""


class Server:
    """Listens on one address and hands whole requests to ``handler``, which should not raise."""

    def __init__(
        self,
        handler: Handler,
        *,
        host: str,
        port: int,
        bounds: Bounds | None = None,
        reuse_port: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.handler = handler
        self.plain = PlainRequests()
        self.bounds = bounds or Bounds()
        self._host = host
        self._port = port
        self._reuse_port = reuse_port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._held_bytes = 0
        self._ticker: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None

    async def start(self) -> int:
        """Listen; returns the port. Raises OSError where the address is in use."""
        self.loop = asyncio.get_running_loop()
        self._server = await self.loop.create_server(
            lambda: Connection(self), self._host, self._port, backlog=LISTEN_BACKLOG,
            reuse_port=self._reuse_port, ssl=self._tls,
            ssl_handshake_timeout=self.bounds.handshake_seconds if self._tls else None,
        )  # fmt: skip
        bounds = self.bounds
        waits = (
            bounds.idle_seconds, bounds.read_seconds, bounds.write_seconds, bounds.linger_seconds
        )  # fmt: skip
        self._tick_seconds = min(TICK_SECONDS_MAX, min(waits) / 2)
        self._tick()
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self, grace_seconds: float) -> int:
        """Stop listening, answer what is in hand, close; returns how many requests were cut off
        because they took longer than ``grace_seconds``."""
        if self._server is None:
            return 0
        self._server.close()
        for connection in tuple(self._connections):
            connection.stop()
        await self._until_empty(grace_seconds)
        cut_off = sum(connection.task is not None for connection in self._connections)
        for connection in tuple(self._connections):
            connection.abort()
        await self._until_empty(ABORT_SECONDS)
        if self._ticker is not None:
            self._ticker.cancel()
        self._server = None
        return cut_off

    # -- what connections ask of it -------------------------------------------------------------

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False: there are too many."""
        self._connections.add(connection)
        if len(self._connections) > FLOOD_FACTOR * self.bounds.connections_max:
            connection.abort()
        return len(self._connections) <= self.bounds.connections_max

    def forget(self, connection: Connection) -> None:
        """The connection is lost and its last handler has ended."""
        self._connections.discard(connection)
        if not self._connections and self._emptied is not None:
            self._emptied.set()

    def hold(self, size: int) -> bool:
        """Count body bytes; False: too many are held already."""
        self._held_bytes += size
        return self._held_bytes <= self.bounds.buffered_bytes_max

    def release(self, size: int) -> None:
        """The opposite of ``hold``."""
        self._held_bytes -= size

    # -- time -----------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.date = formatdate(usegmt=True).encode()
        now = self.loop.time()
        for connection in tuple(self._connections):
            if connection.deadline <= now:
                connection.expire()
        self._ticker = self.loop.call_later(self._tick_seconds, self._tick)

    async def _until_empty(self, seconds: float) -> None:
        if not self._connections:
            return
        self._emptied = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._emptied.wait()
        except TimeoutError:
            return
