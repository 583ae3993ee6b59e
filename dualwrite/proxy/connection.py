"""One client's HTTP/1.1 connection.

Its requests are handled one after the other in the order they came, so pipelined writes keep
their order. A client that goes away never cancels a handler: its write goes on to an end that is
known.
"""

import asyncio
import traceback
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import httptools
import structlog

from dualwrite.proxy import messages
from dualwrite.proxy.messages import Answer, Handler, HttpReply, HttpRequest, render
from dualwrite.proxy.plain import HEADER_OVERHEAD_BYTES, PlainRequests

PIPELINED_MAX = 16
"""Whole requests of one connection that may wait; above it the socket is read no further."""
_WATCHED = frozenset({b"content-length", b"expect"})
NEVER = float("inf")
BLANKS = b" \t"
"""They may stand around a header's value and are no part of it (RFC 9110, 5.5)."""

log = structlog.get_logger()


class Bounds(NamedTuple):
    """What a server takes from its clients; bytes, counts and seconds."""

    body_bytes_max: int = 16 * 1024 * 1024 + 64 * 1024
    """DynamoDB takes 16 MiB; a little more, so that DynamoDB itself words that refusal."""
    headers_bytes_max: int = 64 * 1024
    buffered_bytes_max: int = 256 * 1024 * 1024
    """Bodies held for all connections together."""
    connections_max: int = 1024
    handshake_seconds: float = 10.0
    idle_seconds: float = 75.0
    read_seconds: float = 30.0
    """From a request's first byte to its last."""
    write_seconds: float = 30.0
    """How long a client may refuse to read its answer."""
    linger_seconds: float = 2.0
    """How long a refused client is still read, so that it sees the refusal and not a reset."""


class Host(Protocol):
    """What a connection needs of its server."""

    bounds: Bounds
    handler: Handler
    loop: asyncio.AbstractEventLoop
    date: bytes
    """The time of now, as HTTP writes it."""
    plain: PlainRequests

    def admit(self, connection: "Connection") -> bool:
        """Count a new connection; False: there are too many."""
        ...

    def forget(self, connection: "Connection") -> None:
        """The connection is lost and its last handler has ended."""
        ...

    def hold(self, size: int) -> bool:
        """Count body bytes; False: too many are held already."""
        ...

    def release(self, size: int) -> None: ...


