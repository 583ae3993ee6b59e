"""What an operation does not have means nothing, whatever it means in another one."""

from typing import Any

import pytest

from dualwrite.core.shapes import MEMBERS
from tests.contract.twins import Twin
from tests.proxy_harness import raw_outcome


def strange(twin: Twin, kind: str) -> dict[str, Any]:
    """Members that an operation, or a structure inside one, does not have."""
    members = {
        "AttributesToGet": ["v"],
        "ConditionExpression": "attribute_not_exists(list_id)",
        "Expected": {"list_id": {"Exists": False}},
        "ExpressionAttributeNames": {"#x": "y"},
        "ExpressionAttributeValues": {":x": {"S": "y"}},
        "FilterExpression": "attribute_not_exists(list_id)",
        "KeyConditionExpression": "list_id = :x",
        "Limit": "x",
        "ReturnValues": "ALL_NEW",
        "Select": "COUNT",
        "SourceTableName": twin.name("notes"),
        "Unheard": 1,
        "UpdateExpression": "SET v = v",
    }
    return {name: value for name, value in members.items() if name not in MEMBERS[kind]}


@pytest.mark.managed_only
def test_members_of_another_read(twin: Twin) -> None:
    """A read that has them shows what it shows without them."""
    name, key = twin.name("tasks"), twin.task_key()
    twin.both("put_item", TableName=name, Item=twin.task(v={"N": "1"}))

    def read(operation: str, kind: str, **own: Any) -> None:
        bodies = []
        for more in ({}, strange(twin, kind)):
            body = {**own, **more}
            if kind == "Get":
                body = {"TransactItems": [{"Get": body}]}
            if kind == "KeysAndAttributes":
                body = {"RequestItems": {name: body}}
            bodies.append({**body, **(strange(twin, operation) if more else {})})
        plain, heard = (raw_outcome(twin.rig.url, operation, body) for body in bodies)
        assert "error" not in plain
        assert heard == plain, operation

    read("GetItem", "GetItem", TableName=name, Key=key)
    read("BatchGetItem", "KeysAndAttributes", Keys=[key])
    read("TransactGetItems", "Get", TableName=name, Key=key)


@pytest.mark.managed_only
def test_members_of_another_write(twin: Twin) -> None:
    """A batch has no conditions and returns no values, a transaction returns none either: each of
    their writes is carried out."""
    name, key = twin.name("tasks"), twin.task_key()

    def write(operation: str, body: dict[str, Any]) -> dict[str, Any]:
        heard = raw_outcome(twin.rig.url, operation, {**body, **strange(twin, operation)})
        assert "error" not in heard, (operation, heard)
        found = twin.rig.proxied.get_item(TableName=name, Key=key, ConsistentRead=True)
        return found.get("Item", {})

    def batch(kind: str, **own: Any) -> dict[str, Any]:
        member = {kind: {**own, **strange(twin, kind)}, **strange(twin, "WriteRequest")}
        return write("BatchWriteItem", {"RequestItems": {name: [member]}})

    def action(verb: str, **own: Any) -> dict[str, Any]:
        member = {"TableName": name, **own, **strange(twin, verb)}
        return write("TransactWriteItems", {"TransactItems": [
            {verb: member, **strange(twin, "TransactWriteItem")}
        ]})  # fmt: skip

    twin.both("put_item", TableName=name, Item=twin.task())
    assert batch("PutRequest", Item=twin.task(v={"N": "1"}))["v"] == {"N": "1"}
    assert batch("DeleteRequest", Key=key) == {}
    assert action("Put", Item=twin.task(v={"N": "2"}))["v"] == {"N": "2"}
    assert action("Delete", Key=key) == {}
    assert write("PutItem", {"TableName": name, "Item": twin.task()}) != {}
