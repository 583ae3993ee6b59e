"""What stands in front of the proxy, as a dialogue of requests and answers."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any
from zlib import crc32

import pytest
from structlog.testing import capture_logs

from dualwrite.core import metric_names
from dualwrite.core.access import Access
from dualwrite.core.callers import CallerKey, Keyring
from dualwrite.core.operations import Right
from dualwrite.proxy import encodings, front
from dualwrite.proxy.front import Front
from dualwrite.proxy.messages import HttpReply, HttpRequest
from tests.fakes.metrics import MemoryMetrics
from tests.unit.core.signed import ACCESS_KEY, BODY, NOW_SECONDS, SECRET, Wire, sign

JSON = (b"content-type", b"application/x-amz-json-1.0")
TARGET = (b"x-amz-target", b"DynamoDB_20120810.ListTables")


class Standing:
    """A clock that shows one moment."""

    def wall_ms(self) -> int:
        return NOW_SECONDS * 1000

    def monotonic_seconds(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


class Rig:
    """A front, and what came through it."""

    def __init__(self, *patterns: str, rights: tuple[Right, ...] = tuple(Right)) -> None:
        self.seen: list[HttpRequest] = []
        self.metrics = MemoryMetrics()
        access = Access(patterns, frozenset(rights))
        self.keyring = Keyring([CallerKey(ACCESS_KEY, SECRET, "shop", access)])
        self.answer: Callable[[HttpRequest], Awaitable[HttpReply]] = self._ok
        self.callers: Keyring | None = self.keyring if patterns else None
        self.front = Front(
            self._handle, region="eu-west-1", callers=lambda: self.callers, clock=Standing(),
            metrics=self.metrics, random=Random(1),
        )  # fmt: skip

    async def _handle(self, request: HttpRequest) -> HttpReply:
        self.seen.append(request)
        return await self.answer(request)

    async def _ok(self, request: HttpRequest) -> HttpReply:
        return HttpReply(200, (JSON,), b"{}")

    def ask(self, request: Wire | HttpRequest) -> HttpReply:
        return asyncio.run(self.front.handle(HttpRequest(*request)))

    def heard(self, request: Wire | HttpRequest) -> tuple[int, str, str]:
        reply = self.ask(request)
        body = json.loads(reply.body)
        headers = dict(reply.headers)
        assert headers[b"x-amz-crc32"] == str(crc32(reply.body)).encode()
        assert len(headers[b"x-amzn-requestid"]) == 52
        return reply.status, body["__type"], body.get("message", body.get("Message", ""))


def post(*headers: tuple[bytes, bytes], body: bytes = b"{}", path: bytes = b"/") -> HttpRequest:
    return HttpRequest(b"POST", path, headers, body)


def bare(method: bytes, path: bytes = b"/", *headers: tuple[bytes, bytes]) -> HttpRequest:
    return HttpRequest(method, path, headers, b"")


# -- who may call --------------------------------------------------------------------------------


def test_without_a_key_file_everybody_may_call() -> None:
    """Signed or not: the proxy is on loopback."""
    rig = Rig()
    assert rig.ask(post(JSON, TARGET)).status == 200
    assert rig.ask(sign(secret="whatever")).status == 200
    assert len(rig.seen) == 2


def test_with_one_only_who_signed_with_a_key_of_it() -> None:
    """The request goes on as it came; a refused one goes nowhere and is counted."""
    rig = Rig("*")
    request = sign()
    assert rig.ask(request).status == 200
    assert rig.seen == [HttpRequest(*request)]
    for wrong, code in (
        (sign(secret="guess"), "InvalidSignatureException"),
        (request.lacking(b"authorization"), "MissingAuthenticationTokenException"),
    ):
        status, kind, message = rig.heard(wrong)
        assert (status, kind) == (400, f"com.amazon.coral.service#{code}")
        assert message
        assert rig.metrics.values[metric_names.CALLERS_REFUSED, code] == 1
    assert len(rig.seen) == 1


def test_the_keys_of_the_moment_count() -> None:
    """A key that is taken away ends at once, without a restart."""
    rig = Rig("*")
    assert rig.ask(sign()).status == 200
    rig.callers = Keyring([])
    assert rig.heard(sign())[1].endswith("#UnrecognizedClientException")


def test_a_key_does_what_it_may() -> None:
    """AccessDeniedException has its text under a capital letter, as DynamoDB's has."""
    rig = Rig("orders", rights=(Right.READ,))
    body = b'{"TableName":"orders","Key":{}}'
    assert rig.ask(sign(body=body)).status == 200
    for refused in (sign(), sign(body=body, target="DynamoDB_20120810.PutItem")):
        reply = rig.ask(refused)
        told = json.loads(reply.body)
        assert told["__type"] == "com.amazon.coral.service#AccessDeniedException"
        assert "user/shop is not authorized to perform: dynamodb:" in told["Message"]
    unknown = sign(body=body, target="DynamoDB_20111205.GetItem")
    assert rig.heard(unknown)[1] == "com.amazon.coral.service#UnknownOperationException"
    assert len(rig.seen) == 1


