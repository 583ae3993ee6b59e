"""Which tables a request names."""

from typing import Any

import pytest

from dualwrite.core.errors import ValidationError
from dualwrite.core.naming import short_name, statements_of, tables_named

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/orders"


@pytest.mark.parametrize(
    ("operation", "body", "wanted"),
    [
        ("PutItem", {"TableName": "a"}, ["a"]),
        ("Query", {"TableName": ARN}, ["orders"]),
        ("BatchGetItem", {"RequestItems": {"a": {}, ARN: {}}}, ["a", "orders"]),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "a"}},
                                                  {"Delete": {"TableName": "b"}}]}, ["a", "b"]),
        ("TransactGetItems", {"TransactItems": "wrong"}, []),
        ("DeleteTable", {"TableName": "a"}, ["a"]),
        ("TagResource", {"ResourceArn": ARN}, ["orders"]),
        ("DeleteBackup", {"BackupArn": f"{ARN}/backup/0123-abc"}, ["orders"]),
        ("DescribeStream", {"StreamArn": f"{ARN}/stream/2026-01-01T00:00:00.000"}, ["orders"]),
        ("DescribeGlobalTable", {"GlobalTableName": "a"}, ["a"]),
        ("ImportTable", {"TableCreationParameters": {"TableName": "a"}}, ["a"]),
        ("RestoreTableToPointInTime", {"SourceTableArn": ARN, "TargetTableName": "b"},
         ["orders", "b"]),
        ("ListTables", {"ExclusiveStartTableName": "a"}, []),
        ("AnOperationOfTomorrow", {"TableName": "a"}, ["a"]),
    ],
)  # fmt: skip
def test_every_table_that_a_request_names_is_found(
    operation: str, body: dict[str, Any], wanted: list[str]
) -> None:
    """A table can be named by name or ARN, in any member of a batch, in every operation."""
    assert list(tables_named(operation, body)) == wanted


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("orders", "orders"),
        (ARN, "orders"),
        (f"{ARN}/index/by-owner", "orders"),
        ("arn:aws:dynamodb::123456789012:global-table/orders", "orders"),
        ("arn:aws:dynamodb:us-east-1:123456789012:table/table", "table"),
        ("arn:aws:kinesis:us-east-1:123456789012:stream/s", "arn:aws:kinesis:us-east-1:"
         "123456789012:stream/s"),
    ],
)  # fmt: skip
def test_an_arn_names_the_table_it_belongs_to(text: str, name: str) -> None:
    """The ARN of a table, its index, its backup or its stream; another service's names none."""
    assert short_name(text) == name


def test_a_name_that_is_no_text_is_refused() -> None:
    """Wrong types end in a ValidationException, not in an error of ours."""
    with pytest.raises(ValidationError):
        short_name(7)


def test_the_statements_of_a_request_are_found_whatever_its_shape() -> None:
    """One, a batch, a transaction; wrong shapes hold none."""
    assert list(statements_of({"Statement": "a"})) == ["a"]
    assert list(statements_of({"Statements": [{"Statement": "a"}, 7]})) == ["a"]
    assert list(statements_of({"TransactStatements": [{"Statement": "a"}]})) == ["a"]
    assert list(statements_of({"Statements": "wrong"})) == []


def test_an_item_operation_names_its_table_alone() -> None:
    """Members of other operations mean nothing in it."""
    body = {"TableName": "t", "StreamArn": "arn:aws:dynamodb:us-east-1:0:table/u/stream/x"}
    assert list(tables_named("GetItem", body)) == ["t"]
    assert list(tables_named("GetItem", {"SourceTableName": "u"})) == []
