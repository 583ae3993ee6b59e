"""What the HTTP server bears: clients that are slow, too many or gone, failing handlers, an end."""

import asyncio

import pytest

from dualwrite.proxy.server import HttpReply, HttpRequest, Server
from tests.loopback import SECONDS_MAX, run, until
from tests.raw_http import HEAD, dial, echo, post, reply, serving


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"POST / HT", b"HTTP/1.1 408 "),
        (HEAD + b"content-length: 5\r\n\r\nab", b"HTTP/1.1 408 "),
    ],
)
def test_slow_clients_are_dropped(sent: bytes, answer: bytes) -> None:
    """An idle one silently, one that is in the middle of a request with a word."""

    async def go() -> None:
        async with serving(idle_seconds=0.1, read_seconds=0.1) as (_, port):
            reader, writer = await dial(port)
            writer.write(sent)
            assert (await reader.read()).startswith(answer)
            writer.close()

    run(go)


def test_a_client_that_does_not_read_holds_up_only_itself() -> None:
    """Its requests are no longer handled, its memory is bounded, and it is cut off in the end."""
    handled = 0

    async def handler(request: HttpRequest) -> HttpReply:
        nonlocal handled
        handled += 1
        return HttpReply(200, (), b"x" * 1_000_000)

    async def go() -> None:
        async with serving(handler, write_seconds=0.5) as (server, port):
            _, writer = await dial(port)
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # StreamWriter's is a Transport
            writer.write(post(b"") * 100)
            await until(lambda: handled > 0)
            reader, other = await dial(port)
            other.write(post(b""))
            assert len((await reply(reader))[1]) == 1_000_000
            other.close()
            await until(lambda: not server._connections)
            writer.close()

    run(go)
    assert handled < 50


def test_too_many_connections_are_told_so() -> None:
    """And one that ends makes room for another."""

    async def go() -> None:
        async with serving(connections_max=1) as (server, port):
            reader, writer = await dial(port)
            writer.write(post(b"1"))
            await reply(reader)
            refused_reader, refused = await dial(port)
            assert (await refused_reader.read()).startswith(b"HTTP/1.1 503 ")
            refused.close()
            writer.close()
            await until(lambda: not server._connections)
            reader, writer = await dial(port)
            writer.write(post(b"2"))
            assert (await reply(reader))[1] == b"2"
            writer.close()

    run(go)


def test_a_failing_handler_costs_one_answer() -> None:
    """The client hears InternalFailure without the error's text; the connection lives on."""

    async def handler(request: HttpRequest) -> HttpReply:
        if request.body == b"bad":
            raise ValueError("item contents")
        return await echo(request)

    async def go() -> None:
        async with serving(handler) as (_, port):
            reader, writer = await dial(port)
            writer.write(post(b"bad") + post(b"good"))
            head, error = await reply(reader)
            assert head.startswith(b"HTTP/1.1 500 ")
            assert b"item contents" not in error
            assert (await reply(reader))[1] == b"good"
            writer.close()

    run(go)


def test_a_graceful_stop_answers_what_is_in_hand() -> None:
    """Nobody new gets in, idle connections end, the request in hand is answered."""
    begun, gate = asyncio.Event(), asyncio.Event()

    async def handler(request: HttpRequest) -> HttpReply:
        begun.set()
        await gate.wait()
        return await echo(request)

    async def go() -> None:
        async with serving(handler) as (server, port):
            idle_reader, idle = await dial(port)
            reader, writer = await dial(port)
            writer.write(post(b"1"))
            await begun.wait()
            stopping = asyncio.create_task(server.stop(SECONDS_MAX))
            assert await idle_reader.read() == b""
            with pytest.raises(ConnectionRefusedError):
                await dial(port)
            gate.set()
            head, body = await reply(reader)
            assert body == b"1"
            assert b"connection: close" in head
            assert await stopping == 0
            writer.close()
            idle.close()

    run(go)


def test_a_stop_does_not_wait_for_ever() -> None:
    """After the grace the handler is cancelled, and the caller learns how many were."""
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(request: HttpRequest) -> HttpReply:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    async def go() -> None:
        async with serving(handler) as (server, port):
            _, writer = await dial(port)
            writer.write(post(b"1"))
            await begun.wait()
            assert await server.stop(0.05) == 1
            assert cancelled.is_set()
            writer.close()

    run(go)


def test_a_port_in_use_is_an_error() -> None:
    """Two servers never share a port by accident."""

    async def go() -> None:
        async with serving() as (_, port):
            with pytest.raises(OSError, match="in use"):
                await Server(echo, host="127.0.0.1", port=port).start()

    run(go)
