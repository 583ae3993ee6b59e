"""The wire client: on a real engine, what an answer means, and which addresses it takes."""

import asyncio
import gzip
import json
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.wire import WireClient
from dualwrite.core.errors import OutcomeUnknown, Refused, Unreachable
from tests.loopback import run
from tests.scripted_backend import OK, PUT, backend_of, client, http

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
    with pytest.raises(ValueError, match="URL"):
        WireClient(
            url,
            region="us-east-1",
            credentials=lambda: ReadOnlyCredentials("a", "b", None),
            clock=SystemClock(),
        )
