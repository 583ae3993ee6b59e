"""What a key may do."""

import json
from typing import Any

import botocore.session
import pytest

from dualwrite.core.access import REMEMBERED_MAX, Access
from dualwrite.core.errors import ClientError
from dualwrite.core.operations import APIS, OPERATIONS, Right, operation_in

READ, WRITE, CONTROL = Right.READ, Right.WRITE, Right.CONTROL
ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/"
TWINS = {"tasks": "tasks-v2", "tasks-v2": "tasks"}


def access(*patterns: str, rights: tuple[Right, ...] = tuple(Right)) -> Access:
    return Access(patterns, frozenset(rights), TWINS)


def allows(what: Access, operation: str, body: Any) -> bool:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        what.check(operation, raw, user="shop", region="eu-west-1")
    except ClientError as error:
        if (error.code, error.status) != ("AccessDeniedException", 400):
            raise
        return False
    return True


def test_every_operation_of_both_apis_is_known() -> None:
    """As botocore's own models have them; another API's operation is none."""
    session = botocore.session.get_session()
    known = {
        name
        for service in ("dynamodb", "dynamodbstreams")
        for name in session.get_service_model(service).operation_names
    }
    assert set(OPERATIONS) == known
    assert operation_in(f"{APIS[0]}.PutItem".encode()) == "PutItem"
    assert operation_in(f"{APIS[1]}.GetRecords".encode()) == "GetRecords"
    for target in (b"", b"PutItem", b"DynamoDB_20111205.PutItem", b"DynamoDB_20120810.putitem",
                   b"DynamoDB_20120810.PutItem,DynamoDB_20120810.GetItem",
                   b"DynamoDB_20120810.PutItem.", b"DynamoDB_20120810.x.PutItem",
                   b"DynamoDBStreams_20120810.PutItem",
                   b"DynamoDB_20120810.GetRecords"):  # fmt: skip
        assert operation_in(target) is None


def test_every_member_that_names_a_table_is_looked_at() -> None:
    """Whatever botocore's models call a table, a stream, a backup, an export or an import."""
    session = botocore.session.get_session()
    ends = ("TableName", "TableArn", "StreamArn", "BackupArn", "ExportArn", "ImportArn",
            "ResourceArn", "SourceArn", "ShardIterator", "RequestItems", "TransactItems",
            "Statement", "Statements", "TransactStatements", "TableCreationParameters")  # fmt: skip
    for service in ("dynamodb", "dynamodbstreams"):
        model = session.get_service_model(service)
        for name in model.operation_names:
            shape = model.operation_model(name).input_shape
            naming = {
                member
                for member in (shape.members if shape else {})
                if member.endswith(ends) and not member.startswith("ExclusiveStart")
            }
            assert naming == set(OPERATIONS[name].fields), name


@pytest.mark.parametrize(
    ("patterns", "table", "allowed"),
    [
        (("orders",), "orders", True),
        (("orders",), "orders-v2", False),
        (("orders",), "Orders", False),
        (("orders-*",), "orders-2026", True),
        (("orders-*",), "orders", False),
        (("order?",), "orders", True),
        (("a.b",), "axb", False),
        (("orders", "users"), "users", True),
        (("[a-z]*",), "orders", False),
        ((), "orders", False),
        (("orders",), ARN + "orders", True),
        (("orders",), ARN + "orders/index/by-owner", True),
        (("orders",), ARN + "other/index/orders", False),
        ((ARN + "orders",), "orders", True),
        ((ARN + "orders",), ARN + "orders", True),
        ((ARN + "orders",), ARN + "orders/index/by-owner", True),
        ((ARN + "orders",), ARN.replace("1111", "9999") + "orders", False),
        ((ARN + "*",), "orders", True),
        (("arn:aws:dynamodb:*:111122223333:table/orders",), ARN + "orders", True),
        (("orders",), "arn:aws:s3:::orders", False),
        (("orders",), "arn:aws:s3:::x/table/y", False),
        (("tasks",), "tasks-v2", True),
        (("tasks-v2",), "tasks", True),
        (("tasks-v2",), "tasks-v3", False),
    ],
)
def test_tables_by_name_pattern_and_arn(
    patterns: tuple[str, ...], table: str, allowed: bool
) -> None:
    """A managed table is one, whichever of its two names is used."""
    assert allows(access(*patterns), "GetItem", {"TableName": table, "Key": {}}) is allowed