def test_a_compressed_body_hides_no_table() -> None:
    """What is signed is the compressed body, what is looked at the content."""
    rig = Rig("orders")
    for name, status in ((b"orders", 200), (b"other", 400)):
        body = gzip.compress(b'{"TableName":"%b","Key":{}}' % name)
        request = sign(body=body, extra={"Content-Encoding": "gzip"})
        assert rig.ask(request).status == status


def test_nothing_is_unpacked_or_parsed_for_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes that make many, or many that are no JSON, cost no more than their refusal."""
    rig = Rig("*")
    monkeypatch.setattr(front, "_is_json", lambda body: pytest.fail("it was parsed"))
    monkeypatch.setattr(encodings, "_decode", lambda *_: pytest.fail("it was unpacked"))
    for body, extra in (
        (gzip.compress(bytes(1_000_000)), {"Content-Encoding": "gzip"}),
        (b"x" * (front.JUDGED_BYTES_MAX + 1), {}),
    ):
        forged = sign(secret="guess", body=body, extra=extra)
        assert rig.heard(forged)[1].endswith("#InvalidSignatureException")


def test_refusals_are_logged_once_in_a_while_and_without_what_was_sent() -> None:
    """A flood of them is a number, not a full disk."""
    rig = Rig("*")
    with capture_logs() as logs:
        for _ in range(50):
            rig.ask(sign(secret="guess"))
    assert [(entry["event"], entry["status"]) for entry in logs] == [
        ("caller refused", "InvalidSignatureException")
    ]
    assert ACCESS_KEY not in str(logs)


# -- the order of the checks -----------------------------------------------------------------------

MISSING = "com.amazon.coral.service#MissingAuthenticationTokenException"
UNKNOWN = "com.amazon.coral.service#UnknownOperationException"
SERIAL = "com.amazon.coral.service#SerializationException"


@pytest.mark.parametrize(
    ("headers", "body", "kind", "content_type"),
    [
        ((JSON, TARGET), b"{}", MISSING, b"application/x-amz-json-1.0"),
        ((JSON, TARGET), b"hi", SERIAL, b"application/x-amz-json-1.0"),
        ((JSON,), b"{}", UNKNOWN, b"application/x-amz-json-1.0"),
        ((), b"", UNKNOWN, b"application/json"),
        ((TARGET,), b"", MISSING, b"application/json"),
        (((b"content-type", b"application/json;charset=x"),), b"{}", UNKNOWN, b"application/json"),
        (((b"content-type", b" application/json ; x"),), b"hi", SERIAL, b"application/json"),
        ((JSON, (b"x-amz-target", b"whatever")), b"{}", UNKNOWN, JSON[1]),
        ((JSON, (b"x-amz-target", b"DynamoDB_20120810.ListTable")), b"{}", UNKNOWN, JSON[1]),
    ],
)
def test_what_is_no_call_is_told_that_first(
    headers: Any, body: bytes, kind: str, content_type: bytes
) -> None:
    """Before anything about a signature, in the content type that was asked in."""
    rig = Rig("*")
    assert rig.heard(post(*headers, body=body))[1] == kind
    assert dict(rig.ask(post(*headers, body=body)).headers)[b"content-type"] == content_type


@pytest.mark.parametrize(
    ("kind", "checksum"), [(SERIAL, 3948637019), (UNKNOWN, 1368724161), (MISSING, 2088342776)]
)
def test_errors_are_dynamodbs_byte_for_byte(kind: str, checksum: int) -> None:
    """The checksums are those that DynamoDB was seen to send."""
    rig = Rig("*")
    asked = {
        SERIAL: post(JSON, body=b"hi"), UNKNOWN: post(JSON), MISSING: post(JSON, TARGET),
    }[kind]  # fmt: skip
    assert crc32(rig.ask(asked).body) == checksum


@pytest.mark.parametrize("content_type", [b"whatever", b"application/x-amz-json-1.1",
                                          b"application/jsonasdf", b""])  # fmt: skip
def test_another_content_type_is_not_found(content_type: bytes) -> None:
    """DynamoDB's one line of something like XML, with its checksum."""
    rig = Rig("*")
    reply = rig.ask(post((b"content-type", content_type), body=b"hi"))
    assert (reply.status, reply.body) == (404, b"<UnknownOperationException/>\n")
    assert dict(reply.headers)[b"x-amz-crc32"] == b"3552371480"


