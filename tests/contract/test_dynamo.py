"""What the simulator's engine shares with the real ones: one suite on all three."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from consumers.changes import change_of
from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.wire import WireClient
from dualwrite.core.errors import Refused
from dualwrite.core.ports import Dynamo
from tests.engines_local import dynamodb_local
from tests.simulation.engine import FakeDynamo

__all__ = ["dynamodb_local"]

SOON_SECONDS = 10.0
ENGINES = ["fake", "ministack", "dynamodb-local"]


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


ABSENT = {"ConditionExpression": "attribute_not_exists(h)"}
SHOWN = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def test_a_conditional_put_is_decided_once(on: Scene) -> None:
    """The first put-if-absent is accepted; the next is refused, and shows what stands there only
    where that was asked for."""

    async def go(stage: Stage) -> None:
        await stage("PutItem", Item=thing("a", 1, v="x"), **ABSENT)
        refused = await stage.refused("PutItem", Item=thing("a", 1, v="y"), **ABSENT)
        assert refused.code == "ConditionalCheckFailedException"
        assert "Item" not in refused.fields
        refused = await stage.refused("PutItem", Item=thing("a", 1, v="y"), **ABSENT, **SHOWN)
        assert refused.fields["Item"] == thing("a", 1, v="x")
        assert await stage.item("a", 1) == thing("a", 1, v="x")

    on(go)


def test_an_update_makes_and_changes_items(on: Scene) -> None:
    """ADD counts from nothing, SET sees the item as it was, return values are those asked for."""

    async def go(stage: Stage) -> None:
        async def add(returns: str) -> dict[str, Any]:
            return await stage(
                "UpdateItem",
                Key=key("a", 1),
                UpdateExpression="SET v = :v ADD n :one",
                ExpressionAttributeValues={":v": {"S": "x"}, ":one": {"N": "1"}},
                ReturnValues=returns,
            )

        assert await add("ALL_OLD") == {}
        assert await add("ALL_OLD") == {"Attributes": thing("a", 1, v="x") | {"n": {"N": "1"}}}
        assert await add("UPDATED_NEW") == {"Attributes": {"v": {"S": "x"}, "n": {"N": "3"}}}
        assert await add("ALL_NEW") == {"Attributes": thing("a", 1, v="x") | {"n": {"N": "4"}}}

    on(go)


def test_a_delete_returns_what_was_there(on: Scene) -> None:
    """A delete of nothing succeeds; one under a false condition leaves the item."""

    async def go(stage: Stage) -> None:
        assert await stage("DeleteItem", Key=key("a", 1), ReturnValues="ALL_OLD") == {}
        await stage("PutItem", Item=thing("a", 1, v="x"))
        false = {
            "ConditionExpression": "v = :v",
            "ExpressionAttributeValues": {":v": {"S": "y"}},
        }
        await stage.refused("DeleteItem", Key=key("a", 1), **false)
        gone = await stage("DeleteItem", Key=key("a", 1), ReturnValues="ALL_OLD")
        assert gone == {"Attributes": thing("a", 1, v="x")}
        assert await stage.item("a", 1) is None

    on(go)


@pytest.mark.parametrize(
    "request_",
    [
        {"Item": {"h": {"S": "a"}}},
        {"Item": {"h": {"N": "1"}, "r": {"N": "1"}}},
        {"Item": {"h": {"S": ""}, "r": {"N": "1"}}},
        {"Item": thing("a", 1), "ConditionExpression": "v = :v"},
        {"Item": thing("a", 1, v="x" * 410_000)},
    ],
    ids=["no range key", "wrong type", "empty key", "no value", "too large"],
)
def test_what_is_no_item_is_refused(on: Scene, request_: dict[str, Any]) -> None:
    """A request that makes no sense is a ValidationException and writes nothing."""

    async def go(stage: Stage) -> None:
        assert (await stage.refused("PutItem", **request_)).code == "ValidationException"
        assert await stage.pages("Scan") == []

    on(go)


def test_a_transaction_is_all_or_nothing(on: Scene) -> None:
    """One false condition cancels all; the reasons stand in the order of the actions and show the
    item where that was asked for."""

    async def go(stage: Stage) -> None:
        await stage("PutItem", Item=thing("a", 1, v="x"))
        here = {"TableName": stage.table}
        actions = [
            {"Put": {**here, "Item": thing("b", 1, v="n")}},
            {"Delete": {**here, "Key": key("a", 1), **ABSENT, **SHOWN}},
            {"ConditionCheck": {**here, "Key": key("c", 1), **ABSENT}},
        ]
        with pytest.raises(Refused) as caught:
            await stage.dynamo.call("TransactWriteItems", {"TransactItems": actions})
        assert caught.value.code == "TransactionCanceledException"
        reasons = caught.value.fields["CancellationReasons"]
        codes = [reason["Code"] for reason in reasons]
        assert codes == ["None", "ConditionalCheckFailed", "None"]
        assert reasons[1]["Item"] == thing("a", 1, v="x")
        assert await stage.pages("Scan") == [thing("a", 1, v="x")]
        del actions[1]["Delete"]["ConditionExpression"]
        await stage.dynamo.call("TransactWriteItems", {"TransactItems": actions})
        assert await stage.pages("Scan") == [thing("b", 1, v="n")]

    on(go)


def test_a_token_makes_a_transaction_happen_once(on: Scene) -> None:
    """The same request under the same token is applied once, also after others wrote; another
    request under it is refused."""

    async def go(stage: Stage) -> None:
        def adding(amount: str) -> dict[str, Any]:
            action = {
                "TableName": stage.table,
                "Key": key("a", 1),
                "UpdateExpression": "ADD n :n",
                "ExpressionAttributeValues": {":n": {"N": amount}},
            }
            return {"TransactItems": [{"Update": action}], "ClientRequestToken": "token-1"}

        await stage.dynamo.call("TransactWriteItems", adding("5"))
        await stage.dynamo.call("TransactWriteItems", adding("5"))
        assert await stage.item("a", 1) == key("a", 1) | {"n": {"N": "5"}}
        with pytest.raises(Refused) as caught:
            await stage.dynamo.call("TransactWriteItems", adding("6"))
        assert caught.value.code == "IdempotentParameterMismatchException"

    on(go)


def test_a_transaction_names_an_item_once(on: Scene) -> None:
    """Two actions at one item are refused before anything is written."""

    async def go(stage: Stage) -> None:
        put = {"Put": {"TableName": stage.table, "Item": thing("a", 1)}}
        with pytest.raises(Refused) as caught:
            await stage.dynamo.call("TransactWriteItems", {"TransactItems": [put, put]})
        assert caught.value.code == "ValidationException"
        assert await stage.pages("Scan") == []

    on(go)


def test_batches_write_and_read(on: Scene) -> None:
    """A batch puts and deletes; one with a key twice writes nothing; a batch of reads leaves out
    what is not there."""

    async def go(stage: Stage) -> None:
        await stage("PutItem", Item=thing("a", 0))
        members: list[dict[str, Any]] = [
            {"PutRequest": {"Item": thing("a", number)}} for number in range(1, 4)
        ]
        members.append({"DeleteRequest": {"Key": key("a", 0)}})
        answer = await stage.dynamo.call("BatchWriteItem", {"RequestItems": {stage.table: members}})
        assert not answer.get("UnprocessedItems")
        twice = [{"PutRequest": {"Item": thing("b", 1, v=v)}} for v in "xy"]
        with pytest.raises(Refused) as caught:
            await stage.dynamo.call("BatchWriteItem", {"RequestItems": {stage.table: twice}})
        assert caught.value.code == "ValidationException"
        keys = [key("a", number) for number in range(4)] + [key("b", 1)]
        asked = {stage.table: {"Keys": keys, "ConsistentRead": True}}
        found = await stage.dynamo.call("BatchGetItem", {"RequestItems": asked})
        items = sorted(found["Responses"][stage.table], key=lambda item: item["r"]["N"])
        assert items == [thing("a", number) for number in range(1, 4)]

    on(go)


def test_a_query_goes_in_the_order_of_numbers(on: Scene) -> None:
    """Range keys are ordered as numbers, both ways, in pages, and bounds hold."""

    async def go(stage: Stage) -> None:
        for number in (10, 9, 100, -1):
            await stage("PutItem", Item=thing("a", number))
        await stage("PutItem", Item=thing("b", 1))
        asked = {
            "KeyConditionExpression": "h = :h",
            "ExpressionAttributeValues": {":h": {"S": "a"}},
            "Limit": 2,
        }
        order = [item["r"]["N"] for item in await stage.pages("Query", **asked)]
        assert order == ["-1", "9", "10", "100"]
        back = await stage.pages("Query", **asked, ScanIndexForward=False)
        assert [item["r"]["N"] for item in back] == order[::-1]
        asked["KeyConditionExpression"] = "h = :h AND r BETWEEN :low AND :high"
        asked["ExpressionAttributeValues"] |= {":low": {"N": "9"}, ":high": {"N": "10"}}
        assert [item["r"]["N"] for item in await stage.pages("Query", **asked)] == ["9", "10"]

    on(go)


def test_segments_part_the_table(on: Scene) -> None:
    """The segments of a parallel scan hold each item once, in pages of any size."""

    async def go(stage: Stage) -> None:
        names = {f"k{number}" for number in range(30)}
        for name in names:
            await stage("PutItem", Item=thing(name, 1))
        found: list[str] = []
        for segment in range(3):
            part = await stage.pages("Scan", Segment=segment, TotalSegments=3, Limit=4)
            found += [item["h"]["S"] for item in part]
        assert len(found) == len(names)
        assert set(found) == names

    on(go)


def test_a_filter_and_a_projection_cut_what_is_shown(on: Scene) -> None:
    """A filtered page counts what it looked at; a projection leaves what was not asked for."""

    async def go(stage: Stage) -> None:
        for number in range(4):
            await stage("PutItem", Item=thing("a", number, v="xy"[number % 2], w="z"))
        answer = await stage(
            "Scan",
            FilterExpression="v = :v",
            ProjectionExpression="r, v",
            ExpressionAttributeValues={":v": {"S": "x"}},
            ConsistentRead=True,
        )
        assert (answer["Count"], answer["ScannedCount"]) == (2, 4)
        assert all(item.keys() == {"r", "v"} for item in answer["Items"])

    on(go)


def test_the_stream_tells_each_change_once_and_in_order(on: Scene) -> None:
    """One record a change of an item, with both images, in rising sequence numbers; a write that
    changes nothing leaves none, nor does a cancelled transaction."""

    async def go(stage: Stage) -> None:
        await stage("PutItem", Item=thing("a", 1, v="x"))
        await stage("PutItem", Item=thing("a", 1, v="x"))
        await stage("PutItem", Item=thing("a", 1, v="y"))
        put = {"Put": {"TableName": stage.table, "Item": thing("b", 1)}}
        check = {"ConditionCheck": {"TableName": stage.table, "Key": key("a", 1), **ABSENT}}
        with pytest.raises(Refused):
            await stage.dynamo.call("TransactWriteItems", {"TransactItems": [put, check]})
        await stage.dynamo.call("TransactWriteItems", {"TransactItems": [put]})
        await stage("DeleteItem", Key=key("a", 1))
        records = await stage.records(4)
        assert len(records) == 4
        ours = [record for record in records if record["dynamodb"]["Keys"] == key("a", 1)]
        assert [record["eventName"] for record in ours] == ["INSERT", "MODIFY", "REMOVE"]
        images = [record["dynamodb"].get("NewImage", {}).get("v") for record in ours]
        assert images == [{"S": "x"}, {"S": "y"}, None]
        assert ours[1]["dynamodb"]["OldImage"] == thing("a", 1, v="x")
        assert "OldImage" not in ours[0]["dynamodb"]
        numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in ours]
        assert numbers == sorted(set(numbers))

    on(go)


def test_reading_goes_on_after_a_sequence_number(on: Scene) -> None:
    """AFTER_SEQUENCE_NUMBER leaves out the record it names; a page that found nothing still has
    an iterator, with which later records are found."""

    async def go(stage: Stage) -> None:
        for number in range(3):
            await stage("PutItem", Item=thing("a", number))
        first = (await stage.records(3))[0]
        arn = (await stage("DescribeTable"))["Table"]["LatestStreamArn"]
        described = await stage.dynamo.call("DescribeStream", {"StreamArn": arn})
        shard = described["StreamDescription"]["Shards"][0]["ShardId"]
        opened = await stage.dynamo.call(
            "GetShardIterator",
            {
                "StreamArn": arn,
                "ShardId": shard,
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "SequenceNumber": first["dynamodb"]["SequenceNumber"],
            },
        )
        found: list[str] = []
        iterator = opened["ShardIterator"]
        for number in (3, 4):
            for _ in range(3):
                page = await stage.dynamo.call("GetRecords", {"ShardIterator": iterator})
                found += [record["dynamodb"]["Keys"]["r"]["N"] for record in page["Records"]]
                iterator = page["NextShardIterator"]
            await stage("PutItem", Item=thing("a", number))
        assert found == ["1", "2", "3"]

    on(go)


def test_a_missing_table_is_told(on: Scene) -> None:
    """Whoever names a table that is not there hears ResourceNotFoundException."""

    async def go(stage: Stage) -> None:
        stage.table += "-not"
        refused = await stage.refused("GetItem", Key=key("a", 1))
        assert refused.code == "ResourceNotFoundException"

    on(go)


EMPTIES: dict[str, Any] = {
    "text": {"S": ""}, "none": {"NULL": True}, "no": {"BOOL": False}, "zero": {"N": "0"},
    "bytes": {"B": ""}, "list": {"L": []}, "map": {"M": {}},
    "deep": {"M": {"list": {"L": [{"M": {}}, {"L": []}, {"S": ""}]}, "map": {"M": {}}}},
}  # fmt: skip


def test_the_images_of_a_record_are_the_items(on: Scene) -> None:
    """As we read them, to every empty value of any depth: DynamoDB Local words empty maps anew."""

    async def test(table: Stage) -> None:
        first, second = key("h", 1) | EMPTIES, thing("h", 1, a="x")
        await table("PutItem", Item=first)
        await table("PutItem", Item=second)
        inserted, modified = (change_of(record) for record in await table.records(2))
        assert (inserted.old, inserted.new) == (None, first)
        assert (modified.old, modified.new) == (first, second)

    on(test)


def test_a_record_tells_when_it_was_made(on: Scene) -> None:
    """To the second, or as coarsely as we know of the engine: whether a reader is behind is told by
    that."""

    async def test(table: Stage) -> None:
        clock = SystemClock()
        before_ms = clock.wall_ms()
        await table("PutItem", Item=thing("h", 1))
        [change] = [change_of(record) for record in await table.records(1)]
        assert change.created_ms <= clock.wall_ms()
        assert change.created_ms + 1_000 + change.rounded_ms > before_ms

    on(test)
