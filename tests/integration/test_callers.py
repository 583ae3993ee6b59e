"""A real proxy process that verifies its callers, and boto3 before it."""

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.process_harness import Installation, events_of, one_line, until

SHOP = 'secret = "shop-secret"\ntables = ["*"]\nactions = ["read", "write", "control"]\n'
KEY = {"coordination_uuid": {"S": "c-1"}, "task_uuid": {"S": "t-1"}}


def written(path: Path, **keys: str) -> Path:
    path.write_text("".join(f"[keys.{name}]\n{entry}" for name, entry in keys.items()))
    path.chmod(0o600)
    return path


def client(url: str, access_key: str, secret: str, **more: Any) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
        **{"region_name": "us-east-1", **more},
    )


def code_of(call: Callable[..., Any], **parameters: Any) -> str:
    """The error's type; empty for a success."""
    try:
        call(**parameters)
    except ClientError as error:
        code: str = error.response["Error"]["Code"]
        return code
    return ""


def test_a_key_file_decides_who_does_what_and_changes_live(
    installation: Installation, table_prefix: str, tmp_path: Path
) -> None:
    """boto3 signs for whatever Region it likes; a managed table is one under both names; a new
    file counts without a restart, a broken one does not; no secret is in the log."""
    installation.json("check", "--apply")
    tasks = f"{table_prefix}ace-tasks"
    limited = f'secret = "old-secret"\ntables = ["{tasks}"]\nactions = ["read"]\n'
    keys = written(tmp_path / "keys.toml", SHOP=SHOP, READER=limited)
    process, said = installation.ready("proxy", "--keys", str(keys), "--host", "0.0.0.0")
    url = f"http://127.0.0.1:{said['port']}"

    for region in ("us-east-1", "eu-central-1"):
        shop = client(url, "SHOP", "shop-secret", region_name=region)
        assert tasks in shop.list_tables(ExclusiveStartTableName=tasks[:-1])["TableNames"]
    other = client(url, "SHOP", "shop-secret", aws_session_token="whatever")
    assert code_of(other.get_item, TableName=tasks, Key=KEY) == ""
    stranger = client(url, "SHOP", "guess")
    assert code_of(stranger.list_tables) == "InvalidSignatureException"
    assert code_of(client(url, "NOBODY", "x").list_tables) == "UnrecognizedClientException"

    reader = client(url, "READER", "old-secret")
    assert code_of(reader.get_item, TableName=tasks, Key=KEY) == ""
    assert code_of(reader.get_item, TableName=f"{tasks}-v2", Key=KEY) == "ValidationException"
    assert code_of(reader.put_item, TableName=tasks, Item=KEY) == "AccessDeniedException"
    assert code_of(reader.scan, TableName=f"{table_prefix}ace-other") == "AccessDeniedException"
    assert code_of(reader.list_tables) == "AccessDeniedException"

    keys.write_text("[keys.SHOP")
    written(tmp_path / "next.toml", SHOP=SHOP.replace("shop-secret", "new-secret"))
    assert code_of(reader.get_item, TableName=tasks, Key=KEY) == ""
    (tmp_path / "next.toml").rename(keys)
    until(lambda: code_of(reader.get_item, TableName=tasks, Key=KEY) != "")
    assert code_of(reader.list_tables) == "UnrecognizedClientException"
    assert code_of(client(url, "SHOP", "new-secret").list_tables) == ""

    metrics = urllib.request.urlopen(f"http://127.0.0.1:{said['metrics_port']}/metrics").read()
    assert b'dualwrite_callers_refused_total{status="AccessDeniedException"} 3.0' in metrics
    process.terminate()
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "caller refused" in log
    assert not re.search("(shop|old|new)-secret", log + metrics.decode())


def test_a_proxy_without_keys_stays_at_home(installation: Installation, tmp_path: Path) -> None:
    """Beyond loopback it does not start, nor with a key file that is none: one plain line."""
    refused = installation.run("proxy", "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert "--host 0.0.0.0 is refused without --keys" in one_line(refused)
    installation.json("check", "--apply")
    refused = installation.run("proxy", "--keys", str(tmp_path / "absent"))
    assert refused.returncode == 2
    assert one_line(refused).endswith("does not exist; give the path of a key file")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_up_hands_on_who_may_call(installation: Installation, tmp_path: Path, workers: str) -> None:
    """One worker or several: all of them verify."""
    installation.json("check", "--apply")
    keys = written(tmp_path / "keys.toml", SHOP=SHOP)
    up = installation.start("up", "--json", "--keys", str(keys), "--workers", workers)
    port = events_of(up, "ready", 2 + int(workers))[-1]["port"]
    assert code_of(client(f"http://127.0.0.1:{port}", "SHOP", "shop-secret").list_tables) == ""
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}", data=b"")
