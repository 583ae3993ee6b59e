"""One empty table with a stream, on the simulator's engine and on real ones."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.wire import WireClient
from dualwrite.core.errors import Refused
from dualwrite.core.ports import Dynamo
from tests.simulation.engine import FakeDynamo

SOON_SECONDS = 10.0
ENGINES = ["fake", "ministack", "dynamodb-local"]
ABSENT = {"ConditionExpression": "attribute_not_exists(h)"}


class Stage:
    """One empty table with a stream, on one engine."""

    def __init__(self, dynamo: Dynamo, table: str) -> None:
        self.dynamo = dynamo
        self.table = table

    async def create(self) -> None:
        await self.dynamo.call(
            "CreateTable",
            {
                "TableName": self.table,
                "KeySchema": [
                    {"AttributeName": "h", "KeyType": "HASH"},
                    {"AttributeName": "r", "KeyType": "RANGE"},
                ],
                "AttributeDefinitions": [
                    {"AttributeName": "h", "AttributeType": "S"},
                    {"AttributeName": "r", "AttributeType": "N"},
                ],
                "BillingMode": "PAY_PER_REQUEST",
                "StreamSpecification": {
                    "StreamEnabled": True,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
            },
        )

    async def __call__(self, operation: str, **request: Any) -> dict[str, Any]:
        answer = await self.dynamo.call(operation, {"TableName": self.table, **request})
        return {name: value for name, value in answer.items() if name != "ConsumedCapacity"}

    async def refused(self, operation: str, **request: Any) -> Refused:
        with pytest.raises(Refused) as caught:
            await self(operation, **request)
        return caught.value

    async def item(self, h: str, r: int) -> dict[str, Any] | None:
        answer = await self("GetItem", Key=key(h, r), ConsistentRead=True)
        return answer.get("Item")

    async def pages(self, operation: str, **request: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            answer = await self(operation, ConsistentRead=True, **request)
            found += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return found
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    async def records(self, count: int) -> list[dict[str, Any]]:
        """The first records of the stream, over all of its shards; waits for them."""
        arn = (await self("DescribeTable"))["Table"]["LatestStreamArn"]
        for _ in range(int(SOON_SECONDS * 10)):
            found: list[dict[str, Any]] = []
            described = await self.dynamo.call("DescribeStream", {"StreamArn": arn})
            for shard in described["StreamDescription"]["Shards"]:
                asked = {"StreamArn": arn, "ShardId": shard["ShardId"]}
                opened = await self.dynamo.call(
                    "GetShardIterator", {**asked, "ShardIteratorType": "TRIM_HORIZON"}
                )
                page = await self.dynamo.call(
                    "GetRecords", {"ShardIterator": opened["ShardIterator"]}
                )
                found += page["Records"]
                assert page.get("NextShardIterator"), "an open shard goes on"
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"{count} records did not come")


Scene = Callable[[Callable[[Stage], Awaitable[None]]], None]


@pytest.fixture(params=ENGINES)
def on(request: pytest.FixtureRequest, table_prefix: str) -> Scene:
    """Runs a test's coroutine against one engine."""
    if request.param == "fake":
        return lambda test: asyncio.run(_on(FakeDynamo(), table_prefix, test))
    if request.param == "ministack":
        url = request.getfixturevalue("engine")
    else:
        url = f"http://127.0.0.1:{request.getfixturevalue('dynamodb_local')}"
    return lambda test: asyncio.run(_on_wire(url, table_prefix, test))


async def _on(dynamo: Dynamo, prefix: str, test: Callable[[Stage], Awaitable[None]]) -> None:
    stage = Stage(dynamo, f"{prefix}items")
    await stage.create()
    await test(stage)


async def _on_wire(url: str, prefix: str, test: Callable[[Stage], Awaitable[None]]) -> None:
    # DynamoDB Local keeps a database for each access key, and is slow where one holds many tables.
    credentials = ReadOnlyCredentials(prefix.replace("-", ""), "test", None)
    wire = WireClient(url, region="us-east-1", credentials=lambda: credentials, clock=SystemClock())
    try:
        await _on(wire, prefix, test)
    finally:
        await wire.close()


def key(h: str, r: int) -> dict[str, Any]:
    return {"h": {"S": h}, "r": {"N": str(r)}}


def thing(h: str, r: int, **more: str) -> dict[str, Any]:
    return key(h, r) | {name: {"S": value} for name, value in more.items()}
