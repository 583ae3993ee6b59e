"""Every operation of DynamoDB's two APIs: what it does to the world, and where it names tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

API = "DynamoDB_20120810"
STREAMS_API = "DynamoDBStreams_20120810"
APIS = (API, STREAMS_API)
OF_STREAMS = frozenset({"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"})
TARGETS_MAX = 1024
"""Targets that are remembered; there are some 60."""


class Right(StrEnum):
    """What a caller may be allowed to do."""

    READ = "read"
    """Whatever changes nothing."""
    WRITE = "write"
    """Changes items."""
    CONTROL = "control"
    """Changes tables and what belongs to them."""


@dataclass(frozen=True, slots=True)
class Operation:
    """``fields``: members of the body that name a table, by its name or an ARN that holds it. Where
    none of them is given, the operation is about all tables."""

    right: Right
    fields: tuple[str, ...] = ()
    harmless: bool = False
    """It tells nothing about any table: every caller may ask it."""


def _of(right: Right, fields: tuple[str, ...], *names: str) -> dict[str, Operation]:
    return {name: Operation(right, fields) for name in names}


OPERATIONS: Mapping[str, Operation] = {
    **_of(
        Right.READ, ("TableName",),
        "GetItem", "Query", "Scan", "SearchVectors", "DescribeTable", "DescribeTimeToLive",
        "DescribeContinuousBackups", "DescribeContributorInsights",
        "DescribeKinesisStreamingDestination", "DescribeTableReplicaAutoScaling", "ListBackups",
        "ListContributorInsights", "ListStreams",
    ),
    **_of(Right.READ, ("GlobalTableName",), "DescribeGlobalTable", "DescribeGlobalTableSettings"),
    **_of(Right.READ, ("ResourceArn",), "ListTagsOfResource", "GetResourcePolicy"),
    **_of(Right.READ, ("StreamArn",), "DescribeStream", "GetShardIterator"),
    **_of(Right.READ, ("ShardIterator",), "GetRecords"),
    **_of(Right.READ, ("TableArn",), "ListExports", "ListImports"),
    **_of(Right.READ, ("BackupArn",), "DescribeBackup"),
    **_of(Right.READ, ("ExportArn",), "DescribeExport"),
    **_of(Right.READ, ("ImportArn",), "DescribeImport"),
    **_of(Right.READ, ("RequestItems",), "BatchGetItem"),
    **_of(Right.READ, ("TransactItems",), "TransactGetItems"),
    **_of(Right.READ, (), "ListTables", "ListGlobalTables"),
    "DescribeEndpoints": Operation(Right.READ, harmless=True),
    "DescribeLimits": Operation(Right.READ, harmless=True),
    **_of(Right.WRITE, ("TableName",), "PutItem", "UpdateItem", "DeleteItem"),
    **_of(Right.WRITE, ("RequestItems",), "BatchWriteItem"),
    **_of(Right.WRITE, ("TransactItems",), "TransactWriteItems"),
    **_of(Right.WRITE, ("Statement",), "ExecuteStatement"),
    **_of(Right.WRITE, ("Statements",), "BatchExecuteStatement"),
    **_of(Right.WRITE, ("TransactStatements",), "ExecuteTransaction"),
    **_of(
        Right.CONTROL, ("TableName",),
        "CreateBackup", "DeleteTable", "UpdateTable", "UpdateTimeToLive",
        "UpdateContinuousBackups", "UpdateContributorInsights", "UpdateTableReplicaAutoScaling",
    ),
    **_of(Right.CONTROL, ("TableName", "GlobalTableSourceArn"), "CreateTable"),
    **_of(
        Right.CONTROL, ("TableName", "StreamArn"),
        "EnableKinesisStreamingDestination", "DisableKinesisStreamingDestination",
        "UpdateKinesisStreamingDestination",
    ),
    **_of(
        Right.CONTROL, ("GlobalTableName",),
        "CreateGlobalTable", "UpdateGlobalTable", "UpdateGlobalTableSettings",
    ),
    **_of(
        Right.CONTROL, ("ResourceArn",),
        "TagResource", "UntagResource", "PutResourcePolicy", "DeleteResourcePolicy",
    ),
    **_of(Right.CONTROL, ("BackupArn",), "DeleteBackup"),
    **_of(Right.CONTROL, ("TargetTableName", "BackupArn"), "RestoreTableFromBackup"),
    **_of(
        Right.CONTROL, ("SourceTableArn", "SourceTableName", "TargetTableName"),
        "RestoreTableToPointInTime",
    ),
    **_of(Right.CONTROL, ("TableArn",), "ExportTableToPointInTime"),
    **_of(Right.CONTROL, ("TableCreationParameters",), "ImportTable"),
}  # fmt: skip
"""A statement is a read where it selects: its text decides."""


@lru_cache(TARGETS_MAX)
def operation_of(target: str) -> str | None:
    """The operation that an ``X-Amz-Target`` names, also one that is not known here; None where it
    names another API, one of the other API's operations, or anything beside a name: engines differ
    in what they make of that."""
    api, _, name = target.partition(".")
    if api not in APIS or not (name.isascii() and name.isalnum()):
        return None
    return name if (api == STREAMS_API) is (name in OF_STREAMS) else None


def operation_in(target: bytes) -> str | None:
    """The operation that an ``X-Amz-Target`` names; None for what neither API has."""
    name = operation_of(target.decode("latin-1"))
    return name if name in OPERATIONS else None
