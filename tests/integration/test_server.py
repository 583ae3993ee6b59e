"""The proxy's HTTP server, spoken to over raw sockets."""

import asyncio
import socket
import struct
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from dualwrite.proxy.connection import PIPELINED_MAX
from dualwrite.proxy.messages import CONTINUE
from dualwrite.proxy.server import HttpReply, HttpRequest
from tests.loopback import SECONDS_MAX, run, until
from tests.raw_http import HEAD, dial, echo, post, reply, serving


def test_a_handler_sees_the_whole_request() -> None:
    """Method, path, lower-case header names, values as they came, and the body in one piece."""
    seen: list[HttpRequest] = []

    async def handler(request: HttpRequest) -> HttpReply:
        seen.append(request)
        return HttpReply(200, (), b"")

    async def go() -> None:
        async with serving(handler) as (_, port):
            reader, writer = await dial(port)
            start = b"POST /a?b HTTP/1.1\r\nX-Amz-Ta"
            for piece in (start, b"rget: A.B\r\nContent-Length: 6\r\n\r", b"\nabc", b"def"):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            await reply(reader)
            writer.close()

    run(go)
    assert seen == [
        HttpRequest(
            b"POST", b"/a?b", ((b"x-amz-target", b"A.B"), (b"content-length", b"6")), b"abcdef"
        )
    ]


def test_the_server_adds_only_framing_and_the_date() -> None:
    """Headers that a handler gives for framing are replaced, all others pass untouched; a date is
    told where none is."""
    dates: list[tuple[bytes, bytes]] = []

    async def handler(request: HttpRequest) -> HttpReply:
        given = ((b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"9"), (b"X-Amz-A", b"b"))
        return HttpReply(400, (*given, *dates), b"hello")

    async def go() -> None:
        async with serving(handler) as (_, port):
            reader, writer = await dial(port)
            writer.write(post(b""))
            head, body = await reply(reader)
            lines = head.split(b"\r\n")
            assert lines[:2] == [b"HTTP/1.1 400 Bad Request", b"X-Amz-A: b"]
            assert lines[3:] == [b"content-length: 5", b"", b""]
            told = parsedate_to_datetime(lines[2].removeprefix(b"date: ").decode())
            assert abs((told - datetime.now(UTC)).total_seconds()) < SECONDS_MAX
            assert body == b"hello"
            dates.append((b"Date", b"the engine's"))
            writer.write(post(b""))
            head, _ = await reply(reader)
            assert head.lower().count(b"\r\ndate: ") == head.count(b"Date: the engine's") == 1
            writer.close()

    run(go)


def test_pipelined_requests_are_handled_one_by_one_and_answered_in_order() -> None:
    """Also many more than may wait at once, sent in one piece, while handlers take their time."""
    at_once: list[int] = []
    count = PIPELINED_MAX * 20
    busy = 0

    async def handler(request: HttpRequest) -> HttpReply:
        nonlocal busy
        busy += 1
        at_once.append(busy)
        await asyncio.sleep(0)
        busy -= 1
        return HttpReply(200, (), request.body)

    async def go() -> None:
        async with serving(handler) as (_, port):
            reader, writer = await dial(port)
            writer.write(b"".join(post(b"%d" % number) for number in range(count)))
            answers = [(await reply(reader))[1] for _ in range(count)]
            assert answers == [b"%d" % number for number in range(count)]
            writer.close()

    run(go)
    assert max(at_once) == 1


def test_a_chunked_body_is_put_together() -> None:
    """SDKs that stream a body are understood."""

    async def go() -> None:
        async with serving() as (_, port):
            reader, writer = await dial(port)
            writer.write(
                HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n"
            )
            assert (await reply(reader))[1] == b"abcdefgh"
            writer.close()

    run(go)


def test_100_continue_is_said_before_the_body_and_never_inside_an_answer() -> None:
    """The second request's "100 Continue" waits for the first one's answer."""
    gate = asyncio.Event()

    async def handler(request: HttpRequest) -> HttpReply:
        await gate.wait()
        return await echo(request)

    async def go() -> None:
        async with serving(handler) as (_, port):
            reader, writer = await dial(port)
            expecting = b"expect: 100-continue\r\ncontent-length: 3\r\n\r\n"
            writer.write(HEAD + expecting)
            assert await reply(reader) == (b"HTTP/1.1 100 Continue\r\n\r\n", b"")
            writer.write(b"abc" + HEAD + expecting)
            gate.set()
            assert (await reply(reader))[1] == b"abc"
            assert await reply(reader) == (b"HTTP/1.1 100 Continue\r\n\r\n", b"")
            writer.write(b"def")
            assert (await reply(reader))[1] == b"def"
            writer.close()

    run(go)


@pytest.mark.parametrize("chunked", [False, True])
def test_an_oversize_body_is_refused_in_dynamodbs_form(chunked: bool) -> None:
    """The refusal arrives although the client goes on sending, and then the connection ends."""
    body = b"x" * 3_000_000
    framed = (
        HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        if chunked
        else post(body)
    )

    async def go() -> None:
        async with serving(body_bytes_max=1000) as (server, port):
            reader, writer = await dial(port)
            writer.write(framed)
            await writer.drain()
            head, error = await reply(reader)
            assert head.startswith(b"HTTP/1.1 413 ")
            assert b"connection: close" in head
            assert error == b""
            assert await reader.read() == b""
            writer.close()
            await until(lambda: not server._connections)
            assert server._held_bytes == 0

    run(go)


