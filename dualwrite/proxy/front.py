"""What stands in front of the proxy: who may call, and what is no call of an operation at all.

The answers to requests that never come to an operation are DynamoDB's, in its order of checks:
method, content type, JSON, target, and only then the signature.
"""

import codecs
import json
from collections.abc import Callable
from random import Random
from zlib import crc32

import orjson
import structlog

from dualwrite.core import metric_names
from dualwrite.core.callers import Caller, Keyring
from dualwrite.core.errors import ClientError
from dualwrite.core.operations import operation_in
from dualwrite.core.ports import Clock, Metrics
from dualwrite.core.shapes import serialization
from dualwrite.core.signatures import Fields, fields_of
from dualwrite.proxy.answers import error_reply, new_request_id
from dualwrite.proxy.encodings import Decoder, Undecodable
from dualwrite.proxy.messages import (
    BODY_TOO_LARGE,
    JSON_TYPE,
    Answer,
    Handler,
    HttpReply,
    HttpRequest,
)

JSON_TYPES = (b"application/x-amz-json-1.0", b"application/json")
HEALTH_PATHS = (b"/", b"/ping")
UNKNOWN_OPERATION = b"<UnknownOperationException/>\n"
"""DynamoDB's answer to what is no call in JSON."""
ALLOW_ORIGIN = (b"access-control-allow-origin", b"*")
EXPOSE_HEADERS = (
    b"access-control-expose-headers",
    b"x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date",
)
PREFLIGHT_SECONDS = b"172800"
JUDGED_BYTES_MAX = 64 * 1024
"""A refused request's body is parsed up to here, to say that it is no JSON."""
LOG_PAUSE_SECONDS = 1.0
"""One refused caller in so much time is logged; the metric counts all of them."""

log = structlog.get_logger()


