"""Workers of one proxy: real processes that share a port."""

import os
import signal
import subprocess
import threading
import urllib.request
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.process_harness import (
    WAIT_SECONDS_MAX,
    Installation,
    alive,
    client,
    events_of,
    one_line,
    until,
)


def test_workers_share_a_port_and_the_dead_come_back(
    installation: Installation, table_prefix: str
) -> None:
    """Every worker serves the one port under a lease and metrics of its own; a killed one is
    replaced; nobody else gets the port; SIGTERM ends them all with exit code 0."""
    installation.json("check", "--apply")
    supervisor, said = installation.ready("proxy", "--workers", "2")
    pids = {worker["pid"] for worker in said["workers"]}
    assert len(pids) == 2
    assert supervisor.pid == said["pid"] not in pids

    taken = installation.run("proxy", "--workers", "2", "--port", str(said["port"]))
    assert taken.returncode == 1
    assert f"port {said['port']}" in one_line(taken)

    members = installation.json("status")["members"]
    assert {member["pid"] for member in members} == pids
    assert {member["port"] for member in members} == {said["port"]}
    until(lambda: all(_served(worker, table_prefix, said) for worker in said["workers"]))

    for worker in said["workers"]:
        for page in ("healthz", "readyz"):
            where = f"http://127.0.0.1:{worker['metrics_port']}/{page}"
            with urllib.request.urlopen(where) as reply:
                assert reply.status == 200

    victim = said["workers"][0]
    os.kill(victim["pid"], signal.SIGKILL)
    until(lambda: _pid_behind(installation, victim["metrics_port"]) not in (None, victim["pid"]))
    _get(said["port"], table_prefix)

    supervisor.send_signal(signal.SIGTERM)
    _, errors = supervisor.communicate(timeout=WAIT_SECONDS_MAX)
    assert supervisor.returncode == 0, errors
    assert not any(alive(pid) for pid in pids)


def test_workers_of_up_drain_under_load(
    installation: Installation, boto: Any, table_prefix: str
) -> None:
    """SIGTERM in the midst of writes, a second one too: what was acknowledged is there, and a
    write that was cut off told its client so."""
    installation.json("check", "--apply")
    up = installation.start("up", "--workers", "2", "--json")
    port = _port_of_up(up)
    installation.json("advance", "mirror/old", "--reason", "test")
    acknowledged: list[str] = []
    over = threading.Event()

    def write(writer: int) -> None:
        boto_client = client(port)
        for number in range(100_000):
            task = f"{writer}-{number}"
            item = {
                "coordination_uuid": {"S": f"c-{writer}"}, "task_uuid": {"S": task},
                "endpoint_id": {"S": "acme-corp-prod"},
            }  # fmt: skip
            try:
                boto_client.put_item(TableName=f"{table_prefix}ace-tasks", Item=item)
            except (ClientError, BotoCoreError):
                if over.is_set():
                    return
                raise
            acknowledged.append(task)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    until(lambda: len(acknowledged) > 50)
    over.set()
    up.send_signal(signal.SIGTERM)
    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=WAIT_SECONDS_MAX)
    for writer in writers:
        writer.join(WAIT_SECONDS_MAX)
    assert up.returncode == 0
    for name in ("ace-tasks", "ace-tasks-v2"):
        assert set(acknowledged) <= _tasks_in(boto, table_prefix + name)


def _tasks_in(boto: Any, table: str) -> set[str]:
    pages = boto.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return {item["task_uuid"]["S"] for page in pages for item in page["Items"]}


def _port_of_up(up: subprocess.Popen[str]) -> int:
    events = events_of(up, "ready", 4)
    [port] = {event["port"] for event in events if event["role"] == "proxy"}
    events_of(up, "up", 1)
    return int(port)


def _served(worker: dict[str, Any], table_prefix: str, said: dict[str, Any]) -> bool:
    """Whether this worker has answered a client; each new connection may meet any of them."""
    _get(said["port"], table_prefix)
    with urllib.request.urlopen(f"http://127.0.0.1:{worker['metrics_port']}/metrics") as reply:
        return b"dualwrite_requests_total{" in reply.read()


def _get(port: int, table_prefix: str) -> None:
    key = {"coordination_uuid": {"S": "c"}, "task_uuid": {"S": "t"}}
    client(port).get_item(TableName=f"{table_prefix}ace-tasks", Key=key)


def _pid_behind(installation: Installation, metrics_port: int) -> int | None:
    members = installation.json("status")["members"]
    found = [m["pid"] for m in members if m["metrics_port"] == metrics_port and m["alive"]]
    return found[0] if found else None
