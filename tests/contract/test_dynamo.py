"""What the simulator's engine shares with the real ones: one suite on all three."""

from typing import Any

import pytest

from dualwrite.core.errors import Refused
from tests.contract.dynamo_stage import ABSENT, Scene, Stage, key, thing

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


def test_a_missing_table_is_told(on: Scene) -> None:
    """Whoever names a table that is not there hears ResourceNotFoundException."""

    async def go(stage: Stage) -> None:
        stage.table += "-not"
        refused = await stage.refused("GetItem", Key=key("a", 1))
        assert refused.code == "ResourceNotFoundException"

    on(go)
