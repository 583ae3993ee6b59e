"""Global indexes, those whose keys have several attributes and hold only a part, are read as on a
plain table."""

from typing import Any

import pytest

from dualwrite.core.phases import Phase, Side
from tests.contract.twins import FREE, PLAIN, Twin
from tests.engines_chosen import EngineName
from tests.proxy_harness import Rig

INDEX = "by-place"
KEYS = {"city": "HASH", "street": "HASH", "house": "RANGE", "flat": "RANGE"}
KINDS = {"house": "N"}


@pytest.fixture(scope="module", autouse=True)
def indexed(rig: Rig) -> None:
    """The index on both designs' tasks, as an application could have made it."""
    if rig.engine_name is EngineName.DYNAMODB_LOCAL:
        for side in (rig.tables["tasks"].old, rig.tables["tasks"].new):
            for name in (side.name, PLAIN + side.name, FREE + side.name):
                _make_again_with_index(rig.engine, name)


def _make_again_with_index(engine: Any, name: str) -> None:
    """Not by UpdateTable: DynamoDB Local answers any call with 500 while it makes an index."""
    made = engine.describe_table(TableName=name)["Table"]
    engine.delete_table(TableName=name)
    engine.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=made["KeySchema"],
        AttributeDefinitions=[
            *made["AttributeDefinitions"],
            *({"AttributeName": key, "AttributeType": KINDS.get(key, "S")} for key in KEYS),
        ],
        LocalSecondaryIndexes=[
            {part: index[part] for part in ("IndexName", "KeySchema", "Projection")}
            for index in made["LocalSecondaryIndexes"]
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": INDEX,
                "KeySchema": [{"AttributeName": k, "KeyType": kind} for k, kind in KEYS.items()],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]},
            }
        ],
        StreamSpecification=made["StreamSpecification"],
    )


def placed(number: int, **more: Any) -> dict[str, Any]:
    return {"city": {"S": "Graz"}, "street": {"S": "Ring"}, "house": {"N": str(number)},
            "flat": {"S": "a"}, "v": {"N": "1"}, "w": {"N": "2"}, **more}  # fmt: skip


def test_an_index_of_several_attributes(twin: Twin) -> None:
    """Key conditions, filters, pages, sparse keys and wrong types, errors included."""
    if twin.rig.engine_name is not EngineName.DYNAMODB_LOCAL:
        pytest.skip("only DynamoDB Local has keys of several attributes")
    name = twin.name("tasks")
    for number in (1, 2, 3):
        twin.both("put_item", TableName=name, Item=twin.task(number, **placed(number)))
    sparse = placed(4)
    del sparse["flat"]
    twin.both("put_item", TableName=name, Item=twin.task(4, **sparse))
    for wrong in ({"house": {"S": "x"}}, {"city": {"S": ""}}):
        item = twin.task(5, **placed(5, **wrong))
        assert "error" in twin.both("put_item", TableName=name, Item=item)
    if twin.phase is Phase.DONE and twin.managed and twin.name("tasks") != _live(twin):
        return  # the old design's own index is served no more
    both = "city = :c AND street = :s"
    values = {":c": {"S": "Graz"}, ":s": {"S": "Ring"}}
    asked: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (both, {}, {}),
        (both + " AND #n > :n", {":n": {"N": "1"}}, {}),
        (both + " AND #n = :n AND flat = :f", {":n": {"N": "2"}, ":f": {"S": "a"}}, {}),
        (both + " AND flat = :f", {":f": {"S": "a"}}, {}),
        ("city = :c", {}, {}),
        (both, {":one": {"N": "1"}}, {"FilterExpression": "v = :one"}),
        (both, {":one": {"N": "1"}}, {"FilterExpression": "flat = :one"}),
        (both, {}, {"ProjectionExpression": "w"}),
        (both, {}, {"ConsistentRead": True}),
        (both, {}, {"Select": "ALL_ATTRIBUTES"}),
    ]
    for text, further, more in asked:
        used = {key: value for key, value in (values | further).items()
                if key in text + more.get("FilterExpression", "")}  # fmt: skip
        names = {"ExpressionAttributeNames": {"#n": "house"}} if "#n" in text else {}
        twin.both("query", TableName=name, IndexName=INDEX, KeyConditionExpression=text,
                  ExpressionAttributeValues=used, **names, **more)  # fmt: skip
    page = twin.both("query", TableName=name, IndexName=INDEX, KeyConditionExpression=both,
                     ExpressionAttributeValues=values, Limit=2)  # fmt: skip
    last = page["LastEvaluatedKey"]
    twin.both("query", TableName=name, IndexName=INDEX, KeyConditionExpression=both,
              ExpressionAttributeValues=values, ExclusiveStartKey=last)  # fmt: skip


def test_a_local_index_that_each_design_orders_in_its_own_way(twin: Twin) -> None:
    """Conditions, order and sparse rows are those of the client's own design, whoever leads."""
    name = twin.name("tasks")
    if twin.phase is Phase.DONE and twin.managed and name != _live(twin):
        return  # the old design's own index is served no more
    for number in range(4):
        times = {"created": {"S": f"2026-0{number + 1}"}, "changed": {"S": f"2026-0{9 - number}"}}
        twin.both("put_item", TableName=name, Item=twin.task(number, **times))
    twin.both("put_item", TableName=name, Item=twin.task(8))
    order = "created" if twin.dialect is Side.OLD else "changed"
    values = {":l": {"S": twin.run}}
    for text, further, more in (
        ("list_id = :l", {}, {}),
        ("list_id = :l", {}, {"ScanIndexForward": False, "Limit": 2}),
        (f"list_id = :l AND {order} > :t", {":t": {"S": "2026-02"}}, {}),
        (f"list_id = :l AND {order} < :t", {":t": {"S": "2026-08"}}, {"ConsistentRead": True}),
    ):
        twin.both("query", TableName=name, IndexName="time-index", KeyConditionExpression=text,
                  ExpressionAttributeValues=values | further, **more)  # fmt: skip


def _live(twin: Twin) -> str:
    return twin.rig.tables["tasks"].side(twin.phase.leader).name
