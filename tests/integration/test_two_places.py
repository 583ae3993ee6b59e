"""A migration whose sides are in two Regions: mirror mode from end to end, and no further."""

import urllib.request
from typing import Any

import boto3
import pytest

from tests.process_harness import Installation, client, until

FAR = "eu-west-1"
PATIENT = ("--lease-seconds", "20")
"""Nothing here is about leases, and the machine may be busy."""
KEY = {"coordination_uuid": {"S": "c-1"}}


def row(task: str) -> dict[str, Any]:
    return {**KEY, "task_uuid": {"S": task}, "endpoint_id": {"S": "acme-corp-prod"}}


def test_mirror_mode_works_across_regions(
    installation: Installation, engine: str, boto: Any, table_prefix: str
) -> None:
    """Tables are made, written, copied, compared and read where their side is; the gate to atomic
    is closed with its reason."""
    spec = installation.spec.read_text()
    head = f'[migration.new]\nregion = "{FAR}"\n\n[mappings'
    installation.spec.write_text(spec.replace("[mappings", head, 1))
    far = boto3.client(
        "dynamodb", endpoint_url=engine, region_name=FAR,
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    installation.json("check", "--apply")
    old, new = f"{table_prefix}ace-tasks", f"{table_prefix}ace-tasks-v2"
    assert new in far.list_tables()["TableNames"]
    assert new not in boto.list_tables()["TableNames"]
    boto.put_item(TableName=old, Item=row("past"))

    installation.ready("control", *PATIENT)
    installation.ready("consume", *PATIENT)
    _, said = installation.ready("proxy", *PATIENT)
    proxied = client(said["port"])
    installation.json("advance", "mirror/old", "--reason", "test", "--table", "tasks")
    proxied.put_item(TableName=old, Item=row("mirrored"))
    proxied.batch_write_item(RequestItems={old: [{"PutRequest": {"Item": row("batched")}}]})
    proxied.transact_write_items(
        TransactItems=[{"Put": {"TableName": old, "Item": row("transacted")}}]
    )
    installation.json("backfill", "start", "--table", "tasks")

    def there() -> set[str]:
        return {item["task_uuid"]["S"] for item in far.scan(TableName=new)["Items"]}

    until(lambda: there() == {"past", "mirrored", "batched", "transacted"})
    boto.delete_item(TableName=old, Key={**KEY, "task_uuid": {"S": "batched"}})
    until(lambda: "batched" not in there())
    installation.json("verify", "--table", "tasks")

    refused = installation.json(
        "advance", "atomic/old", "--reason", "test", "--table", "tasks", exit_code=3
    )
    [gate] = [gate for gate in refused["gates"] if gate["gate"] == "sides_together"]
    assert "different accounts, Regions or endpoints" in gate["reason"]

    installation.json("reads", "100", "--reason", "test", "--table", "tasks")
    wanted = {"TableName": old, "Key": {**KEY, "task_uuid": {"S": "past"}}}
    assert proxied.get_item(**wanted)["Item"]["endpoint_id"] == {"S": "acme-corp-prod"}
    keys = {"RequestItems": {old: {"Keys": [wanted["Key"]]}}}
    assert len(proxied.batch_get_item(**keys)["Responses"][old]) == 1
    with urllib.request.urlopen(f"http://127.0.0.1:{said['metrics_port']}/metrics") as reply:
        assert b'dualwrite_reads_total{side="new",table="tasks"} 2.0' in reply.read()


def test_the_environment_places_a_side_too(
    installation: Installation, engine: str, table_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wins over the spec, and says nothing of the other side."""
    monkeypatch.setenv("DUALWRITE_NEW_REGION", FAR)
    installation.json("check", "--apply")
    far = boto3.client(
        "dynamodb", endpoint_url=engine, region_name=FAR,
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    assert f"{table_prefix}ace-tasks-v2" in far.list_tables()["TableNames"]
