"""A side that cannot be reached, seen by an operator: real processes, and a hop on the wire."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.process_harness import Installation, client, until
from tests.tcp_hop import TcpHop, a_hop

KEY = {"coordination_uuid": {"S": "c-1"}}
PATIENT = ("--lease-seconds", "20")
"""Nothing here is about leases, and the machine may be busy."""


def row(task: str) -> dict[str, Any]:
    return {**KEY, "task_uuid": {"S": task}, "endpoint_id": {"S": "acme-corp-prod"}}


def test_a_sick_follower_is_left_out_seen_and_taken_back(
    installation: Installation,
    engine: str,
    boto: Any,
    table_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its connections are reset: clients go on, the breaker opens and shows on metrics, status and
    gates; once the network is mended it closes by itself and both sides are one."""
    old, new = f"{table_prefix}ace-tasks", f"{table_prefix}ace-tasks-v2"
    with a_hop(engine) as hop:
        monkeypatch.setenv("DUALWRITE_NEW_ENDPOINT", hop.url)
        installation.json("check", "--apply")
        installation.ready("control", *PATIENT)
        installation.ready("consume", *PATIENT)
        _, said = installation.ready("proxy", *PATIENT)
        installation.json("advance", "mirror/old", "--reason", "test", "--table", "tasks")
        proxied = client(said["port"])
        proxied.put_item(TableName=old, Item=row("before"))

        hop.mode = "reset"
        for number in range(6):
            proxied.put_item(TableName=old, Item=row(f"while-{number}"))
        assert _breaker(said) == 2.0
        until(lambda: _held_back(installation, said) == ["tasks"])
        gates = installation.json("plan", "--table", "tasks")["tables"][0]["gates"]
        [gate] = [gate for gate in gates if gate["gate"] == "followers_written"]
        assert gate["verdict"] == "closed"
        assert _ready(said) == (200, [])

        hop.mode = "hang"
        proxied.put_item(TableName=old, Item=row("hanging"))
        hop.mode = "pass"
        until(lambda: _breaker(said) == 0.0)
        proxied.put_item(TableName=old, Item=row("after"))
        wanted = {"before", "hanging", "after", *(f"while-{number}" for number in range(6))}
        until(lambda: _tasks(boto, new) == wanted == _tasks(boto, old))
        until(lambda: _held_back(installation, said) == [])
        _a_lost_lease_is_not_ready(hop, said, installation)


def _a_lost_lease_is_not_ready(
    hop: TcpHop, said: dict[str, Any], installation: Installation
) -> None:
    """Reads that the far side serves make the process unready while that side is silent."""
    installation.json("backfill", "start", "--table", "tasks")
    installation.json("verify", "--table", "tasks")
    installation.json("reads", "100", "--reason", "test", "--table", "tasks")
    hop.mode = "hang"
    until(lambda: _ready(said) == (503, ["the new side's engine does not answer"]))


def _metrics(said: dict[str, Any]) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{said['metrics_port']}/metrics") as reply:
        text: str = reply.read().decode()
    return text.splitlines()


def _breaker(said: dict[str, Any]) -> float:
    lines = [line for line in _metrics(said) if line.startswith("dualwrite_follower_breaker{")]
    return float(lines[0].split()[-1]) if lines else -1.0


def _held_back(installation: Installation, said: dict[str, Any]) -> list[str]:
    members = installation.json("status")["members"]
    [held] = [member["held_back"] for member in members if member["process"] == said["process"]]
    return list(held)


def _ready(said: dict[str, Any]) -> tuple[int, list[str]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{said['metrics_port']}/readyz") as reply:
            return reply.status, json.load(reply)["reasons"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["reasons"]


def _tasks(boto: Any, table: str) -> set[str]:
    return {item["task_uuid"]["S"] for item in boto.scan(TableName=table)["Items"]}