# -- other methods ---------------------------------------------------------------------------------


def test_health_checks_need_no_signature() -> None:
    """DynamoDB's own line, with the blank at its end; a load balancer may ask for /ping."""
    rig = Rig("*")
    for request in (bare(b"GET"), bare(b"HEAD"), bare(b"GET", b"/ping"), bare(b"GET", b"/?a")):
        reply = rig.ask(request)
        assert (reply.status, reply.body) == (200, b"healthy: dynamodb.eu-west-1.amazonaws.com ")
        assert dict(reply.headers)[b"x-amz-crc32"] == b"%d" % crc32(reply.body)
    assert rig.seen == []


@pytest.mark.parametrize(
    "request_",
    [bare(b"GET", b"/abc"), bare(b"PUT"), bare(b"DELETE"), bare(b"OPTIONS"), bare(b"PATCH")],
)
def test_other_methods_and_paths_are_not_found(request_: HttpRequest) -> None:
    """They are no calls of anything, and nobody's business."""
    rig = Rig()
    reply = rig.ask(request_)
    assert (reply.status, reply.body) == (404, b"<UnknownOperationException/>\n")
    assert rig.seen == []


def test_browsers_may_call() -> None:
    """Any origin; a pre-flight gets what it asked for, other answers say that they may be read."""
    rig = Rig("*")
    origin = (b"origin", b"http://example.com/")
    wanted = (
        (b"access-control-request-headers", b"cat, mouse"),
        (b"access-control-request-method", b"dog"),
    )
    reply = rig.ask(bare(b"OPTIONS", b"/", origin, *wanted))
    headers = dict(reply.headers)
    assert (reply.status, reply.body) == (200, b"")
    assert headers[b"access-control-allow-origin"] == b"*"
    assert headers[b"access-control-allow-headers"] == b"cat, mouse"
    assert headers[b"access-control-allow-methods"] == b"dog"
    assert headers[b"access-control-max-age"] == b"172800"
    signed = sign(extra={"Origin": "x"})
    for request in (bare(b"GET", b"/", origin), post(JSON, origin), HttpRequest(*signed)):
        headers = dict(rig.ask(request).headers)
        assert headers[b"access-control-allow-origin"] == b"*"
        assert b"access-control-expose-headers" in headers
        assert b"access-control-max-age" not in headers
    for request in (bare(b"GET"), post(JSON), HttpRequest(*sign())):
        assert not any(name.startswith(b"access-") for name, _ in rig.ask(request).headers)


