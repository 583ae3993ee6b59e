"""A stream of a managed table, read through the proxy, is the stream of a plain table."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from dualwrite.core.items import HIDDEN
from dualwrite.core.phases import Phase, Side
from dualwrite.core.stamps import FLOOR
from tests.contract.twins import FREE, PLAIN, Twin, ordered
from tests.engines_chosen import EngineName
from tests.proxy_harness import Rig, outcome

PAGES_MAX = 50


def streams_client(url: str, like: Any) -> Any:
    """A client of the streams API under the same access key as ``like``."""
    found = like._request_signer._credentials
    return boto3.client(
        "dynamodbstreams", endpoint_url=url, region_name="us-east-1",
        aws_access_key_id=found.access_key, aws_secret_access_key=found.secret_key,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )  # fmt: skip


def of_the_rig(rig: Rig) -> tuple[Any, Any]:
    """Streams clients at the proxy and at the engine."""
    return (
        streams_client(rig.url, rig.proxied),
        streams_client(rig.engine.meta.endpoint_url, rig.engine),
    )


def records_of(client: Any, dynamo: Any, table: str, run: str) -> list[dict[str, Any]]:
    """All records of one test's items, from the oldest on."""
    arn = dynamo.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    found: list[dict[str, Any]] = []
    for shard in client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = client.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found += _read(client, iterator)
    return [record for record in found if run in str(record["dynamodb"]["Keys"])]


def _read(client: Any, iterator: str) -> Iterator[dict[str, Any]]:
    """A shard up to a page after which nothing new came."""
    quiet = 0
    for _ in range(PAGES_MAX):
        page = client.get_records(ShardIterator=iterator)
        yield from page["Records"]
        quiet = 0 if page["Records"] else quiet + 1
        iterator = page.get("NextShardIterator")
        if iterator is None or quiet > 2:
            return


def told(records: list[dict[str, Any]]) -> list[Any]:
    """What a consumer of a stream acts upon."""
    return [
        ordered([record["eventName"], record["eventSource"], record["dynamodb"]["StreamViewType"],
                 record["dynamodb"]["Keys"], record["dynamodb"].get("OldImage"),
                 record["dynamodb"].get("NewImage")])
        for record in records
    ]  # fmt: skip


def write_all_sorts(twin: Twin, table: str, item: dict[str, Any], key: dict[str, Any]) -> None:
    """What makes a record, and what makes none."""
    name = twin.name(table)
    for value in ("1", "1", "2"):
        twin.both("put_item", TableName=name, Item={**item, "v": {"N": value}})
    for value in ("2", "3"):
        twin.both("update_item", TableName=name, Key=key, UpdateExpression="SET v = :v",
                  ExpressionAttributeValues={":v": {"N": value}})  # fmt: skip
    twin.both("update_item", TableName=name, Key=key, UpdateExpression="REMOVE missing")
    for _ in range(2):
        twin.both("delete_item", TableName=name, Key=key)
    twin.both("batch_write_item", RequestItems={name: [{"PutRequest": {"Item": item}}]})
    twin.both("transact_write_items", TransactItems=[{"Delete": {"TableName": name, "Key": key}}])


@pytest.mark.parametrize("table", ["notes", "tasks"])
def test_a_stream_shows_what_a_plain_tables_would(twin: Twin, table: str) -> None:
    """The client's own images in that table's dialect, nothing hidden, and no record where a plain
    table would have made none, though the service changed a stamp."""
    if twin.rig.engine_name is EngineName.DYNOXIDE:
        pytest.skip("writes a record for a change of nothing, and its shard ids are too short")
    if twin.phase is Phase.DONE and twin.managed and twin.dialect is Side.OLD:
        pytest.skip("when the migration is done, the old table is no longer written")
    item, key = (
        (twin.note(), twin.note_key()) if table == "notes" else (twin.task(), twin.task_key())
    )
    write_all_sorts(twin, table, item, key)
    proxied, engine = of_the_rig(twin.rig)
    name = twin.name(table)
    mine = records_of(proxied, twin.rig.proxied, name, twin.run)
    plain = records_of(engine, twin.rig.engine, PLAIN + name.removeprefix(FREE), twin.run)
    assert told(mine) == told(plain)
    if twin.rig.reference:
        for one, other in zip(mine, plain, strict=True):
            assert one["dynamodb"]["SizeBytes"] == other["dynamodb"]["SizeBytes"]


