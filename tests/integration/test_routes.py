"""Two engines behind one port. They are two Regions of one real engine, which keeps them apart."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import boto3
import pytest
from botocore.credentials import ReadOnlyCredentials

from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.routes import Routes
from dualwrite.adapters.wire import WireClient
from dualwrite.core.errors import OutcomeUnknown, Refused, Unreachable
from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.spec import TableSide
from tests.proxy_harness import create_table

OLD, NEW = "routes-old", "routes-new"
KEYS = KeySchema(KeyAttribute("h"), None)
Use = Callable[[Routes, WireClient, WireClient], Awaitable[None]]


def boto_of(engine: str, region: str) -> Any:
    return boto3.client(
        "dynamodb", endpoint_url=engine, region_name=region,
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip


@pytest.fixture(scope="module")
def tables(engine: str) -> str:
    """One table in each of two Regions."""
    create_table(boto_of(engine, "us-east-1"), TableSide(OLD, KEYS))
    create_table(boto_of(engine, "eu-west-1"), TableSide(NEW, KEYS))
    return engine


def run(engine: str, use: Use) -> None:
    """Use routes over two clients of the engine."""

    async def with_clients() -> None:
        home, there = (
            WireClient(
                engine, region=region, clock=SystemClock(),
                credentials=lambda: ReadOnlyCredentials("test", "test", None),
            )
            for region in ("us-east-1", "eu-west-1")
        )  # fmt: skip
        try:
            await use(Routes(home, there, frozenset({NEW})), home, there)
        finally:
            await home.close()
            await there.close()

    asyncio.run(with_clients())


def item(value: str) -> dict[str, Any]:
    return {"h": {"S": value}}


def puts(*values: str) -> list[dict[str, Any]]:
    return [{"PutRequest": {"Item": item(value)}} for value in values]


def test_a_call_goes_to_the_engine_of_its_table(tables: str) -> None:
    """By name or ARN; what is in no migration is at home."""

    async def use(routes: Routes, home: WireClient, there: WireClient) -> None:
        await routes.call("PutItem", {"TableName": NEW, "Item": item("a")})
        found = await there.call("GetItem", {"TableName": NEW, "Key": item("a")})
        assert found["Item"] == item("a")
        arn = (await routes.call("DescribeTable", {"TableName": NEW}))["Table"]["TableArn"]
        assert "eu-west-1" in arn
        assert (await routes.call("GetItem", {"TableName": arn, "Key": item("a")}))["Item"]
        listed = {"ExclusiveStartTableName": min(OLD, NEW)[:-1]}
        assert NEW not in (await home.call("ListTables", listed))["TableNames"]
        assert OLD in (await routes.call("ListTables", listed))["TableNames"]
        body = b'{"TableName": "routes-new", "Key": {"h": {"S": "a"}}}'
        reply = await routes.forward((), "DynamoDB_20120810.GetItem", body)
        assert b'"a"' in reply.body

    run(tables, use)


def test_a_batch_is_split_by_engine_and_put_together(tables: str) -> None:
    """The client sees one batch, its capacity and what was found too."""

    async def use(routes: Routes, home: WireClient, there: WireClient) -> None:
        written = await routes.call("BatchWriteItem", {
            "RequestItems": {OLD: puts("b", "c"), NEW: puts("d")},
            "ReturnConsumedCapacity": "TOTAL",
        })  # fmt: skip
        assert written["UnprocessedItems"] == {}
        assert {each["TableName"] for each in written["ConsumedCapacity"]} == {OLD, NEW}
        read = await routes.call("BatchGetItem", {"RequestItems": {
            OLD: {"Keys": [item("b"), item("d")]}, NEW: {"Keys": [item("b"), item("d")]},
        }})  # fmt: skip
        assert read["Responses"] == {OLD: [item("b")], NEW: [item("d")]}

    run(tables, use)


@pytest.mark.parametrize(
    ("error", "at_home"),
    [(Unreachable("x"), True), (Refused("ValidationException", "x", 400, {}), True)],
)
def test_a_half_that_failed_after_the_other_comes_back_unprocessed(
    tables: str, error: Exception, at_home: bool
) -> None:
    """Nothing is said to be refused that was written in part: sent again alone, the half hears
    its own error."""

    async def use(routes: Routes, home: WireClient, there: WireClient) -> None:
        async def fail(operation: str, request: Any) -> dict[str, Any]:
            raise error

        there.call = fail  # type: ignore[method-assign]
        request = {"RequestItems": {OLD: puts("half"), NEW: puts("half")}}
        answer = await routes.call("BatchWriteItem", request)
        assert answer["UnprocessedItems"] == {NEW: puts("half")}
        with pytest.raises(type(error)):
            await routes.call("BatchWriteItem", {"RequestItems": answer["UnprocessedItems"]})

    run(tables, use)


def test_a_half_that_may_have_been_written_makes_the_whole_unknown(tables: str) -> None:
    """Unknown is never folded into unprocessed."""

    async def use(routes: Routes, home: WireClient, there: WireClient) -> None:
        async def lose(operation: str, request: Any) -> dict[str, Any]:
            raise OutcomeUnknown("x")

        there.call = lose  # type: ignore[method-assign]
        with pytest.raises(OutcomeUnknown):
            await routes.call("BatchWriteItem", {"RequestItems": {OLD: puts("e"), NEW: puts("e")}})

    run(tables, use)


def test_a_transaction_is_of_one_engine(tables: str) -> None:
    """Over both it is refused whole, as are statements; within one it is carried out."""

    def put(table: str) -> dict[str, Any]:
        return {"Put": {"TableName": table, "Item": item("t")}}

    async def use(routes: Routes, home: WireClient, there: WireClient) -> None:
        with pytest.raises(Refused, match="different accounts, Regions or endpoints"):
            await routes.call("TransactWriteItems", {"TransactItems": [put(OLD), put(NEW)]})
        for client, table in ((home, OLD), (there, NEW)):
            assert "Item" not in await client.call(
                "GetItem", {"TableName": table, "Key": item("t")}
            )
        for table in (OLD, NEW):
            await routes.call("TransactWriteItems", {"TransactItems": [put(table)]})
            text = f"SELECT * FROM \"{table}\" WHERE h = 't'"
            found = await routes.call("ExecuteStatement", {"Statement": text})
            assert found["Items"] == [item("t")]
        texts = [{"Statement": f"SELECT * FROM \"{name}\" WHERE h = 't'"} for name in (OLD, NEW)]
        with pytest.raises(Refused):
            await routes.call("BatchExecuteStatement", {"Statements": texts})

    run(tables, use)


def test_streams_are_read_where_their_table_is(tables: str) -> None:
    """A shard iterator is opaque, so it carries where it came from, page after page."""

    async def use(routes: Routes, home: WireClient, there: WireClient) -> None:
        await routes.call("PutItem", {"TableName": NEW, "Item": item("streamed")})
        described = await routes.call("DescribeTable", {"TableName": NEW})
        arn = described["Table"]["LatestStreamArn"]
        stream = await routes.call("DescribeStream", {"StreamArn": arn})
        shard = stream["StreamDescription"]["Shards"][0]["ShardId"]
        iterator = (await routes.call("GetShardIterator", {
            "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON",
        }))["ShardIterator"]  # fmt: skip
        keys: list[Any] = []
        for _ in range(2):
            page = await routes.call("GetRecords", {"ShardIterator": iterator})
            keys += [record["dynamodb"]["Keys"] for record in page["Records"]]
            iterator = page["NextShardIterator"]
        assert item("streamed") in keys

    run(tables, use)