STREAM = ARN + "orders/stream/2026-01-01T00:00:00.000"
TOUCHING: list[tuple[str, Any]] = [
    ("BatchGetItem", {"RequestItems": {"orders": {"Keys": []}}}),
    ("BatchWriteItem", {"RequestItems": {ARN + "orders": []}}),
    ("TransactGetItems", {"TransactItems": [{"Get": {"TableName": "orders"}}]}),
    ("TransactWriteItems", {"TransactItems": [
        {"Put": {"TableName": "orders"}}, {"ConditionCheck": {"TableName": "orders"}}]}),
    ("ExecuteStatement", {"Statement": 'SELECT * FROM "orders"'}),
    ("BatchExecuteStatement", {"Statements": [{"Statement": 'DELETE FROM "orders" WHERE a=1'}]}),
    ("ExecuteTransaction", {"TransactStatements": [{"Statement": 'UPDATE "orders" SET a=1'}]}),
    ("DescribeStream", {"StreamArn": STREAM}),
    ("GetShardIterator", {"StreamArn": STREAM, "ShardId": "s"}),
    ("GetRecords", {"ShardIterator": STREAM + "|1|AAAA"}),
    ("GetRecords", {"ShardIterator": f"000|{STREAM}|AAAA"}),
    ("ListStreams", {"TableName": "orders"}),
    ("TagResource", {"ResourceArn": ARN + "orders", "Tags": []}),
    ("DescribeBackup", {"BackupArn": ARN + "orders/backup/01"}),
    ("DescribeExport", {"ExportArn": ARN + "orders/export/01"}),
    ("CreateTable", {"TableName": "orders", "GlobalTableSourceArn": ARN + "orders"}),
    ("ImportTable", {"TableCreationParameters": {"TableName": "orders"}}),
    ("RestoreTableToPointInTime", {"SourceTableName": "orders", "TargetTableName": "orders"}),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "body"), TOUCHING)
def test_every_way_to_name_a_table(operation: str, body: Any) -> None:
    """The listed table may be used, another one not, and not one beside it either."""
    assert allows(access("orders"), operation, body)
    assert not allows(access("other"), operation, body)
    assert allows(access("*"), operation, body)
    text = json.dumps(body)
    assert not allows(access("orders"), operation, text.replace("orders", "other").encode())


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("BatchGetItem", {"RequestItems": {"orders": {}, "other": {}}}),
        ("TransactWriteItems", {"TransactItems": [
            {"Put": {"TableName": "orders"}}, {"Delete": {"TableName": "other"}}]}),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"Item": {}}}]}),
        ("BatchExecuteStatement", {"Statements": [
            {"Statement": 'SELECT * FROM "orders"'}, {"Statement": 'SELECT * FROM "other"'}]}),
        ("ExecuteStatement", {"Statement": "SELECT 1"}),
        ("ExecuteStatement", {"Statement": 5}),
        ("ExecuteStatement", {}),
        ("RestoreTableFromBackup", {"BackupArn": ARN + "orders/backup/1", "TargetTableName": "x"}),
        ("GetRecords", {"ShardIterator": "AAAAopaque"}),
        ("GetItem", {"Key": {}}),
        ("GetItem", {"TableName": 5}),
        ("ListStreams", {}),
        ("ListTables", {}),
        ("ListTables", {"TableName": "orders"}),
        ("BatchGetItem", {"RequestItems": {}}),
    ],
)  # fmt: skip
def test_one_table_too_many_or_none_at_all(operation: str, body: Any) -> None:
    """What touches anything else, or cannot be told, needs all tables."""
    assert not allows(access("orders"), operation, body)
    assert allows(access("*"), operation, body)


def test_some_operations_tell_nothing() -> None:
    """An SDK may always ask where to go and what the limits are."""
    for operation in ("DescribeEndpoints", "DescribeLimits"):
        assert allows(access(rights=()), operation, {})


