"""Whether an engine shows PartiQL writes in its streams; asked once, on a table made for it."""

from contextlib import suppress
from typing import Any

import structlog

from dualwrite.core.control_plane import STREAM_VIEW
from dualwrite.core.errors import EngineError, Refused
from dualwrite.core.ports import Clock, Dynamo

SECONDS_MAX = 60.0
POLL_SECONDS = 0.2
KEY = "id"
PLAIN = "b"

log = structlog.get_logger()


async def statements_are_streamed(dynamo: Dynamo, clock: Clock, name: str) -> bool:
    """Create a table of that name, write to it, read its stream, and delete it. False where any
    of it fails: then nothing is proven."""
    try:
        return await _seen(dynamo, clock, name)
    except EngineError as error:
        code = error.code if isinstance(error, Refused) else type(error).__name__
        log.info("no conditional batches", why=code)
        return False
    finally:
        with suppress(EngineError):
            await dynamo.call("DeleteTable", {"TableName": name})


async def _seen(dynamo: Dynamo, clock: Clock, name: str) -> bool:
    deadline = clock.monotonic_seconds() + SECONDS_MAX
    await dynamo.call(
        "CreateTable",
        {
            "TableName": name,
            "KeySchema": [{"AttributeName": KEY, "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": KEY, "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": STREAM_VIEW},
        },
    )
    while True:
        table = (await dynamo.call("DescribeTable", {"TableName": name}))["Table"]
        if table["TableStatus"] == "ACTIVE" or clock.monotonic_seconds() > deadline:
            break
        await clock.sleep(POLL_SECONDS)
    insert = {"Statement": f"INSERT INTO \"{name}\" VALUE {{'{KEY}': ?}}"}
    update = {"Statement": f'UPDATE "{name}" SET "n" = ? WHERE "{KEY}" = ? AND "n" IS MISSING'}
    statements = [
        [insert | {"Parameters": [{"S": "a"}]}],
        [update | {"Parameters": [{"N": "1"}, {"S": "a"}]}],
    ]
    for batch in statements:
        answer = await dynamo.call("BatchExecuteStatement", {"Statements": batch})
        if "Error" in answer["Responses"][0]:
            return False
    # A plain write, whose record is certain to come, says when theirs would have come before it.
    await dynamo.call("PutItem", {"TableName": name, "Item": {KEY: {"S": PLAIN}}})
    seen: set[tuple[str, str]] = set()
    while clock.monotonic_seconds() <= deadline:
        seen |= await _events(dynamo, table["LatestStreamArn"])
        if ("INSERT", PLAIN) in seen:
            return {("INSERT", "a"), ("MODIFY", "a")} <= seen
        await clock.sleep(POLL_SECONDS)
    return False


async def _events(dynamo: Dynamo, arn: str) -> set[tuple[str, str]]:
    """The kinds and keys of all records that stand on a stream now."""
    described = await dynamo.call("DescribeStream", {"StreamArn": arn})
    events: set[tuple[str, str]] = set()
    for shard in described["StreamDescription"]["Shards"]:
        request: dict[str, Any] = {
            "StreamArn": arn,
            "ShardId": shard["ShardId"],
            "ShardIteratorType": "TRIM_HORIZON",
        }
        opened = await dynamo.call("GetShardIterator", request)
        page = await dynamo.call("GetRecords", {"ShardIterator": opened["ShardIterator"]})
        events |= {
            (record["eventName"], record["dynamodb"]["Keys"][KEY]["S"])
            for record in page.get("Records", [])
        }
    return events
