"""PynamoDB and boto3's resource at the proxy: what they make of its answers, in both dialects."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError
from pynamodb.attributes import (
    JSONAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
    VersionAttribute,
)
from pynamodb.connection import Connection
from pynamodb.exceptions import PutError, TransactWriteError, UpdateError
from pynamodb.models import Model
from pynamodb.transactions import TransactGet, TransactWrite

from dualwrite.core.phases import Phase, Side
from tests.proxy_harness import Rig, a_rig

PHASES = [Phase.MIRROR_OLD, Phase.ATOMIC_OLD, Phase.ATOMIC_NEW, Phase.MIRROR_NEW]


@pytest.fixture(scope="module")
def shared(engine: str, boto: Any) -> Iterator[Rig]:
    with a_rig(engine, boto, "python-") as made:
        yield made


@pytest.fixture(params=PHASES, ids=lambda phase: phase.value)
def rig(shared: Rig, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """At the end of a test both sides hold the same."""
    shared.stand(request.param)
    yield shared
    assert shared.differences("tasks", request.param.leader) == []


@pytest.fixture(params=list(Side))
def words(rig: Rig, request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """The table of one dialect, and what its items must say beside their keys."""
    own = {"endpoint_id": "acme-prod"}
    if request.param is Side.NEW:
        own = {"endpoint_id": "aws-1", "part_id": "acme", "partition_key": "aws-1#acme"}
    return rig.tables["tasks"].side(request.param).name, own


def model(rig: Rig, table: str) -> Any:
    """A PynamoDB model of the table, as an application would write it."""

    class Task(Model):
        class Meta:
            table_name = table
            host = rig.url
            region = "us-east-1"
            aws_access_key_id = "test"
            aws_secret_access_key = "test"

        list_id = UnicodeAttribute(hash_key=True)
        task_id = UnicodeAttribute(range_key=True)
        endpoint_id = UnicodeAttribute(null=True)
        part_id = UnicodeAttribute(null=True)
        partition_key = UnicodeAttribute(null=True)
        hits = NumberAttribute(default=0)
        labels = UnicodeSetAttribute(null=True)
        steps: Any = ListAttribute(null=True)
        about: Any = MapAttribute(null=True)
        raw = JSONAttribute(null=True)
        at = UTCDateTimeAttribute(null=True)
        version = VersionAttribute()

    return Task


def test_pynamodb_saves_updates_and_deletes(
    rig: Rig, words: tuple[str, dict[str, str]], table_prefix: str
) -> None:
    """A model's life under its version attribute: every save is conditional, a stale one fails."""
    table, own = words
    Task = model(rig, table)  # noqa: N806 (a class)
    task = Task(table_prefix, "t1", labels={"a", "b"}, steps=["x", 1], raw={"k": [1]}, **own)
    task.about = {"deep": {"er": True}}
    task.save()
    stale = Task.get(table_prefix, "t1", consistent_read=True)
    assert stale.labels == {"a", "b"}
    assert stale.about.as_dict() == {"deep": {"er": True}}
    task.update(actions=[Task.hits.add(2), Task.steps.set(Task.steps.append(["y"]))])
    assert (task.hits, task.steps, task.version) == (2, ["x", 1, "y"], 2)
    with pytest.raises(PutError):
        stale.save()
    with pytest.raises(UpdateError):
        task.update(actions=[Task.labels.remove()], condition=Task.hits > 5)
    task.refresh(consistent_read=True)
    assert task.labels == {"a", "b"}
    task.delete()
    with pytest.raises(Task.DoesNotExist):
        Task.get(table_prefix, "t1", consistent_read=True)


