"""Which control-plane calls would harm a table under migration."""

from typing import Any

import pytest

from dualwrite.core.control_plane import harmed, no_such_table, refusal, refuse_hidden_table
from dualwrite.core.errors import ClientError
from dualwrite.core.naming import tables_named
from dualwrite.core.phases import Phase, Side
from tests.proxy_harness import a_migration

MIGRATION = a_migration("c-")
NOTES, STEPS = MIGRATION.by_name["notes"], MIGRATION.by_name["steps"]
MOVING = [phase for phase in Phase if phase is not Phase.DONE]
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def refused(
    operation: str, body: dict[str, Any], side: Side = Side.OLD, phase: Phase = Phase.MIRROR_OLD
) -> bool:
    return refusal(operation, body, NOTES, side, phase) is not None


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("DeleteTable", {}),
        ("UpdateTable", {"StreamSpecification": {"StreamEnabled": False}}),
        ("UpdateTable", {"StreamSpecification": {**STREAM, "StreamViewType": "KEYS_ONLY"}}),
        ("UpdateTable", {"KeySchema": []}),
        ("UpdateTable", {"MultiRegionConsistency": "STRONG"}),
        ("UpdateTable", {"ReplicaUpdates": [{"Delete": {"RegionName": "us-east-1"}}]}),
        ("UpdateGlobalTable", {"ReplicaUpdates": [{"Delete": {"RegionName": "us-east-1"}}]}),
        ("EnableKinesisStreamingDestination", {}),
    ],
)
def test_what_would_harm_is_refused_until_the_migration_is_done(
    operation: str, body: dict[str, Any]
) -> None:
    """From off on, for then the service already counts on both tables and their streams."""
    for side in Side:
        assert all(refused(operation, body, side, phase) for phase in MOVING)
        assert not refused(operation, body, side, Phase.DONE)


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("UpdateTable", {"BillingMode": "PAY_PER_REQUEST"}),
        ("UpdateTable", {"DeletionProtectionEnabled": True}),
        ("UpdateTable", {"TableClass": "STANDARD_INFREQUENT_ACCESS"}),
        ("UpdateTable", {"GlobalSecondaryIndexUpdates": [{"Create": {}}]}),
        ("UpdateTable", {"StreamSpecification": STREAM}),
        ("UpdateTable", {"ReplicaUpdates": [{"Create": {"RegionName": "eu-west-1"}}]}),
        ("UpdateTable", {"ReplicaUpdates": "wrong"}),
        ("UpdateTimeToLive", {"TimeToLiveSpecification": "wrong"}),
        ("DisableKinesisStreamingDestination", {}),
        ("UpdateContinuousBackups", {}),
        ("DescribeTable", {}),
    ],
)
def test_what_does_no_harm_passes(operation: str, body: dict[str, Any]) -> None:
    """Throughput, class, protection, indexes, backups; wrong shapes are the engine's to word."""
    assert not any(refused(operation, body, side, phase) for side in Side for phase in Phase)


@pytest.mark.parametrize("phase", Phase)
def test_only_the_leader_expires_items(phase: Phase) -> None:
    """TTL is switched on where the lead is, and off anywhere."""
    on = {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "until"}}
    off = {"TimeToLiveSpecification": {"Enabled": False, "AttributeName": "until"}}
    hidden = {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "dw_stamp"}}
    follower = phase.leader.other
    assert not refused("UpdateTimeToLive", on, phase.leader, phase)
    assert refused("UpdateTimeToLive", on, follower, phase) == (phase is not Phase.DONE)
    assert not refused("UpdateTimeToLive", off, follower, phase)
    assert refused("UpdateTimeToLive", hidden, phase.leader, phase)
    assert refusal("UpdateTimeToLive", on, STEPS, Side.OLD, phase) is None


def test_a_restore_harms_its_target_alone() -> None:
    """A table may be restored elsewhere; nothing is restored or imported onto it."""
    body = {"SourceTableName": NOTES.old.name, "TargetTableName": "elsewhere"}
    assert list(harmed("RestoreTableToPointInTime", body)) == ["elsewhere"]
    assert list(harmed("RestoreTableFromBackup", {"BackupArn": "arn:x:table/a/backup/b"})) == []
    assert list(harmed("DeleteTable", {"TableName": "a"})) == ["a"]
    for operation in ("RestoreTableToPointInTime", "RestoreTableFromBackup", "ImportTable"):
        assert refused(operation, {}, Side.NEW, Phase.DONE)


def test_a_refusal_names_call_table_and_reason() -> None:
    """Whoever reads it knows what to do about it."""
    error = refusal("DeleteTable", {}, NOTES, Side.NEW, Phase.OFF)
    assert error is not None
    assert error.message == (
        "dualwrite refuses DeleteTable on table c-notes-v2 while it is migrated: both designs and "
        "their streams are needed until the migration is done; nothing was changed"
    )


def test_the_services_own_table_does_not_exist_for_clients() -> None:
    """By name or ARN; only that its name is taken cannot be hidden, the engine itself says it."""
    name = MIGRATION.control_table
    arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/{name}/stream/x"
    for operation, body in (
        ("GetItem", {"TableName": name}),
        ("DescribeStream", {"StreamArn": arn}),
        ("BatchWriteItem", {"RequestItems": {"other": [], name: []}}),
    ):
        with pytest.raises(ClientError) as caught:
            refuse_hidden_table(operation, tables_named(operation, body), name)
        assert caught.value.code == "ResourceNotFoundException"
    refuse_hidden_table("CreateTable", [name], name)
    refuse_hidden_table("GetItem", [name + "2"], name)
    assert no_such_table("GetItem", name).message == "Requested resource not found"
    assert name in no_such_table("DescribeTable", name).message
