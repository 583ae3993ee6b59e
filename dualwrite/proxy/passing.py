"""Requests that go to the engine as they came, and answers that are changed only where they must
be."""

from typing import Any
from zlib import crc32

import orjson

from dualwrite.core.encoding import in_json
from dualwrite.core.requests import Body
from dualwrite.proxy.messages import Answer, HttpReply, HttpRequest
from dualwrite.proxy.services import Services, forward

_ENCODINGS = frozenset({b"accept-encoding", b"content-encoding"})


async def pass_on(services: Services, request: HttpRequest, target: str) -> Answer:
    """The engine's own answer, byte for byte; raises EngineError."""
    return await forward(services, request.headers, target, request.body)


async def ask(services: Services, request: HttpRequest, target: str, body: Body) -> Answer:
    """The engine's answer to another body under the client's headers, neither of them compressed;
    raises EngineError."""
    headers = tuple(pair for pair in request.headers if pair[0] not in _ENCODINGS)
    return await pass_on(services, request._replace(headers=headers, body=in_json(body)), target)


def answer_in(reply: Answer) -> Body | None:
    """The body of a success; None for anything else, which is passed on as it is."""
    return _object_in(reply) if reply.status == 200 else None


def error_code(reply: Answer) -> str:
    """The type of error that a 4xx tells; empty for anything else."""
    told = _object_in(reply) if 400 <= reply.status < 500 else None
    return str(told.get("__type", "")).rpartition("#")[2] if told else ""


def _object_in(reply: Answer) -> Body | None:
    try:
        told: Any = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return None
    return told if isinstance(told, dict) else None


def with_body(reply: Answer, body: Body) -> HttpReply:
    """The same answer with another body, and the checksum of that."""
    data = orjson.dumps(body)
    headers = tuple(
        (name, b"%d" % crc32(data)) if name.lower() == b"x-amz-crc32" else (name, value)
        for name, value in reply.headers
    )
    return HttpReply(reply.status, headers, data)