def test_bodies_of_all_connections_together_are_bounded() -> None:
    """One client's body fits, two at once do not: the second is told to come back later."""
    gate = asyncio.Event()

    async def handler(request: HttpRequest) -> HttpReply:
        await gate.wait()
        return await echo(request)

    async def go() -> None:
        async with serving(handler, buffered_bytes_max=1500) as (server, port):
            first_reader, first = await dial(port)
            first.write(post(b"x" * 1000))
            await until(lambda: server._held_bytes == 1000)
            reader, second = await dial(port)
            second.write(post(b"y" * 1000))
            assert (await reply(reader))[0].startswith(b"HTTP/1.1 503 ")
            gate.set()
            assert (await reply(first_reader))[0].startswith(b"HTTP/1.1 200 ")
            first.close()
            second.close()
            await until(lambda: not server._connections)
            assert server._held_bytes == 0

    run(go)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: five\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_and_closed(garbage: bytes) -> None:
    """But what was whole before it is still answered, and in order."""

    async def go() -> None:
        async with serving() as (_, port):
            reader, writer = await dial(port)
            writer.write(post(b"good") + garbage)
            assert (await reply(reader))[1] == b"good"
            head, error = await reply(reader)
            assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert b"MalformedHttpRequestException" in error
            assert await reader.read() == b""
            writer.close()

    run(go)


def test_a_half_closed_client_gets_its_answers() -> None:
    """All whole requests are answered; then the server closes its half too."""

    async def slow(request: HttpRequest) -> HttpReply:
        await asyncio.sleep(0.01)
        return await echo(request)

    async def go() -> None:
        async with serving(slow) as (server, port):
            reader, writer = await dial(port)
            writer.write(post(b"1") + post(b"2") + HEAD)
            writer.write_eof()
            assert (await reply(reader))[1] == b"1"
            head, body = await reply(reader)
            assert body == b"2"
            assert b"connection: close" in head
            assert await reader.read() == b""
            writer.close()
            await until(lambda: not server._connections)

    run(go)


def test_a_client_that_goes_away_does_not_stop_its_write() -> None:
    """The handler runs to its end; the connection is forgotten only then."""
    begun, gate, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handler(request: HttpRequest) -> HttpReply:
        begun.set()
        await gate.wait()
        ended.set()
        return await echo(request)

    async def go() -> None:
        async with serving(handler) as (server, port):
            _, writer = await dial(port)
            writer.write(post(b"1"))
            await begun.wait()
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()  # with no linger time: the server sees a reset
            [connection] = server._connections
            await until(lambda: connection._transport is None)
            assert server._connections == {connection}
            gate.set()
            await ended.wait()
            await until(lambda: not server._connections)

    run(go)


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n", b"connection: close\r\n"),
        (b"GET / HTTP/1.0\r\n\r\n", b"connection: close\r\n"),
    ],
)
def test_the_connection_ends_when_the_client_wants_it(sent: bytes, answered: bytes) -> None:
    """It says so, or its protocol does."""

    async def go() -> None:
        async with serving() as (_, port):
            reader, writer = await dial(port)
            writer.write(sent)
            head, _ = await reply(reader)
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answered in head
            assert await reader.read() == b""
            writer.close()

    run(go)


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
"""What Java's own client and curl send with their first request, whatever it is."""


@pytest.mark.parametrize("pieces", [1, 7])
def test_an_offer_to_speak_another_protocol_is_not_taken_up(pieces: int) -> None:
    """The request is served as if there were none, body and all, and the connection stays; the
    client that waits for it is told to go on once."""
    chunked = HEAD + OFFER + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    sent = post(b"first", OFFER) + chunked + post(b"third") + post(b"last", OFFER)

    async def go() -> None:
        async with serving() as (_, port):
            reader, writer = await dial(port)
            size = -(-len(sent) // pieces)
            for start in range(0, len(sent), size):
                writer.write(sent[start : start + size])
                await writer.drain()
                await asyncio.sleep(0.01)
            for body in (b"first", b"abc", b"third", b"last"):
                head, answered = await reply(reader)
                assert (head.split(b"\r\n")[0], answered) == (b"HTTP/1.1 200 OK", body)
                assert b"connection: close" not in head
            writer.write(HEAD + OFFER + b"expect: 100-continue\r\ncontent-length: 1\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == CONTINUE
            writer.write(b"x")
            assert (await reply(reader))[1] == b"x"
            writer.close()

    run(go)


def test_an_old_client_may_keep_its_connection() -> None:
    """HTTP/1.0 with keep-alive is told that it was granted; HEAD gets a length but no body."""

    async def hello(request: HttpRequest) -> HttpReply:
        return HttpReply(200, (), b"hello")

    async def go() -> None:
        async with serving(hello) as (_, port):
            reader, writer = await dial(port)
            writer.write(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            head, body = await reply(reader)
            assert b"connection: keep-alive\r\n" in head
            assert body == b"hello"
            writer.write(b"HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")
            head, _ = await reply(reader, body=False)
            assert b"content-length: 5\r\n" in head
            assert (await reply(reader))[1] == b"hello"
            writer.close()

    run(go)
