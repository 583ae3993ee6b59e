"""The wire client against servers that fail at chosen moments, and its pool of connections."""

import asyncio
import socket

import pytest

from dualwrite.adapters.connection import Reply
from dualwrite.core.errors import EngineError, OutcomeUnknown, Overloaded, Unreachable
from tests.loopback import run, until
from tests.scripted_backend import OK, PUT, Backend, answering, backend_of, client, http


def test_nobody_listens() -> None:
    """A refused connection and an unknown name prove that nothing was sent."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{probe.getsockname()[1]}"

    async def go() -> None:
        for url in (dead, "http://name.invalid:80"):
            async with client(url) as wire:
                with pytest.raises(Unreachable):
                    await wire.call("PutItem", {})

    run(go)


@pytest.mark.parametrize(
    "partly",
    [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{",
     b"HTTP/1.1 200 OK\r\n\r\n{}", b"SSH-2.0-OpenSSH\r\n"],
)  # fmt: skip
def test_a_hang_up_after_the_request_is_an_unknown_outcome(partly: bytes) -> None:
    """At no byte of the answer, or amid it; an answer without a length is never taken as whole.
    The request is not sent again."""
    held: list[Backend] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held[0].request(reader)
        writer.write(partly)

    held.append(Backend(hang_up))

    async def go() -> None:
        async with held[0].serving() as url, client(url) as wire:
            with pytest.raises(OutcomeUnknown):
                await wire.call("PutItem", {})

    run(go)
    assert len(held[0].requests) == 1


def test_a_reset_while_the_request_is_being_sent_is_an_unknown_outcome() -> None:
    """Some bytes went out, so nobody can say."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100)
        writer.transport.abort()

    async def go() -> None:
        async with Backend(reset).serving() as url, client(url) as wire:
            with pytest.raises(OutcomeUnknown):
                await wire.send(PUT, b"x" * 8_000_000)

    run(go)


def test_silence_is_an_unknown_outcome() -> None:
    """After the time-out; the connection is not used again, the next request gets another."""
    held: list[Backend] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held[0].request(reader)
        await reader.read()

    held.append(Backend(silent))
    held[0].scripts.append(answering(OK, backend=held))

    async def go() -> None:
        async with (
            held[0].serving() as url,
            client(url, timeout_seconds=0.1, connections_max=1) as wire,
        ):
            with pytest.raises(OutcomeUnknown, match="within"):
                await wire.call("PutItem", {})
            assert await wire.call("PutItem", {}) == {}

    run(go)
    assert held[0].connections == 2


def test_a_server_that_does_not_accept_is_unreachable() -> None:
    """A connection that is never made ends at the time-out, with nothing sent."""

    async def go() -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            url = f"https://127.0.0.1:{deaf.getsockname()[1]}"  # no TLS handshake is ever answered
            async with client(url, timeout_seconds=0.2) as wire:
                with pytest.raises(Unreachable):
                    await wire.call("PutItem", {})

    run(go)


def test_a_connection_closed_while_idle_costs_nothing() -> None:
    """The next request goes over a new one and is sent once."""
    held: list[Backend] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held[0].request(reader)
        writer.write(OK)

    held.append(Backend(once))

    async def go() -> None:
        async with held[0].serving() as url, client(url) as wire:
            for _ in range(5):
                assert await wire.call("PutItem", {}) == {}
                await until(lambda: not wire._pool._connections)

    run(go)
    assert len(held[0].requests) == held[0].connections == 5


def test_an_idle_connection_is_asked_before_it_is_used() -> None:
    """Also one whose end has arrived at this machine but was not yet noticed by the event loop."""
    held: list[Backend] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held[0].request(reader)
        writer.write(OK)
        await reader.read()

    held.append(Backend(once))

    async def go() -> None:
        async with held[0].serving() as url, client(url) as wire:
            assert await wire.call("PutItem", {}) == {}
            [connection] = wire._pool._idle
            connection.idle_since -= 1.0
            raw = held[0].writers[0].get_extra_info("socket")
            with socket.socket(fileno=raw.fileno()) as server_side:
                server_side.shutdown(socket.SHUT_WR)  # in this very turn of the loop
                server_side.detach()
            assert await wire.call("PutItem", {}) == {}

    run(go)
    assert len(held[0].requests) == held[0].connections == 2


def test_an_answer_that_ends_the_connection_is_still_an_answer() -> None:
    """ "Connection: close" is obeyed, and an early refusal of a large body is heard."""
    held: list[Backend] = []

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(413, b"", b"connection: close\r\n"))
        await reader.read()

    held.append(Backend(early))

    async def go() -> None:
        async with held[0].serving() as url, client(url) as wire:
            for _ in range(2):
                assert (await wire.send(PUT, b"x" * 3_000_000)).status == 413

    run(go)
    assert held[0].connections == 2


