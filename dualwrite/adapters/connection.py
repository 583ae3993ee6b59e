"""One keep-alive HTTP/1.1 connection to an engine, and the answers that come over it."""

import asyncio
import re
import select
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import httptools

from dualwrite.core.errors import OutcomeUnknown

TRUSTED_IDLE_SECONDS = 0.05
"""A connection idle for longer is asked whether the server has closed it before it is used."""
RESPONSE_HEADERS_BYTES_MAX = 64 * 1024
_TELLING = re.compile(
    rb"(?i)\r\n(?:content-length:[ \t]*([0-9]+)[ \t]*(?=\r)|content-length"
    rb"|connection:(?![ \t]*keep-alive[ \t]*\r)|transfer-encoding|upgrade|[ \t])|\0"
)
"""The header lines that decide how an answer is framed; all but a Content-Length of digits, whose
group is not empty, are for the parser."""
_WITHOUT_BODY = frozenset({204, 304})


class Reply:
    """An HTTP answer as it came. Its head is taken apart only for those who ask."""

    __slots__ = ("_headers", "body", "head", "status")

    def __init__(
        self, status: int, head: bytes | tuple[tuple[bytes, bytes], ...], body: bytes
    ) -> None:
        self.status = status
        self.body = body
        self.head = head if isinstance(head, bytes) else b""
        """Status line and headers, where nothing but one Content-Length frames the body."""
        self._headers = None if isinstance(head, bytes) else head

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Names and values in their order and spelling."""
        if self._headers is None:
            lines = (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
            self._headers = tuple((name, value.strip()) for name, _, value in lines)
        return self._headers


class Address(NamedTuple):
    """Where a pool connects to."""

    host: str
    port: int
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Limits(NamedTuple):
    """The bounds of one pool."""

    connections_max: int = 64
    waiters_max: int = 4096
    """Requests that may wait for a connection; one more is refused at once."""
    timeout_seconds: float = 10.0
    """From the call to the whole answer, waiting and connecting included."""
    idle_seconds_max: float = 20.0
    response_bytes_max: int = 64 * 1024 * 1024


class Connection(asyncio.Protocol):
    """One connection; it carries one request at a time."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_headers",
        "_headers_bytes",
        "_limits",
        "_midway",
        "_on_free",
        "_on_lost",
        "_parser",
        "_poll",
        "_reply",
        "_transport",
        "address",
        "deadline",
        "idle_since",
    )

    def __init__(
        self,
        address: Address,
        limits: Limits,
        on_free: Callable[["Connection"], None],
        on_lost: Callable[["Connection"], None],
    ) -> None:
        self.address = address
        self.deadline = float("inf")
        """Loop time at which the request in flight is given up."""
        self.idle_since = 0.0
        self._limits = limits
        self._on_free = on_free
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._poll: select.poll | None = None
        self._reply: asyncio.Future[Reply] | None = None
        self._midway = False
        """An answer has begun and is not whole: its bytes are the parser's."""
        self._headers: list[tuple[bytes, bytes]] = []
        self._headers_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    # -- what the pool does with it -------------------------------------------------------------

    def usable(self, now: float) -> bool:
        """Whether a request may be sent: open, and not closed by the server while it was idle."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if now - self.idle_since < TRUSTED_IDLE_SECONDS or self._poll is None:
            return True
        return not self._poll.poll(0)

    def send(self, head: bytes, body: bytes, reply: asyncio.Future[Reply], deadline: float) -> None:
        """Send one request; from here on its failure is an unknown outcome."""
        assert self._transport is not None
        self._reply = reply
        self.deadline = deadline
        self._transport.write(head + body)

    def fail(self, message: str) -> None:
        """Give the request in flight up, if there is one, and drop the connection."""
        reply, self._reply = self._reply, None
        self.deadline = float("inf")
        if reply is not None and not reply.done():
            reply.set_exception(OutcomeUnknown(f"{message} ({self.address})"))
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            self._poll = select.poll()
            self._poll.register(sock.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if not self._midway and self._reply is not None:
            whole = whole_answer(data) if len(data) <= self._limits.response_bytes_max else None
            if whole is not None:
                self._answered(whole, keep_alive=True)
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.fail("the answer is not HTTP")

    def eof_received(self) -> None:
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = self._poll = self._parser = None
        self.fail("the connection was lost before the answer was whole")
        self._on_lost(self)

    # -- httptools callbacks --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._midway = True
        if self._reply is None:
            self.fail("the server answered without being asked")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers_bytes += len(name) + len(value)
        if self._headers_bytes > RESPONSE_HEADERS_BYTES_MAX:
            self.fail("the answer's headers are too large")
            return
        self._headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self._body_bytes += len(data)
        if self._body_bytes > self._limits.response_bytes_max:
            self._body.clear()
            self.fail("the answer is too large")
            return
        self._body.append(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        headers, body = self._headers, self._body
        self._headers, self._headers_bytes, self._midway = [], 0, False
        if self._reply is None or status < 200:  # given up, or "100 Continue" before the answer
            return
        self._body, self._body_bytes = [], 0
        reply = Reply(status, tuple(headers), b"".join(body))
        self._answered(reply, keep_alive=self._parser.should_keep_alive())

    def _answered(self, answer: Reply, *, keep_alive: bool) -> None:
        reply, self._reply = self._reply, None
        self.deadline = float("inf")
        if reply is not None and not reply.done():
            reply.set_result(answer)
        if keep_alive:
            self._on_free(self)
        elif self._transport is not None:
            self._transport.close()


def whole_answer(data: bytes) -> Reply | None:
    """The one plain answer that ``data`` is; None for all that the parser must look at.

    A short cut for nearly all answers: they come in one piece with one Content-Length. What is
    folded, chunked, informal, closing, doubtful or in pieces is left to the parser.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0 or not data.startswith(b"HTTP/1.1 ") or end > RESPONSE_HEADERS_BYTES_MAX:
        return None
    telling = _TELLING.findall(data, 0, end + 2)
    status = data[9:12]
    if len(telling) != 1 or not telling[0] or not status.isdigit() or data[12:13] not in b" \r":
        return None
    code = int(status)
    if code < 200 or code in _WITHOUT_BODY or int(telling[0]) != len(data) - end - 4:
        return None
    return Reply(code, data[:end], data[end + 4 :])
