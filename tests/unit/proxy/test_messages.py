"""How an answer's head is written: an engine's own goes on as it came wherever that can be."""

import pytest

from dualwrite.adapters.connection import Reply
from dualwrite.proxy.messages import render

DATE = b"Sat, 28 Nov 2026 12:00:00 GMT"
ENGINES = (
    b"HTTP/1.1 200 OK\r\nServer: Server\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Connection: keep-alive\r\nx-amz-crc32: 2745614147\r\nContent-Length: 2"
)


def rendered(head: bytes, *, keep_alive: bool = True) -> bytes:
    reply = Reply(200, head, b"{}")
    return render(reply, date=DATE, keep_alive=keep_alive, old_http=False, head_only=False)


def test_an_engines_head_goes_on_byte_for_byte() -> None:
    """DynamoDB's own, which tells a date and that the connection stays."""
    assert rendered(ENGINES) == ENGINES + b"\r\n\r\n{}"


def test_a_head_without_a_date_gets_one() -> None:
    """SDKs set their clocks by it; all else stays."""
    undated = b"HTTP/1.1 200 OK\r\nContent-Length: 2"
    assert rendered(undated) == undated + b"\r\ndate: " + DATE + b"\r\n\r\n{}"


@pytest.mark.parametrize("hop", [b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive"])
def test_what_is_between_engine_and_proxy_is_not_passed_on(hop: bytes) -> None:
    """The engine's patience with an idle connection is not the proxy's."""
    head, _, _ = rendered(ENGINES + b"\r\n" + hop).partition(b"\r\n\r\n")
    assert hop.partition(b":")[0].lower() not in head.lower()
    assert b"x-amz-crc32: 2745614147" in head


def test_a_connection_that_ends_is_told_once() -> None:
    """The client hears of its own connection, not of the engine's."""
    head, _, _ = rendered(ENGINES, keep_alive=False).partition(b"\r\n\r\n")
    assert head.lower().count(b"connection:") == 1
    assert b"connection: close" in head
