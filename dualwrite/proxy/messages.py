"""HTTP messages as the proxy's handlers see them, and how replies are written to the wire."""

import re
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

import orjson

JSON_TYPE = (b"content-type", b"application/x-amz-json-1.0")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_LEFT_TO_US = re.compile(rb"(?i)\r\n(date|keep-alive|proxy-connection):")
"""What a head that came may not say, or what it lacks: one that tells nothing but a date goes on
as it is."""
_FRAMING = frozenset(
    {b"connection", b"content-length", b"keep-alive", b"proxy-connection", b"transfer-encoding"}
)


class HttpRequest(NamedTuple):
    """A whole request; header names are in lower case, values as they came."""

    method: bytes
    path: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    decoded: bytes | None = None
    """The body without its Content-Encoding; None: it has none."""

    @property
    def content(self) -> bytes:
        """What the client means; ``body`` is how it came, and what is signed."""
        return self.body if self.decoded is None else self.decoded


class Answer(Protocol):
    """A whole answer: made here, or an engine's as it came."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Those that frame a message are the server's: given ones are dropped."""
        ...

    @property
    def body(self) -> bytes: ...
    @property
    def head(self) -> bytes:
        """Status line and headers as they came, framed by one Content-Length and nothing else, on a
        connection that stays; empty where there is no such head."""
        ...


class HttpReply(NamedTuple):
    """An answer that is made here."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def head(self) -> bytes:
        """There is none that came."""
        return b""


Handler = Callable[[HttpRequest], Awaitable[Answer]]


def without_offer(parser: Any, path: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head that a parser has just read, but for the other protocol that the client would speak
    as well: "a server MAY ignore a received Upgrade header field" (RFC 9110, 7.8)."""
    kept = b"".join(b"%b: %b\r\n" % pair for pair in headers if pair[0] != b"upgrade")
    version = parser.get_http_version().encode()
    return b"%b %b HTTP/%b\r\n%b\r\n" % (parser.get_method(), path, version, kept)


def render(
    reply: Answer, *, date: bytes, keep_alive: bool, old_http: bool, head_only: bool
) -> bytes:
    """The answer's bytes; ``old_http``: an HTTP/1.0 client, which must be told of keep-alive.

    ``date`` is told where the reply does not tell it: SDKs set their clocks by it.
    """
    if reply.head and keep_alive and not old_http and not head_only:
        found = _LEFT_TO_US.findall(reply.head)
        if not found:
            return b"%b\r\ndate: %b\r\n\r\n%b" % (reply.head, date, reply.body)
        if len(found) == 1 and found[0].lower() == b"date":
            return b"%b\r\n\r\n%b" % (reply.head, reply.body)
    parts = [_STATUS_LINES.get(reply.status) or b"HTTP/1.1 %d \r\n" % reply.status]
    dated = False
    for name, value in reply.headers:
        lower = name.lower()
        if lower not in _FRAMING:
            parts.append(b"%b: %b\r\n" % (name, value))
            dated = dated or lower == b"date"
    if not dated:
        parts.append(b"date: %b\r\n" % date)
    if not keep_alive:
        parts.append(b"connection: close\r\n")
    elif old_http:
        parts.append(b"connection: keep-alive\r\n")
    parts.append(b"content-length: %d\r\n\r\n" % len(reply.body))
    if not head_only:
        parts.append(reply.body)
    return b"".join(parts)


def _error(status: int, code: str, message: str) -> HttpReply:
    body = orjson.dumps({"__type": f"com.amazon.coral.service#{code}", "message": message})
    return HttpReply(status, (JSON_TYPE,), body)


# Codes and statuses are those of AWS's "Common errors" pages.
MALFORMED = _error(400, "MalformedHttpRequestException", "The request is not HTTP/1.1.")
HEADERS_TOO_LARGE = _error(
    400, "MalformedHttpRequestException", "The request line and headers are too large."
)
BODY_TOO_LARGE = HttpReply(413, (), b"")
"""DynamoDB's own says no more than its status either."""
TOO_SLOW = _error(408, "RequestTimeoutException", "The request did not arrive in time.")
TOO_BUSY = _error(503, "ServiceUnavailable", "The proxy has too many requests at hand.")
FAILED = _error(500, "InternalFailure", "The proxy failed; the outcome of a write is unknown.")
