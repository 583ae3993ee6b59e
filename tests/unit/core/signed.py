"""Requests as botocore's own signer makes them."""

import datetime
import hashlib
from typing import Any, NamedTuple
from unittest import mock

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW_SECONDS = 1_767_225_599  # 2025-12-31T23:59:59Z
BODY = b'{"TableName":"tasks","Key":{"id":{"S":"\xc3\xa9"}}}'
TARGET = "DynamoDB_20120810.GetItem"
ACCESS_KEY = "AKIDEXAMPLE"
SECRET = "wJalr/secret+key"


class Wire(NamedTuple):
    """A request as the server hands it on."""

    method: bytes
    path: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def having(self, name: bytes, value: bytes) -> "Wire":
        """The same with one header changed or added."""
        kept = tuple(pair for pair in self.headers if pair[0] != name)
        return self._replace(headers=(*kept, (name, value)))

    def lacking(self, name: bytes) -> "Wire":
        return self._replace(headers=tuple(pair for pair in self.headers if pair[0] != name))

    def header(self, name: bytes) -> bytes:
        return dict(self.headers)[name]


class _PresignedBody(SigV4QueryAuth):
    """Botocore moves a body into the query; DynamoDB's callers send it."""

    sent = b""

    def payload(self, request: Any) -> str:
        return hashlib.sha256(self.sent).hexdigest()


def sign(
    *,
    secret: str = SECRET,
    token: str | None = None,
    region: str = "eu-west-1",
    service: str = "dynamodb",
    host: str = "dynamodb.example:8001",
    path: str = "/",
    target: str = TARGET,
    body: bytes = BODY,
    extra: dict[str, str] | None = None,
    at: int = NOW_SECONDS,
    presigned_seconds: int | None = None,
) -> Wire:
    """One request, signed in its headers, or in its query where ``presigned_seconds`` is given."""
    headers = {"Host": host, "X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"}
    request = AWSRequest(
        method="POST", url=f"http://{host}{path}", data=body, headers=headers | (extra or {})
    )
    credentials = Credentials(ACCESS_KEY, secret, token)
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC).replace(tzinfo=None)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        if presigned_seconds is None:
            SigV4Auth(credentials, service, region).add_auth(request)
        else:
            request.data = b""
            presigner = _PresignedBody(credentials, service, region, presigned_seconds)
            presigner.sent = body
            presigner.add_auth(request)
    pairs = tuple(
        (name.lower().encode(), str(value).encode("latin-1"))
        for name, value in request.headers.items()
    )
    return Wire(b"POST", request.url.partition(host)[2].encode(), pairs, body)