def test_what_an_engine_says_to_a_browser_stands() -> None:
    """It is not said twice."""
    rig = Rig()

    async def engine(request: HttpRequest) -> HttpReply:
        return HttpReply(200, ((b"Access-Control-Allow-Origin", b"http://a"),), b"{}")

    rig.answer = engine
    reply = rig.ask(post(JSON, TARGET, (b"origin", b"http://a")))
    assert reply.headers == ((b"Access-Control-Allow-Origin", b"http://a"),)


# -- compressed bodies -----------------------------------------------------------------------------


def zipped(content: bytes) -> bytes:
    """The same bytes at any time of day: they name tests, and every worker must name them alike."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        (b"gzip", zipped(BODY)),
        (b"GZIP", zipped(BODY[:10]) + zipped(BODY[10:])),
        (b"deflate", zlib.compress(BODY)),
        (b"identity", BODY),
    ],
)
def test_a_compressed_body_is_read_and_passed_on_as_it_came(encoding: bytes, packed: bytes) -> None:
    """The proxy looks at the content, the engine gets the bytes."""
    rig = Rig()
    rig.ask(post(JSON, (b"content-encoding", encoding), body=packed))
    [seen] = rig.seen
    assert (seen.content, seen.body) == (BODY, packed)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        (b"garbage", BODY), (b"gzip", BODY), (b"gzip", b""), (b"deflate", BODY), (b"deflate", b""),
        (b"gzip", zipped(BODY)[:-1]), (b"gzip", zipped(BODY) + b"junk"),
        (b"gzip,gzip", zipped(BODY)), (b"deflate", zlib.compress(BODY) * 2),
    ],
)  # fmt: skip
def test_what_cannot_be_decoded_goes_nowhere(encoding: bytes, packed: bytes) -> None:
    """DynamoDB calls it an error of its own."""
    rig = Rig()
    reply = rig.ask(post(JSON, (b"content-encoding", encoding), body=packed))
    assert reply.status == 500
    assert b"InternalServerError" in reply.body
    assert rig.seen == []


def test_what_unpacks_to_too_much_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """One body, and all that are held together; what was held is given back."""
    rig = Rig()
    bomb = gzip.compress(bytes(encodings.CONTENT_BYTES_MAX + 1))
    assert rig.ask(post((b"content-encoding", b"gzip"), body=bomb)).status == 413
    assert rig.seen == []
    monkeypatch.setattr(encodings, "HELD_BYTES_MAX", 1500)
    packed = post((b"content-encoding", b"gzip"), body=gzip.compress(bytes(1000)))
    inner: list[int] = []

    async def nested(request: HttpRequest) -> HttpReply:
        rig.answer = rig._ok
        inner.append((await rig.front.handle(packed)).status)
        return HttpReply(200, (), b"")

    rig.answer = nested
    assert rig.ask(packed).status == 200
    assert inner == [413]
    assert rig.ask(packed).status == 200


@pytest.mark.parametrize("code", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_body_in_another_encoding_hides_nothing(code: str, packed: bool) -> None:
    """Engines read it, so it is looked at; what is passed on is what came."""
    rig = Rig()
    body = BODY.decode().encode(code)
    headers = ((b"content-encoding", b"gzip"),) if packed else ()
    sent = gzip.compress(body) if packed else body
    rig.ask(post(JSON, *headers, body=sent))
    [seen] = rig.seen
    assert (seen.content, seen.body) == (BODY, sent)


def test_what_is_in_no_encoding_is_left_as_it_is() -> None:
    """Whoever parses it will say so."""
    rig = Rig()
    for body in (b"\0\0\0", b"\xef\xbb\xbf\xff", b"a\0b\xd8"):
        rig.ask(post(JSON, body=body))
    assert [seen.content for seen in rig.seen] == [b"\0\0\0", b"\xef\xbb\xbf\xff", b"a\0b\xd8"]
