"""What the stream of the simulator's engine shares with those of the real ones."""

from typing import Any

import pytest

from consumers.changes import change_of
from dualwrite.adapters.clock import SystemClock
from dualwrite.core.errors import Refused
from tests.contract.dynamo_stage import ABSENT, Scene, Stage, key, thing

EMPTIES: dict[str, Any] = {
    "text": {"S": ""}, "none": {"NULL": True}, "no": {"BOOL": False}, "zero": {"N": "0"},
    "bytes": {"B": ""}, "list": {"L": []}, "map": {"M": {}},
    "deep": {"M": {"list": {"L": [{"M": {}}, {"L": []}, {"S": ""}]}, "map": {"M": {}}}},
}  # fmt: skip


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