@pytest.mark.parametrize(
    "answer",
    [http(200, b"x" * 2000), b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000, OK + OK],
)
def test_answers_are_bounded(answer: bytes) -> None:
    """One that is too large is given up, and an unasked one ends its connection."""
    backend = backend_of(answer)

    async def go() -> None:
        async with backend.serving() as url, client(url, response_bytes_max=1000) as wire:
            if answer == OK + OK:
                assert await wire.call("GetItem", {}) == {}
                await until(lambda: not wire._pool._connections)
                return
            with pytest.raises(OutcomeUnknown, match="too large"):
                await wire.call("GetItem", {})

    run(go)


# -- the pool -----------------------------------------------------------------------------------


def test_requests_wait_for_a_connection_first_come_first_served() -> None:
    """Never more connections than allowed, each used again, and nobody overtakes."""
    backend = backend_of(OK)

    async def go() -> None:
        async with backend.serving() as url, client(url, connections_max=2) as wire:
            await asyncio.gather(*(wire.send(PUT, b"%03d" % number) for number in range(200)))

    run(go)
    bodies = [int(request[-3:]) for request in backend.requests]
    assert sorted(bodies) == list(range(200))
    assert all(abs(place - number) < 4 for place, number in enumerate(bodies))
    assert backend.connections == 2


def test_too_many_waiters_are_turned_away() -> None:
    """At once, with nothing sent; those who wait too long as well."""
    held: list[Backend] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held[0].request(reader)
        await reader.read()

    held.append(Backend(silent))

    async def go() -> None:
        async with (
            held[0].serving() as url,
            client(url, connections_max=1, waiters_max=1, timeout_seconds=0.3) as wire,
        ):
            ends = await asyncio.gather(
                *(wire.send(PUT, b"{}") for _ in range(3)), return_exceptions=True
            )
            assert [type(end) for end in ends] == [OutcomeUnknown, Unreachable, Overloaded]
            assert "already wait" in str(ends[2])

    run(go)


def test_a_lost_connection_lets_the_next_waiter_open_one() -> None:
    """Whoever waits is not forgotten when the connection it waits for is lost."""
    held: list[Backend] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held[0].request(reader)

    held.append(Backend(hang_up))

    async def go() -> None:
        async with held[0].serving() as url, client(url, connections_max=1) as wire:
            ends = await asyncio.gather(
                *(wire.send(PUT, b"{}") for _ in range(5)), return_exceptions=True
            )
            assert {type(end) for end in ends} == {OutcomeUnknown}

    run(go)
    assert len(held[0].requests) == 5


def test_callers_that_give_up_leave_the_pool_whole() -> None:
    """Cancelled while it waits, while it connects, and while it is answered."""
    backend = backend_of(OK)

    async def go() -> None:
        async with backend.serving() as url, client(url, connections_max=2) as wire:
            for turns in range(12):
                tasks = [asyncio.ensure_future(wire.send(PUT, b"{}")) for _ in range(6)]
                for _ in range(turns):
                    await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(end, Reply) for end in ends[1::2])
            replies = await asyncio.gather(*(wire.send(PUT, b"{}") for _ in range(20)))
            assert len(replies) == 20
            assert wire._pool._slots <= 2

    run(go)


def test_closing_ends_what_is_under_way() -> None:
    """In flight: unknown; waiting or later: unreachable."""
    held: list[Backend] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held[0].request(reader)
        await reader.read()

    held.append(Backend(silent))

    async def go() -> None:
        async with held[0].serving() as url, client(url, connections_max=1) as wire:
            tasks = [asyncio.ensure_future(wire.send(PUT, b"{}")) for _ in range(2)]
            await until(lambda: len(held[0].requests) == 1)
            await wire.close()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(end) for end in ends] == [OutcomeUnknown, Unreachable]
            with pytest.raises(EngineError):
                await wire.send(PUT, b"{}")

    run(go)


def test_idle_connections_are_dropped_in_the_end() -> None:
    """Before the server's own time-out can race with a request."""
    backend = backend_of(OK)

    async def go() -> None:
        async with backend.serving() as url, client(url, idle_seconds_max=0.01) as wire:
            await wire.send(PUT, b"{}")
            await until(lambda: not wire._pool._connections)
            assert (await wire.send(PUT, b"{}")).status == 200

    run(go)
