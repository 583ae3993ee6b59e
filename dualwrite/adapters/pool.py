"""Keep-alive HTTP/1.1 connections to one host: bounded, first come first served.

One request is sent exactly once. Whatever goes wrong before its first byte was handed to a
connection is ``Unreachable``; whatever goes wrong after it is ``OutcomeUnknown``.
"""

import asyncio
from collections import deque

from dualwrite.adapters.connection import Address, Connection, Limits, Reply
from dualwrite.core.errors import Overloaded, Unreachable

TICK_SECONDS = 0.25
"""How often deadlines are looked at: one timer for the whole pool instead of one a request."""
FRESH_TRIES_MAX = 3
"""New connections that may be lost before anything was sent on them."""

Waiter = tuple["asyncio.Future[Connection | None]", float]
"""Who waits and until when (loop time). None as the answer: open a connection of your own."""


class Pool:
    """At most ``connections_max`` connections to one address; the newest idle one goes first."""

    def __init__(self, address: Address, limits: Limits) -> None:
        self._address = address
        self._limits = limits
        self._idle: list[Connection] = []
        self._waiters: deque[Waiter] = deque()
        self._connections: set[Connection] = set()
        self._slots = 0
        """Connections that exist or are being made."""
        self._ticker: asyncio.TimerHandle | None = None
        self._closed = False
        self._emptied: asyncio.Event | None = None

    async def exchange(self, head: bytes, body: bytes) -> Reply:
        """Send one request and return its answer. Raises Unreachable or OutcomeUnknown."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        deadline = now + self._limits.timeout_seconds
        connection = self._take_idle(now)
        if connection is None:
            connection = await self._obtain(loop, deadline)
        reply: asyncio.Future[Reply] = loop.create_future()
        connection.send(head, body, reply, deadline)
        try:
            return await reply
        except asyncio.CancelledError:
            connection.fail("the caller gave up")
            raise

    async def close(self) -> None:
        """Drop all connections; requests in flight end as OutcomeUnknown."""
        self._closed = True
        while self._waiters:
            waiter, _ = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(Unreachable(f"the client of {self._address} was closed"))
        for connection in tuple(self._connections):
            connection.fail("the client was closed")
        if self._slots:
            self._emptied = asyncio.Event()
            await self._emptied.wait()
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None

    # -- getting a connection -------------------------------------------------------------------

    def _take_idle(self, now: float) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable(now):
                return connection
            connection.fail("closed while idle")
        return None

    async def _obtain(self, loop: asyncio.AbstractEventLoop, deadline: float) -> Connection:
        for _ in range(FRESH_TRIES_MAX):
            if self._closed:
                raise Unreachable(f"the client of {self._address} was closed")
            if self._slots < self._limits.connections_max:
                self._slots += 1
                connection = await self._connect(loop, deadline)
            else:
                handed = await self._wait(loop, deadline)
                connection = handed or await self._connect(loop, deadline)
            if connection.usable(loop.time()):
                return connection
            connection.fail("closed before use")
        raise Unreachable(f"{self._address} drops every connection")

    async def _wait(self, loop: asyncio.AbstractEventLoop, deadline: float) -> Connection | None:
        if len(self._waiters) >= self._limits.waiters_max:
            raise Overloaded(
                f"{len(self._waiters)} requests already wait for a connection to {self._address}"
            )
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        self._waiters.append((waiter, deadline))
        self._start_ticker(loop)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._hand_back(waiter.result())
            raise

    async def _connect(self, loop: asyncio.AbstractEventLoop, deadline: float) -> Connection:
        """Open a connection in a slot that is already counted; gives the slot back on failure."""
        made = False
        try:
            async with asyncio.timeout_at(deadline):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._address, self._limits, self._freed, self._lost),
                    self._address.host,
                    self._address.port,
                    ssl=self._address.tls,
                )
            made = True
        except TimeoutError as error:
            raise Unreachable(f"no connection to {self._address} in time") from error
        except OSError as error:
            raise Unreachable(f"no connection to {self._address}: {_reason(error)}") from error
        finally:
            if not made:
                self._give_slot()
        self._connections.add(connection)
        connection.idle_since = loop.time()
        self._start_ticker(loop)
        if self._closed:
            connection.fail("the client was closed")
        return connection

    # -- giving it back -------------------------------------------------------------------------

    def _freed(self, connection: Connection) -> None:
        while self._waiters:
            waiter, _ = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def _lost(self, connection: Connection) -> None:
        if connection not in self._connections:
            return  # lost before ``_connect`` had it: that one gives the slot back
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._give_slot()

    def _hand_back(self, handed: Connection | None) -> None:
        if handed is None:
            self._give_slot()
        else:
            self._freed(handed)

    def _give_slot(self) -> None:
        while self._waiters:
            waiter, _ = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._slots -= 1
        if self._slots == 0 and self._emptied is not None:
            self._emptied.set()

    # -- time -----------------------------------------------------------------------------------

    def _start_ticker(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._ticker is None:
            self._ticker = loop.call_later(TICK_SECONDS, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._waiters and (self._waiters[0][1] <= now or self._waiters[0][0].done()):
            waiter, _ = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(
                    Unreachable(f"no connection to {self._address} became free in time")
                )
        for connection in tuple(self._connections):
            if connection.deadline <= now:
                connection.fail(f"no answer within {self._limits.timeout_seconds:g} s")
        oldest = now - self._limits.idle_seconds_max
        for connection in tuple(self._idle):
            if connection.idle_since < oldest:
                self._idle.remove(connection)
                connection.fail("idle for too long")
        self._ticker = None
        if self._connections or self._waiters:
            self._start_ticker(loop)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