class _Pending(NamedTuple):
    request: HttpRequest | None
    """None: the request was refused and ``refusal`` is its answer."""
    refusal: HttpReply | None
    keep_alive: bool
    old_http: bool


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: Host) -> None:
        self._server = server
        self._bounds = server.bounds
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._queue: deque[_Pending] = deque()
        self.task: asyncio.Task[None] | None = None
        self.deadline = NEVER
        """Loop time at which ``expire`` is called."""
        self._receiving = False
        self._continue_due = False
        """The request that is being received waits for "100 Continue"."""
        self._deaf = False
        """Nothing more is parsed: a refusal or the end is under way."""
        self._eof = False
        self._write_paused = False
        self._read_paused = False
        self._lingering = False
        self._stopping = False
        self._reset_message()

    def _reset_message(self) -> None:
        self._path = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._headers_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    # -- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)
        self.deadline = self._server.loop.time() + self._bounds.idle_seconds
        if not self._server.admit(self):
            self._refuse(messages.TOO_BUSY)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if not self._receiving and self.task is None and not self._queue:
            plain = self._server.plain.request(data, self._bounds.headers_bytes_max)
            if plain is not None:
                self._body_bytes = len(plain.body)
                if self._server.hold(self._body_bytes):
                    self._received(plain, keep_alive=True, old_http=False)
                else:
                    self._refuse(messages.TOO_BUSY)
                return
        try:
            while data and not self._deaf:
                data = self._fed(data)
        except httptools.HttpParserError:
            self._refuse(messages.MALFORMED)

    def _fed(self, data: bytes) -> bytes:
        """Parse; what comes next is a request that offered another protocol, without that."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:  # after the head, whatever its body
            if self._parser.get_method() != b"CONNECT":
                head = messages.without_offer(self._parser, self._path, self._headers)
                self._parser = httptools.HttpRequestParser(self)
                self._reset_message()
                return head + data[stopped.args[0] :]
            self._deaf = True  # all that follows would be for somebody else
        return b""

    def eof_received(self) -> bool:
        """A half-closed client still gets its answers."""
        self._eof = self._deaf = True
        if self.task is None and not self._queue:
            return False
        self.deadline = NEVER
        return True

    def pause_writing(self) -> None:
        self._write_paused = True
        self.deadline = self._server.loop.time() + self._bounds.write_seconds

    def resume_writing(self) -> None:
        self._write_paused = False
        self._settle_deadline()
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._deaf = True
        self._transport = self._parser = None
        self.deadline = NEVER
        self._drop_queue()
        self._drop_partial()
        if self.task is None:
            self._server.forget(self)

    # -- httptools callbacks --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._deaf:
            return
        self._receiving = True
        if self.task is None and not self._write_paused:
            self.deadline = self._server.loop.time() + self._bounds.read_seconds

    def on_url(self, url: bytes) -> None:
        self._path += url
        self._headers_bytes += len(url)
        if self._headers_bytes > self._bounds.headers_bytes_max:
            self._refuse(messages.HEADERS_TOO_LARGE)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._deaf:
            return
        name, value = name.lower(), value.strip(BLANKS)
        self._headers.append((name, value))
        self._headers_bytes += len(name) + len(value) + HEADER_OVERHEAD_BYTES
        if self._headers_bytes > self._bounds.headers_bytes_max:
            self._refuse(messages.HEADERS_TOO_LARGE)
        elif name in _WATCHED:
            if name == b"content-length" and int(value) > self._bounds.body_bytes_max:
                self._refuse(messages.BODY_TOO_LARGE)
            elif name == b"expect" and value.lower() == b"100-continue":
                self._continue_due = True

    def on_headers_complete(self) -> None:
        if not self._parser.should_upgrade():
            self._continue_if_due()

    def on_body(self, data: bytes) -> None:
        if self._deaf:
            return
        self._body.append(data)
        self._body_bytes += len(data)
        room = self._server.hold(len(data))
        if self._body_bytes > self._bounds.body_bytes_max:
            self._refuse(messages.BODY_TOO_LARGE)
        elif not room:
            self._refuse(messages.TOO_BUSY)

    def on_message_complete(self) -> None:
        parser, body = self._parser, self._body
        if parser.should_upgrade() and parser.get_method() != b"CONNECT":
            return
        self._receiving = self._continue_due = False
        if self._deaf:
            return
        request = HttpRequest(
            parser.get_method(),
            self._path,
            tuple(self._headers),
            body[0] if len(body) == 1 else b"".join(body),
        )
        self._path, self._headers, self._headers_bytes, self._body = b"", [], 0, []
        self._received(
            request,
            keep_alive=parser.should_keep_alive(),
            old_http=parser.get_http_version() == "1.0",
        )

    def _received(self, request: HttpRequest, *, keep_alive: bool, old_http: bool) -> None:
        """Take a whole request, whose body is held, in its turn."""
        self._body_bytes = 0
        self._queue.append(_Pending(request, None, keep_alive, old_http))
        if len(self._queue) > PIPELINED_MAX and not self._read_paused and self._transport:
            self._read_paused = True
            self._transport.pause_reading()
        self._next()

    # -- one request after the other ------------------------------------------------------------

    def _next(self) -> None:
        """Begin the oldest request that waits, unless one is in hand."""
        if self.task is not None or self._write_paused or self._transport is None:
            return
        if not self._queue:
            self._when_idle()
            return
        pending = self._queue.popleft()
        if self._read_paused and len(self._queue) <= PIPELINED_MAX // 2:
            self._read_paused = False
            self._transport.resume_reading()
        if pending.request is None:
            self._write(pending, cast(HttpReply, pending.refusal))
            self._linger()
            return
        self.deadline = NEVER
        self.task = self._server.loop.create_task(self._answer(pending, pending.request))

    async def _answer(self, pending: _Pending, request: HttpRequest) -> None:
        reply: Answer = messages.FAILED
        try:
            reply = await self._server.handler(request)
        except Exception as error:
            log.error("handler failed", error=type(error).__name__, at=_place(error))
        finally:
            self.task = None
            self._server.release(len(request.body))
            if self._transport is None:
                self._server.forget(self)
        if self._transport is not None:
            self._write(pending, reply)
            self._next()

    def _write(self, pending: _Pending, reply: Answer) -> None:
        assert self._transport is not None
        last = self._deaf or self._stopping
        keep_alive = pending.keep_alive and not (last and not self._queue)
        head_only = pending.request is not None and pending.request.method == b"HEAD"
        self._transport.write(
            render(
                reply,
                date=self._server.date,
                keep_alive=keep_alive,
                old_http=pending.old_http,
                head_only=head_only,
            )
        )
        if not keep_alive:
            self._deaf = True
            self._drop_queue()

    def _when_idle(self) -> None:
        """Nothing is in hand: wait for more, or close."""
        assert self._transport is not None
        if self._lingering:
            return
        if self._deaf or (self._stopping and not self._receiving):
            self._close()
            return
        self._continue_if_due()
        self._settle_deadline()

    def _settle_deadline(self) -> None:
        if self.task is not None or self._lingering:
            return
        wait = self._bounds.read_seconds if self._receiving else self._bounds.idle_seconds
        self.deadline = self._server.loop.time() + wait

    def _continue_if_due(self) -> None:
        """Say "100 Continue", but never into the middle of an earlier request's answer."""
        if self._continue_due and self.task is None and not self._queue and not self._deaf:
            self._continue_due = False
            if self._transport is not None:
                self._transport.write(messages.CONTINUE)

    # -- refusing -------------------------------------------------------------------------------

    def _refuse(self, reply: HttpReply) -> None:
        """Answer what came before, then this, then close; hear nothing more."""
        if self._deaf:
            return
        self._deaf = True
        self._receiving = False
        self._drop_partial()
        self._queue.append(_Pending(None, reply, keep_alive=False, old_http=False))
        self._next()

    def _linger(self) -> None:
        """Close our half and let the client finish sending: a reset would eat the refusal."""
        assert self._transport is not None
        if self._eof or not self._transport.can_write_eof():
            self._close()
            return
        self._lingering = True
        self._transport.write_eof()
        self.deadline = self._server.loop.time() + self._bounds.linger_seconds

    def _close(self) -> None:
        """Close after what is written has been taken; a client that takes nothing is cut off."""
        self._lingering = True
        self.deadline = self._server.loop.time() + self._bounds.write_seconds
        if self._transport is not None:
            self._transport.close()

    def _drop_queue(self) -> None:
        self._server.release(sum(len(each.request.body) for each in self._queue if each.request))
        self._queue.clear()

    def _drop_partial(self) -> None:
        self._server.release(self._body_bytes)
        self._reset_message()

    # -- what the server does with it -----------------------------------------------------------

    def expire(self) -> None:
        """The deadline has passed."""
        self.deadline = NEVER
        if self._transport is None:
            return
        if self._lingering or self._write_paused:
            self._transport.abort()
        elif self._receiving:
            self._refuse(messages.TOO_SLOW)
        elif self.task is None:
            self._close()

    def stop(self) -> None:
        """Close once what is in hand is answered."""
        self._stopping = True
        idle = self.task is None and not self._queue and not self._receiving
        if idle and not self._lingering:
            self._close()

    def abort(self) -> None:
        """Cut the client off and cancel its handler."""
        if self.task is not None:
            self.task.cancel()
        if self._transport is not None:
            self._transport.abort()


def _place(error: BaseException) -> str:
    """File and line where an error was raised; its message might hold item contents."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