class Front:
    """The request handler before the proxy's. ``callers`` gives the keys of the moment; None: the
    proxy is on loopback and callers are not verified."""

    def __init__(
        self,
        handler: Handler,
        *,
        region: str,
        callers: Callable[[], Keyring | None],
        clock: Clock,
        metrics: Metrics,
        random: Random | None = None,
    ) -> None:
        self._handler = handler
        self._health = f"healthy: dynamodb.{region}.amazonaws.com ".encode()
        self._callers = callers
        self._clock = clock
        self._metrics = metrics
        self._random = random or Random()
        self._decoder = Decoder()
        self._logged_seconds = -LOG_PAUSE_SECONDS

    async def handle(self, request: HttpRequest) -> Answer:
        """Answer one request; never raises."""
        fields = fields_of(request.headers)
        if request.method != b"POST":
            return self._no_call(request, fields)
        caller = None
        callers = self._callers()
        if callers is not None:
            try:
                caller = callers.verify(request, fields, self._clock.wall_ms() // 1000)
            except ClientError as error:
                return self._refused(error, request, fields)
        if b"content-encoding" in fields:
            return await self._encoded(request, fields, caller)
        return await self._call(_in_utf8(request), fields, caller)

    async def _encoded(self, request: HttpRequest, fields: Fields, caller: Caller | None) -> Answer:
        """What is signed is the encoded body: nothing is unpacked for who may not call."""
        try:
            with self._decoder.decoded(fields[b"content-encoding"], request.body) as content:
                plain = _in_utf8(request._replace(decoded=content))
                return await self._call(plain, fields, caller)
        except Undecodable:
            # What DynamoDB says to what it cannot decode; nothing was looked at.
            error = ClientError("InternalServerError", "Internal server error", status=500)
            return self._error(error, fields)
        except OverflowError:
            return BODY_TOO_LARGE

    async def _call(self, request: HttpRequest, fields: Fields, caller: Caller | None) -> Answer:
        if caller is not None and not caller.key.access.everything:
            try:
                _check_access(caller, request, fields)
            except ClientError as error:
                return self._refused(error, request, fields)
        reply = await self._handler(request)
        return _cross_origin(reply) if b"origin" in fields else reply

    def _refused(self, error: ClientError, request: HttpRequest, fields: Fields) -> Answer:
        """A request that is not even a call is told that, whoever sent it."""
        if request.body and _media_type(fields) not in JSON_TYPES:
            return self._unknown(fields)
        if _judged(request, fields) and not _is_json(request.content):
            error = serialization("")
        elif operation_in(fields.get(b"x-amz-target", b"")) is None:
            error = ClientError("UnknownOperationException", "")
        self._metrics.add(metric_names.CALLERS_REFUSED, error.code)
        now = self._clock.monotonic_seconds()
        if now - self._logged_seconds >= LOG_PAUSE_SECONDS:
            self._logged_seconds = now
            log.warning("caller refused", status=error.code)
        return self._error(error, fields)

    def _no_call(self, request: HttpRequest, fields: Fields) -> Answer:
        """Health checks, pre-flights of browsers, and what is neither."""
        if request.method in (b"GET", b"HEAD") and request.path.split(b"?")[0] in HEALTH_PATHS:
            return self._plain(200, self._health, fields)
        if request.method == b"OPTIONS" and b"origin" in fields:
            wanted = (
                (b"access-control-allow-headers", fields.get(b"access-control-request-headers")),
                (b"access-control-allow-methods", fields.get(b"access-control-request-method")),
            )
            headers = [(name, value) for name, value in wanted if value is not None]
            headers.append((b"access-control-max-age", PREFLIGHT_SECONDS))
            headers.append((b"x-amzn-requestid", new_request_id(self._random).encode()))
            return _cross_origin(HttpReply(200, tuple(headers), b""))
        return self._unknown(fields)

    def _unknown(self, fields: Fields) -> Answer:
        return self._plain(404, UNKNOWN_OPERATION, fields)

    def _plain(self, status: int, body: bytes, fields: Fields) -> Answer:
        headers = (
            (b"x-amzn-requestid", new_request_id(self._random).encode()),
            (b"x-amz-crc32", b"%d" % crc32(body)),
        )
        reply = HttpReply(status, headers, body)
        return _cross_origin(reply) if b"origin" in fields else reply

    def _error(self, error: ClientError, fields: Fields) -> Answer:
        content_type = JSON_TYPE
        if _media_type(fields) != JSON_TYPES[0]:
            content_type = (b"content-type", JSON_TYPES[1])
        reply = error_reply(error, new_request_id(self._random), content_type)
        return _cross_origin(reply) if b"origin" in fields else reply


def _check_access(caller: Caller, request: HttpRequest, fields: Fields) -> None:
    """Raise ClientError unless a verified caller may do that."""
    key = caller.key
    operation = operation_in(fields.get(b"x-amz-target", b""))
    if operation is None:
        raise ClientError("UnknownOperationException", "")
    key.access.check(operation, request.content, user=key.name, region=caller.region)


def _judged(request: HttpRequest, fields: Fields) -> bool:
    """Whether a refused request is worth a look at its body: a stranger's large one is not."""
    return 0 < len(request.body) <= JUDGED_BYTES_MAX and b"content-encoding" not in fields


def _in_utf8(request: HttpRequest) -> HttpRequest:
    """An engine may read UTF-16 and UTF-32 too, so nothing must hide behind them: JSON begins with
    ASCII, which has zero bytes there."""
    content = request.content
    if b"\0" not in content[:4] and not content.startswith(codecs.BOM_UTF8):
        return request
    try:
        text = content.decode(json.detect_encoding(content))
    except UnicodeDecodeError:
        return request
    return request._replace(decoded=text.encode())


def _media_type(fields: Fields) -> bytes:
    return fields.get(b"content-type", b"").partition(b";")[0].strip()


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def _cross_origin(reply: Answer) -> Answer:
    """Any page may call, as DynamoDB has it; what an engine has said of that itself stands."""
    if any(name.lower() == ALLOW_ORIGIN[0] for name, _ in reply.headers):
        return reply
    return HttpReply(reply.status, (*reply.headers, ALLOW_ORIGIN, EXPOSE_HEADERS), reply.body)
