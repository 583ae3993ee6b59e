"""The wire client, against a real engine and against servers that fail at chosen moments."""

import asyncio
import gzip
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from botocore.credentials import ReadOnlyCredentials

from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.connection import Reply
from dualwrite.adapters.wire import WireClient
from dualwrite.core.errors import EngineError, OutcomeUnknown, Overloaded, Refused, Unreachable

SECONDS_MAX = 20.0
PUT = "DynamoDB_20120810.PutItem"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await test()

    uvloop.run(bounded())


@asynccontextmanager
async def client(url: str, **options: Any) -> Any:
    wire = WireClient(
        url,
        region="us-east-1",
        credentials=lambda: ReadOnlyCredentials("test", "test", None),
        clock=SystemClock(),
        **options,
    )
    try:
        yield wire
    finally:
        await wire.close()


class Backend:
    """A server that plays one script a connection and keeps what it was sent."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.scripts = list(scripts)
        self.tls = tls
        self.requests: list[bytes] = []
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        whole = head + await reader.readexactly(length)
        self.requests.append(whole)
        return whole

    async def play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        self.writers.append(writer)
        try:
            await script(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def serving(self) -> Any:
        server = await asyncio.start_server(self.play, "127.0.0.1", 0, ssl=self.tls)
        scheme = "https" if self.tls else "http"
        try:
            yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for writer in self.writers:
                writer.transport.abort()


def answering(*answers: bytes, backend: list[Backend]) -> Script:
    """Answers a connection's requests with those bytes, the last one again and again."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while True:
            await backend[0].request(reader)
            writer.write(answers[min(number, len(answers) - 1)])
            number += 1

    return script


def backend_of(*answers: bytes, tls: ssl.SSLContext | None = None) -> Backend:
    held: list[Backend] = []
    held.append(Backend(answering(*answers, backend=held), tls=tls))
    return held[0]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
        await asyncio.sleep(0.005)


# -- against a real engine ----------------------------------------------------------------------


