"""The requests of the benchmark: PutItem of realistic coordinations, encoded once."""

import json
from collections.abc import Sequence
from pathlib import Path

from dualwrite.core.items import Item, size_bytes
from dualwrite.core.spec import Migration
from examples.ai_coordination_engine.shapes import Maker

SPEC = Path(__file__).parent.parent / "examples" / "ai_coordination_engine" / "migration.toml"
MANAGED = "coordinations"
UNMANAGED_TABLE = "ace-audit-log"
"""Not in the spec: requests for it pass through."""
ITEM_BYTES = (600, 800)
COUNT = 500

# The headers boto3 sends, in its order; signatures are dummies of the right length.
_HEAD = (
    "POST / HTTP/1.1\r\n"
    "Host: 127.0.0.1:8000\r\n"
    "Accept-Encoding: identity\r\n"
    "X-Amz-Target: DynamoDB_20120810.PutItem\r\n"
    "Content-Type: application/x-amz-json-1.0\r\n"
    "User-Agent: Boto3/1.43.0 md/Botocore#1.43.0 ua/2.1 os/linux#6.1 md/arch#x86_64 "
    "lang/python#3.11.7 md/pyimpl#CPython m/Z,b,D cfg/retry-mode#standard Botocore/1.43.0\r\n"
    "X-Amz-Date: 20260101T000000Z\r\n"
    "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/dynamodb/"
    "aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
    f"Signature={'0' * 64}\r\n"
    "amz-sdk-invocation-id: 3f0b1f5e-8b1c-4d0e-9d55-7a6f3c8f1b2a\r\n"
    "amz-sdk-request: attempt=1\r\n"
    "Content-Length: {length}\r\n\r\n"
)


def coordinations(migration: Migration, count: int = COUNT) -> list[Item]:
    """Old-dialect coordinations of about 0.7 KB, the same in every run."""
    mapping = migration.by_name[MANAGED].derivation.mapping
    assert mapping is not None, "the example maps its tenants"
    tenants = list(mapping.forward)
    maker = Maker(seed=1)
    items: list[Item] = []
    while len(items) < count:
        tenant = tenants[len(items) % len(tenants)]
        item = maker.coordination(tenant, maker.uuid(), maker.agents(1, 2))
        if ITEM_BYTES[0] <= size_bytes(item) <= ITEM_BYTES[1]:
            items.append(item)
    return items


def put_requests(table: str, items: Sequence[Item]) -> list[bytes]:
    """Whole HTTP requests, as boto3 would write them."""
    bodies = (json.dumps({"TableName": table, "Item": item}).encode() for item in items)
    return [_HEAD.format(length=len(body)).encode() + body for body in bodies]
