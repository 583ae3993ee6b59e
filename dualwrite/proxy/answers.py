"""Answers that the proxy gives itself, in DynamoDB's form."""

from random import Random
from zlib import crc32

import orjson

from dualwrite.core.errors import ClientError
from dualwrite.core.settle import CANCELED
from dualwrite.proxy.encodings import PACKED_BYTES_MIN, accepted, packed
from dualwrite.proxy.messages import BODY_TOO_LARGE, JSON_TYPE, HttpReply

Headers = tuple[tuple[bytes, bytes], ...]

CORAL = "com.amazon.coral.service#"
DYNAMODB = "com.amazonaws.dynamodb.v20120810#"
TYPE_PREFIXES = {
    "ValidationException": "com.amazon.coral.validate#",
    "SerializationException": CORAL,
    "UnknownOperationException": CORAL,
    "AccessDeniedException": CORAL,
    "ExpiredTokenException": CORAL,
    "IncompleteSignatureException": CORAL,
    "InvalidSignatureException": CORAL,
    "MissingAuthenticationTokenException": CORAL,
    "UnrecognizedClientException": CORAL,
}
"""Where DynamoDB's error types live; the rest is in its own name space."""
CAPITAL_MESSAGES = frozenset(
    {
        CANCELED,
        "AccessDeniedException",
        "IdempotentParameterMismatchException",
        "SerializationException",
        "TransactionInProgressException",
    }
)
"""Errors whose text DynamoDB puts under "Message"."""


def new_request_id(random: Random) -> str:
    """52 characters, as DynamoDB's are."""
    return f"{random.getrandbits(208):052X}"


def json_reply(
    status: int, body: bytes, request_id: str, content_type: tuple[bytes, bytes] = JSON_TYPE
) -> HttpReply:
    """An answer with its id and checksum."""
    headers = (
        content_type,
        (b"x-amzn-requestid", request_id.encode()),
        (b"x-amz-crc32", b"%d" % crc32(body)),
    )
    return HttpReply(status, headers, body)


def success(body: bytes, request_id: str, asked: Headers) -> HttpReply:
    """An operation's answer, packed where the client takes that; ``asked``: its headers. The
    checksum is that of what is sent."""
    if len(body) >= PACKED_BYTES_MIN:
        for name, value in asked:
            if name == b"accept-encoding" and (encoding := accepted(value)) is not None:
                reply = json_reply(200, packed(encoding, body), request_id)
                coded = (b"content-encoding", encoding)
                return reply._replace(headers=(*reply.headers, coded))
    return json_reply(200, body, request_id)


def error_reply(
    error: ClientError, request_id: str, content_type: tuple[bytes, bytes] = JSON_TYPE
) -> HttpReply:
    """The answer to a request that is refused, or that failed."""
    if error.status == BODY_TOO_LARGE.status:
        return BODY_TOO_LARGE
    body = {"__type": TYPE_PREFIXES.get(error.code, DYNAMODB) + error.code}
    if error.message:
        name = "Message" if error.code in CAPITAL_MESSAGES else "message"
        body[name] = error.message
    return json_reply(
        error.status, orjson.dumps({**body, **error.fields}), request_id, content_type
    )