def test_both_apis_of_a_real_engine(engine: str, table_prefix: str) -> None:
    """Items go in and come out as DynamoDB JSON; GetRecords and its kin reach the streams API."""
    name = f"{table_prefix}wire"
    item = {"id": {"S": "é#1"}, "n": {"N": "1.50"}, "b": {"B": "AAEC"}}

    async def go() -> None:
        async with client(engine, connections_max=4) as wire:
            await wire.call(
                "CreateTable",
                {
                    "TableName": name,
                    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                    "BillingMode": "PAY_PER_REQUEST",
                    "StreamSpecification": {
                        "StreamEnabled": True,
                        "StreamViewType": "NEW_AND_OLD_IMAGES",
                    },
                },
            )
            await asyncio.gather(
                *(
                    wire.call("PutItem", {"TableName": name, "Item": {**item, "id": {"S": str(i)}}})
                    for i in range(30)
                )
            )
            assert (await wire.call("PutItem", {"TableName": name, "Item": item})) == {}
            answer = await wire.call("GetItem", {"TableName": name, "Key": {"id": item["id"]}})
            assert answer["Item"]["id"] == item["id"]
            described = await wire.call("DescribeTable", {"TableName": name})
            arn = described["Table"]["LatestStreamArn"]
            stream = await wire.call("DescribeStream", {"StreamArn": arn})
            shard = stream["StreamDescription"]["Shards"][0]["ShardId"]
            iterator = await wire.call(
                "GetShardIterator",
                {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"},
            )
            records = await wire.call(
                "GetRecords", {"ShardIterator": iterator["ShardIterator"], "Limit": 1000}
            )
            assert len(records["Records"]) == 31

    run(go)


def test_a_false_condition_is_a_refusal_with_the_item(engine: str, table_prefix: str) -> None:
    """Code without its namespace, message, and the rest of the error body: Item."""
    name = f"{table_prefix}wire"
    item = {"id": {"S": "1"}}

    async def go() -> None:
        async with client(engine) as wire:
            await wire.call(
                "CreateTable",
                {
                    "TableName": name,
                    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                    "BillingMode": "PAY_PER_REQUEST",
                },
            )
            await wire.call("PutItem", {"TableName": name, "Item": item})
            with pytest.raises(Refused) as caught:
                await wire.call(
                    "PutItem",
                    {
                        "TableName": name,
                        "Item": item,
                        "ConditionExpression": "attribute_not_exists(id)",
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    },
                )
            assert caught.value.code == "ConditionalCheckFailedException"
            assert caught.value.fields == {"Item": item}
            assert caught.value.status == 400

    run(go)


def test_a_clients_request_is_forwarded_whole(engine: str) -> None:
    """The answer's bytes and headers come back as the engine wrote them."""

    async def go() -> None:
        async with client(engine) as wire:
            headers = ((b"content-type", b"application/x-amz-json-1.0"), (b"host", b"theirs"))
            reply = await wire.forward(headers, "DynamoDB_20120810.ListTables", b"{}")
            assert reply.status == 200
            assert "TableNames" in json.loads(reply.body)
            names = {name.lower() for name, _ in reply.headers}
            assert b"x-amzn-requestid" in names

    run(go)


# -- what an answer means -----------------------------------------------------------------------


def http(status: int, body: bytes, extra: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\n%bcontent-length: %d\r\n\r\n%b" % (status, extra, len(body), body)


@pytest.mark.parametrize(
    ("answer", "code", "message", "fields"),
    [
        (b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","Message":"slow"}',
         "ThrottlingException", "slow", {}),
        (b'{"__type":"A#TransactionCanceledException","message":"m","CancellationReasons":[]}',
         "TransactionCanceledException", "m", {"CancellationReasons": []}),
        (b"<html>not found</html>", "UnknownError", "HTTP status 400", {}),
        (b"[]", "UnknownError", "HTTP status 400", {}),
    ],
)  # fmt: skip
def test_a_4xx_is_a_refusal(answer: bytes, code: str, message: str, fields: dict[str, Any]) -> None:
    """Throttling too, and also where something other than DynamoDB answered."""

    async def go() -> None:
        async with backend_of(http(400, answer)).serving() as url, client(url) as wire:
            with pytest.raises(Refused) as caught:
                await wire.call("PutItem", {})
            refused = caught.value
            assert (refused.code, refused.message, refused.fields) == (code, message, fields)

    run(go)


@pytest.mark.parametrize(
    "answer",
    [
        http(500, b'{"__type":"A#InternalServerError","message":"secret contents"}'),
        http(503, b""),
        http(302, b"", b"location: /elsewhere\r\n"),
        http(200, b"{"),
        http(200, b"[]"),
    ],
)
def test_all_else_is_an_unknown_outcome(answer: bytes) -> None:
    """A 5xx may have been applied; what it said stays out of our message."""

    async def go() -> None:
        async with backend_of(answer).serving() as url, client(url) as wire:
            with pytest.raises(OutcomeUnknown) as caught:
                await wire.call("PutItem", {})
            assert "secret" not in str(caught.value)

    run(go)


def test_send_judges_nothing() -> None:
    """Status, headers in their order and spelling, and body come back as they were."""
    answer = http(500, b"oops", b"X-Amzn-RequestId: 1\r\nx-a: b\r\n")

    async def go() -> None:
        async with backend_of(answer).serving() as url, client(url) as wire:
            reply = await wire.send(PUT, b"{}")
            assert (reply.status, reply.body) == (500, b"oops")
            assert reply.headers == (
                (b"X-Amzn-RequestId", b"1"),
                (b"x-a", b"b"),
                (b"content-length", b"4"),
            )

    run(go)


def test_a_compressed_answer_is_passed_on_as_it_is() -> None:
    """A client that asked for gzip gets gzip; our own calls never ask."""
    packed = gzip.compress(b"{}")
    backend = backend_of(http(200, packed, b"content-encoding: gzip\r\n"))

    async def go() -> None:
        async with backend.serving() as url, client(url) as wire:
            reply = await wire.forward(((b"accept-encoding", b"gzip"),), PUT, b"{}")
            assert reply.body == packed
            await wire.send(PUT, b"{}")

    run(go)
    assert b"\r\naccept-encoding: gzip\r\n" in backend.requests[0]
    assert b"\r\naccept-encoding: identity\r\n" in backend.requests[1]


def test_a_chunked_answer_and_a_100_continue_before_it() -> None:
    """Both are part of HTTP/1.1, whoever stands between us and the engine."""
    answer = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        b'1\r\n{\r\n8\r\n"a": {}}\r\n0\r\n\r\n'
    )

    async def go() -> None:
        async with backend_of(answer).serving() as url, client(url) as wire:
            for _ in range(3):
                assert await wire.call("GetItem", {}) == {"a": {}}

    run(go)


# -- sent or not sent ---------------------------------------------------------------------------


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


# -- addresses ----------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_tls_is_spoken_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate nobody vouches for is refused before anything is sent; a good one works."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key,
         "-out", certificate, "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    backend = backend_of(OK, tls=context)

    async def go() -> None:
        async with backend.serving() as url:
            async with client(url) as wire:
                with pytest.raises(Unreachable):
                    await wire.call("PutItem", {})
            assert backend.requests == []
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            async with client(url) as wire:
                for _ in range(3):
                    assert await wire.call("PutItem", {}) == {}
                [connection] = wire._pool._idle
                connection.idle_since -= 1.0
                assert await wire.call("PutItem", {}) == {}

    run(go)


def test_streams_may_live_on_another_host() -> None:
    """Only GetRecords and its kin go there; AWS's own streams hosts are known."""
    tables, streams = backend_of(OK), backend_of(OK)

    async def go() -> None:
        async with (
            tables.serving() as url,
            streams.serving() as streams_url,
            client(url, streams_endpoint_url=streams_url) as wire,
        ):
            await wire.call("GetItem", {})
            await wire.call("GetRecords", {})
        async with client("https://dynamodb.eu-west-1.amazonaws.com") as aws:
            host = aws._streams_pool._address.host
            assert host == "streams.dynamodb.eu-west-1.amazonaws.com"

    run(go)
    assert b"x-amz-target: DynamoDB_20120810.GetItem\r\n" in tables.requests[0]
    assert b"x-amz-target: DynamoDBStreams_20120810.GetRecords\r\n" in streams.requests[0]


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://a", "http://", "http://a/b", "http://a?b"]
)
def test_what_is_no_endpoint_is_said_at_once(url: str) -> None:
    """Not at the first request."""
    with pytest.raises(ValueError, match="endpoint"):
        WireClient(
            url,
            region="us-east-1",
            credentials=lambda: ReadOnlyCredentials("a", "b", None),
            clock=SystemClock(),
        )
