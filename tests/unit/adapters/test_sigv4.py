"""Our signatures are botocore's signatures."""

import datetime
from typing import Any
from unittest import mock

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.credentials import ReadOnlyCredentials

from dualwrite.adapters.sigv4 import NOT_FORWARDED, Signer

NOW_MS = 1_767_225_599_000  # 2025-12-31T23:59:59Z
BODY = b'{"TableName":"tasks","Item":{"id":{"S":"\xc3\xa9"}}}'
TARGET = "DynamoDB_20120810.PutItem"


class Wall:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


def parsed(head: bytes) -> dict[str, str]:
    request_line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    assert request_line == "POST / HTTP/1.1"
    return dict(line.split(": ", 1) for line in lines)


def botocore_signature(
    headers: dict[str, str], body: bytes, credentials: ReadOnlyCredentials, ms: int
) -> str:
    """The Authorization header that botocore gives exactly those headers."""
    request = AWSRequest(
        method="POST", url=f"http://{headers['host']}/", data=body, headers=headers
    )
    boto = BotoCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    moment = datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).replace(tzinfo=None)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4Auth(boto, "dynamodb", "eu-west-1").add_auth(request)
    return str(request.headers["Authorization"])


def make(token: str | None, wall: Wall) -> tuple[Signer, ReadOnlyCredentials]:
    credentials = ReadOnlyCredentials("AKIDEXAMPLE", "wJalr/secret", token)
    signer = Signer(
        "127.0.0.1:8000", region="eu-west-1", credentials=lambda: credentials, wall_ms=wall
    )
    return signer, credentials


def signed_part(headers: dict[str, str]) -> dict[str, str]:
    names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    return {name: headers[name] for name in names}


@pytest.mark.parametrize("token", [None, "session/token=="])
@pytest.mark.parametrize("body", [b"", b"{}", BODY])
def test_a_call_carries_the_signature_botocore_would_make(token: str | None, body: bytes) -> None:
    """Also with a session token, and when the same second and target were used before."""
    signer, credentials = make(token, Wall())
    signer.head(TARGET, b"another body")
    headers = parsed(signer.head(TARGET, body))
    assert headers["content-length"] == str(len(body))
    assert headers["authorization"] == botocore_signature(
        signed_part(headers), body, credentials, NOW_MS
    )


def test_the_day_changes_while_the_process_runs() -> None:
    """The cached key of yesterday signs nothing today."""
    wall = Wall()
    signer, credentials = make(None, wall)
    signer.head(TARGET, BODY)
    wall.ms += 1000
    headers = parsed(signer.head(TARGET, BODY))
    assert headers["x-amz-date"] == "20260101T000000Z"
    assert headers["authorization"] == botocore_signature(
        signed_part(headers), BODY, credentials, wall.ms
    )


def test_renewed_credentials_are_used_within_a_second() -> None:
    """A rotated key or token needs no restart."""
    wall = Wall()
    held = [ReadOnlyCredentials("A", "old", "t1"), ReadOnlyCredentials("B", "new", "t2")]
    signer = Signer(
        "h:1", region="eu-west-1", credentials=lambda: held[wall.ms > NOW_MS], wall_ms=wall
    )
    assert parsed(signer.head(TARGET, BODY))["x-amz-security-token"] == "t1"
    wall.ms += 1000
    headers = parsed(signer.head(TARGET, BODY))
    assert headers["authorization"] == botocore_signature(
        signed_part(headers), BODY, held[1], wall.ms
    )


def test_a_forwarded_request_keeps_the_clients_headers_and_loses_its_signature() -> None:
    """What named the client's connection or key stays behind; all else goes on."""
    signer, credentials = make("tok", Wall())
    gone = [(name, b"theirs") for name in sorted(NOT_FORWARDED)]
    kept = [
        (b"content-type", b"application/x-amz-json-1.0"),
        (b"user-agent", b"Boto3/1  md/x"),
        (b"x-amz-user-agent", b"aws-sdk-js/3   (with   spaces)"),
        (b"amz-sdk-invocation-id", b"1-2-3"),
        (b"accept-encoding", b"gzip"),
    ]
    headers = parsed(signer.forward_head([*gone, *kept], TARGET, BODY))
    assert {name.encode(): value.encode() for name, value in headers.items()}.items() >= dict(
        kept
    ).items()
    assert "theirs" not in headers.values()
    assert set(signed_part(headers)) == {
        "content-type",
        "host",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-target",
        "x-amz-user-agent",
    }
    assert headers["authorization"] == botocore_signature(
        signed_part(headers), BODY, credentials, NOW_MS
    )


def test_targets_without_end_do_not_fill_the_memory(monkeypatch: Any) -> None:
    """The templates of a second are bounded."""
    monkeypatch.setattr("dualwrite.adapters.sigv4.TARGETS_MAX", 4)
    signer, _ = make(None, Wall())
    for number in range(20):
        signer.head(f"DynamoDB_20120810.Op{number}", b"")
    assert len(signer._templates) <= 4
