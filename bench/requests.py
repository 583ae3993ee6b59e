"""Whole HTTP requests as boto3 would write them, signed, encoded once."""

import json

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.cases import CASES, coordinations, table_name

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
HOST = "127.0.0.1:8000"
"""The signed Host; the proxy takes any."""

_USER_AGENT = (
    "Boto3/1.43.0 md/Botocore#1.43.0 ua/2.1 os/linux#6.1 md/arch#x86_64 "
    "lang/python#3.11.7 md/pyimpl#CPython m/Z,b,D cfg/retry-mode#standard Botocore/1.43.0"
)


def requests_of(case_name: str, *, managed: bool, count: int | None = None) -> list[bytes]:
    """The requests of one case, each as it stands on the wire; valid for five minutes."""
    case, items = CASES[case_name], list(coordinations())
    table = table_name(managed=managed)
    bodies = (case.body(table, items, n) for n in range(len(items) if count is None else count))
    return [_whole(case.operation, json.dumps(body).encode()) for body in bodies]


def _whole(operation: str, body: bytes) -> bytes:
    headers = {
        "Host": HOST,
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Content-Type": "application/x-amz-json-1.0",
    }
    request = AWSRequest("POST", f"http://{HOST}/", headers, body)
    SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "dynamodb", REGION).add_auth(request)
    unsigned = {
        "Accept-Encoding": "identity",
        "User-Agent": _USER_AGENT,
        "amz-sdk-invocation-id": "3f0b1f5e-8b1c-4d0e-9d55-7a6f3c8f1b2a",
        "amz-sdk-request": "attempt=1",
        "Content-Length": str(len(body)),
    }
    lines = [f"{name}: {value}\r\n" for name, value in (request.headers.items() | unsigned.items())]
    return b"POST / HTTP/1.1\r\n" + "".join(sorted(lines)).encode() + b"\r\n" + body