@pytest.mark.managed_only
def test_only_hidden_changes_and_copies_under_the_floor_make_no_record(twin: Twin) -> None:
    """What the service alone caused is none of the client's: a map added, a copy of history."""
    if twin.rig.engine_name is EngineName.DYNOXIDE:
        pytest.skip("its shard ids are shorter than an SDK takes")
    name, item = twin.name("notes"), twin.note()
    stored = {**item, "dw_other": {"M": {}}, "dw_stamp": {"S": FLOOR}}
    twin.rig.engine.put_item(TableName=name, Item=stored)
    twin.rig.engine.update_item(
        TableName=name, Key=twin.note_key(), UpdateExpression="SET dw_other = :o",
        ExpressionAttributeValues={":o": {"M": {"x": {"S": "y"}}}},
    )  # fmt: skip
    twin.rig.engine.put_item(TableName=name, Item={**stored, "v": {"N": "1"}})
    twin.rig.engine.delete_item(TableName=name, Key=twin.note_key())
    proxied, engine = of_the_rig(twin.rig)
    shown = records_of(proxied, twin.rig.proxied, name, twin.run)
    assert [record["eventName"] for record in shown] == ["MODIFY", "REMOVE"]
    assert len(records_of(engine, twin.rig.engine, name, twin.run)) == 4
    for record in shown:
        for image in ("OldImage", "NewImage"):
            assert not HIDDEN & record["dynamodb"].get(image, {}).keys()


def test_an_iterator_is_understood_by_every_proxy_and_by_none_else(rig: Rig) -> None:
    """It carries all that a reader needs: two proxies may serve one shard by turns. One that came
    from the engine passes, and what is no iterator is refused as the engine refuses it."""
    if rig.engine_name is EngineName.DYNOXIDE:
        pytest.skip("its shard ids are shorter than an SDK takes")
    rig.stand(Phase.MIRROR_OLD)
    name = rig.tables["notes"].old.name
    for number in range(3):
        rig.proxied.put_item(
            TableName=name,
            Item={"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": f"turn-{number}"}},
        )
    here, engine = of_the_rig(rig)
    there = streams_client(rig.beside.meta.endpoint_url, rig.proxied)
    arn = rig.proxied.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    shard = here.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    where = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    page = {"NextShardIterator": here.get_shard_iterator(**where)["ShardIterator"]}
    seen = []
    for client in (there, here, there):
        page = client.get_records(ShardIterator=page["NextShardIterator"], Limit=1)
        seen += page["Records"]
    assert len({record["dynamodb"]["SequenceNumber"] for record in seen}) == len(seen) > 0
    assert not any(hidden in str(seen) for hidden in HIDDEN)
    theirs = engine.get_shard_iterator(**where)["ShardIterator"]
    assert here.get_records(ShardIterator=theirs)["Records"]
    for wrong in ("nonsense", f"dw|{name}|nonsense", "dw|"):
        heard = outcome(here, "get_records", ShardIterator=wrong)
        assert heard["error"] == outcome(engine, "get_records", ShardIterator="nonsense")["error"]


@pytest.mark.managed_only
@pytest.mark.parametrize("shard_type", ["AFTER_SEQUENCE_NUMBER", "AT_SEQUENCE_NUMBER"])
def test_sequence_numbers_are_the_engines_own(rig: Rig, shard_type: str) -> None:
    """A position that was saved through the proxy holds there and at the engine."""
    if rig.engine_name is EngineName.DYNOXIDE:
        pytest.skip("its shard ids are shorter than an SDK takes")
    rig.stand(Phase.ATOMIC_OLD)
    name, run = rig.tables["notes"].old.name, f"sequence-{shard_type}"
    for number in range(3):
        rig.proxied.put_item(
            TableName=name,
            Item={"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": f"{run}-{number}"}},
        )
    found = {}
    for client in of_the_rig(rig):
        arn = rig.engine.describe_table(TableName=name)["Table"]["LatestStreamArn"]
        shard = client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]
        first = records_of(client, rig.engine, name, run)[0]["dynamodb"]["SequenceNumber"]
        iterator = client.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType=shard_type,
            SequenceNumber=first,
        )["ShardIterator"]  # fmt: skip
        found[client] = [
            record["dynamodb"]["SequenceNumber"]
            for record in _read(client, iterator) if run in str(record)
        ]  # fmt: skip
    mine, plain = found.values()
    assert mine == plain
    assert len(mine) == (2 if shard_type.startswith("AFTER") else 3)