@pytest.mark.parametrize(
    ("operation", "body", "needed"),
    [
        ("GetItem", {"TableName": "orders"}, READ),
        ("DescribeTable", {"TableName": "orders"}, READ),
        ("GetRecords", {"ShardIterator": STREAM}, READ),
        ("ListTables", {}, READ),
        ("PutItem", {"TableName": "orders"}, WRITE),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "orders"}}]}, WRITE),
        ("ExecuteStatement", {"Statement": 'SELECT * FROM "orders"'}, READ),
        ("ExecuteStatement", {"Statement": 'INSERT INTO "orders" VALUE {}'}, WRITE),
        ("DeleteTable", {"TableName": "orders"}, CONTROL),
        ("UpdateTimeToLive", {"TableName": "orders"}, CONTROL),
        ("TagResource", {"ResourceArn": ARN + "orders"}, CONTROL),
    ],
)
def test_rights(operation: str, body: Any, needed: Right) -> None:
    """Reading, writing and control are allowed apart, also where all tables are."""
    for right in Right:
        assert allows(access("*", rights=(right,)), operation, body) is (right is needed)


@pytest.mark.parametrize(
    "body",
    [
        b'{"TableName":"other","TableName":"orders"}',
        b'{"TableName":"orders","\\u0054ableName":"other"}',
        b'{"TableName":"orders","Table\\u004eame":"other"}',
    ],
)
def test_a_member_given_twice_is_refused(body: bytes) -> None:
    """We might go by one of the two and the engine by the other."""
    for operation, raw in (
        ("GetItem", body),
        ("TransactWriteItems", b'{"TransactItems":[{"Put":' + body + b"}]}"),
    ):
        with pytest.raises(ClientError) as caught:
            access("orders").check(operation, raw, user="shop", region="r")
        assert caught.value.code == "SerializationException"


def test_a_member_of_an_item_may_be_called_anything() -> None:
    """What looks like a doubled member of the request is looked at closely, not refused."""
    body = {"TableName": "orders", "Item": {"TableName": {"S": "\x00"}, "k": {"S": '"TableName"'}}}
    assert allows(access("orders"), "PutItem", body)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b"nul", b'{"TableName":"\xff"}', '{"TableName":"a"}'.encode("utf-16")]
)
def test_what_is_no_json_object(raw: bytes) -> None:
    """DynamoDB's own type, and nothing is let through unread."""
    with pytest.raises(ClientError) as caught:
        access("orders").check("GetItem", raw, user="shop", region="r")
    assert caught.value.code == "SerializationException"


@pytest.mark.parametrize(
    ("operation", "body", "permission", "resource"),
    [
        ("PutItem", {"TableName": "other"}, "PutItem", "table/other"),
        ("ListTables", {}, "ListTables", "table/*"),
        ("TransactWriteItems", {"TransactItems": [{"ConditionCheck": {"TableName": "b"}}]},
         "ConditionCheckItem", "table/b"),
        ("ExecuteStatement", {"Statement": 'SELECT * FROM "b"'}, "PartiQLSelect", "table/b"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_lacks(
    operation: str, body: Any, permission: str, resource: str
) -> None:
    """In IAM's words, with the key's name for the user."""
    with pytest.raises(ClientError) as caught:
        access("orders").check(operation, json.dumps(body).encode(), user="shop", region="r-1")
    assert caught.value.message == (
        "User: arn:aws:iam::000000000000:user/shop is not authorized to perform: "
        f"dynamodb:{permission} on resource: arn:aws:dynamodb:r-1:000000000000:{resource} because "
        f"no identity-based policy allows the dynamodb:{permission} action"
    )


def test_everything_costs_nothing() -> None:
    """A key that may do all is known as one; its bodies are never read."""
    assert access("*").everything
    assert not access("*", rights=(READ, WRITE)).everything
    assert not access("orders").everything
    assert allows(access("*", rights=(READ,)), "GetItem", b"not even JSON")


def test_what_is_remembered_of_names_is_bounded() -> None:
    """A client may name as many tables as it likes."""
    what = access("orders")
    for number in range(REMEMBERED_MAX + 10):
        assert not allows(what, "GetItem", {"TableName": f"t{number}"})
    assert len(what._remembered) <= REMEMBERED_MAX
    assert allows(what, "GetItem", {"TableName": "orders"})