def test_pynamodb_batches_pages_and_transactions(
    rig: Rig, words: tuple[str, dict[str, str]], table_prefix: str
) -> None:
    """Batches over their limits, queries over pages, counts, and both kinds of transaction."""
    table, own = words
    Task = model(rig, table)  # noqa: N806 (a class)
    with Task.batch_write() as batch:
        for n in range(30):
            batch.save(Task(table_prefix, f"t{n:02d}", hits=n, version=1, **own))
    found = list(Task.query(table_prefix, Task.task_id >= "t10", page_size=7))
    assert [each.hits for each in found] == list(range(10, 30))
    assert Task.count(table_prefix, filter_condition=Task.hits < 3) == 3
    keys = [(table_prefix, f"t{n:02d}") for n in range(30)]
    assert {each.hits for each in Task.batch_get(keys, consistent_read=True)} == set(range(30))
    connection = Connection(region="us-east-1", host=rig.url)
    connection.session.set_credentials("test", "test")
    with TransactWrite(connection=connection) as write:
        write.update(Task(table_prefix, "t00", version=1), actions=[Task.hits.add(100)])
        write.delete(Task(table_prefix, "t01", version=1))
    with TransactGet(connection=connection) as get:
        first, second = get.get(Task, table_prefix, "t00"), get.get(Task, table_prefix, "t02")
    assert (first.get().hits, second.get().hits) == (100, 2)
    write = TransactWrite(connection=connection)
    write.condition_check(Task, table_prefix, "t03", condition=Task.hits == 3)
    write.delete(Task(table_prefix, "t02", version=1), condition=Task.hits == 7)
    with pytest.raises(TransactWriteError) as refused:
        write.__exit__(None, None, None)
    told = [reason and reason.code for reason in refused.value.cancellation_reasons]
    assert told == [None, "ConditionalCheckFailed"]
    with Task.batch_write() as batch:
        for each in list(Task.query(table_prefix, consistent_read=True)):
            batch.delete(each)
    assert list(Task.query(table_prefix, consistent_read=True)) == []


def test_botos_resource_at_the_proxy(
    rig: Rig, words: tuple[str, dict[str, str]], table_prefix: str
) -> None:
    """Decimals, sets and binary, conditions built by boto3, its batch writer and its paginators."""
    name, own = words
    resource = boto3.resource(
        "dynamodb", endpoint_url=rig.url, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    table = resource.Table(name)
    item = {
        "list_id": table_prefix, "task_id": "a", **own, "price": Decimal("1.10"),
        "tags": {"x", "y"}, "sizes": {Decimal(1), Decimal("2.5")}, "none": None,
        "deep": {"list": [Decimal(0), True, {"z": "ä"}]},
    }  # fmt: skip
    table.put_item(Item=item)
    key = {"list_id": table_prefix, "task_id": "a"}
    assert table.get_item(Key=key, ConsistentRead=True)["Item"] == item
    with pytest.raises(ClientError) as refused:
        table.put_item(Item=item, ConditionExpression=Attr("price").lt(Decimal(1)))
    assert refused.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    with table.batch_writer(overwrite_by_pkeys=["list_id", "task_id"]) as batch:
        for n in range(60):
            batch.put_item(Item={**item, "task_id": f"b{n % 40:02d}", "n": n})
    found, start = [], {}
    while True:
        page = table.query(
            KeyConditionExpression=Key("list_id").eq(table_prefix) & Key("task_id").gt("b"),
            FilterExpression=Attr("n").between(20, 50) & Attr("tags").contains("x"),
            ProjectionExpression="n, deep.#l[2]", ExpressionAttributeNames={"#l": "list"},
            Limit=9, ConsistentRead=True, **start,
        )  # fmt: skip
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert [each["n"] for each in found] == [*range(40, 51), *range(20, 40)]
    assert found[0]["deep"] == {"list": [{"z": "ä"}]}
    pages = resource.meta.client.get_paginator("scan").paginate(
        TableName=name, FilterExpression=Attr("list_id").eq(table_prefix),
        PaginationConfig={"PageSize": 7},
    )  # fmt: skip
    assert sum(page["Count"] for page in pages) == 41
    updated = table.update_item(
        Key=key, UpdateExpression="SET price = price + :n REMOVE tags", ReturnValues="UPDATED_NEW",
        ExpressionAttributeValues={":n": Decimal("0.05")},
    )  # fmt: skip
    assert updated["Attributes"] == {"price": Decimal("1.15")}
    with table.batch_writer() as batch:
        for each in table.query(KeyConditionExpression=Key("list_id").eq(table_prefix))["Items"]:
            batch.delete_item(Key={"list_id": each["list_id"], "task_id": each["task_id"]})
