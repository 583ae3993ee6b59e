"""The processes of the service, started as people start them, against a real engine."""

import json
import os
import resource
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.engines_chosen import free_port, free_ports
from tests.process_harness import (
    WAIT_SECONDS_MAX,
    Installation,
    alive,
    client,
    events_of,
    one_line,
    until,
)

KEY = {"coordination_uuid": {"S": "c-1"}, "task_uuid": {"S": "t-1"}}
ROW = KEY | {"endpoint_id": {"S": "acme-corp-prod"}, "task_name": {"S": "first"}}


def test_from_nothing_to_a_mirrored_write(
    installation: Installation, boto: Any, table_prefix: str
) -> None:
    """check --apply, three processes, advance: a write through the proxy is on both tables; a
    flip is refused by the gate that is closed; SIGTERM ends each process with exit code 0."""
    missing = installation.run("control")
    assert missing.returncode == 1
    assert "does not exist; run: dualwrite check --apply" in one_line(missing)
    assert installation.json("check", exit_code=1)["ready"] is False
    assert installation.json("check", "--apply")["ready"] is True

    controller, said = installation.ready("control")
    assert (said["ready"], said["role"], said["pid"]) == (True, "controller", controller.pid)
    consumer, said = installation.ready("consume")
    assert said["role"] == "consumer"
    proxy, said = installation.ready("proxy")
    assert said["role"] == "proxy"
    assert said["metrics_port"] != said["port"] != 0

    moved = installation.json("advance", "mirror/old", "--reason", "test", "--who", "eve")
    assert moved["status"] == "done"
    client(said["port"]).put_item(TableName=f"{table_prefix}ace-tasks", Item=ROW)
    old = boto.get_item(TableName=f"{table_prefix}ace-tasks", Key=KEY)["Item"]
    new = boto.get_item(TableName=f"{table_prefix}ace-tasks-v2", Key=KEY)["Item"]
    assert old["endpoint_id"] == ROW["endpoint_id"]
    assert new["partition_key"] == {"S": "aws-prod-us-east-1#acme-corp"}
    assert old["dw_stamp"] == new["dw_stamp"]
    seen = client(said["port"]).get_item(TableName=f"{table_prefix}ace-tasks", Key=KEY)
    assert seen["Item"] == ROW

    _a_closed_gate_refuses_the_flip(installation)
    _what_is_taken_is_refused(installation, said["port"], controller.pid)
    _status_and_audit_tell(installation, {controller.pid, consumer.pid, proxy.pid})

    for process in (proxy, consumer, controller):
        process.send_signal(signal.SIGTERM)
    for process in (proxy, consumer, controller):
        _, errors = process.communicate(timeout=WAIT_SECONDS_MAX)
        assert process.returncode == 0, errors
    assert installation.json("status")["members"] == []


def _a_closed_gate_refuses_the_flip(installation: Installation) -> None:
    refused = installation.json("flip", "--reason", "too early", exit_code=3)
    assert refused["status"] == "refused"
    gate = next(gate for gate in refused["gates"] if gate["gate"] == "backfill_complete")
    assert gate["verdict"] == "closed"
    assert gate["reason"] == "no backfill has been started"
    people = installation.verb("flip", "--reason", "too early")
    assert people.exit_code == 3
    assert "backfill_complete: closed: no backfill has been started" in people.stdout


def _what_is_taken_is_refused(installation: Installation, port: int, controller: int) -> None:
    second = installation.run("control")
    assert second.returncode == 1
    assert f"pid {controller}" in one_line(second)
    taken = installation.run("proxy", "--port", str(port))
    assert taken.returncode == 1
    assert f"port {port}" in one_line(taken)
    taken = installation.run("consume", "--metrics-port", str(port))
    assert taken.returncode == 1
    assert "--metrics-port" in one_line(taken)


def _status_and_audit_tell(installation: Installation, pids: set[int]) -> None:
    status = installation.json("status")
    assert {entry["phase"] for entry in status["tables"]} == {"mirror/old"}
    assert {member["pid"] for member in status["members"]} == pids
    assert all(member["alive"] for member in status["members"])
    entries = installation.json("audit")["entries"]
    advances = [entry for entry in entries if entry["verb"] == "advance"]
    assert {(entry["who"], entry["reason"]) for entry in advances} == {("eve", "test")}
    assert len(advances) == len(status["tables"])


def test_up_keeps_its_parts_alive_and_takes_them_along(installation: Installation) -> None:
    """The parts' metrics are where Prometheus was told. A killed proxy comes back on its ports;
    SIGTERM stops every part. What ``--json`` tells is one document a line, to the last one of an
    ``up`` that gives up."""
    refused = installation.run("up")
    assert refused.returncode == 1
    assert "dualwrite check --apply" in one_line(refused)
    installation.json("check", "--apply")
    metrics_port = free_ports(4)
    up = installation.start("up", "--proxies", "2", "--metrics-port", str(metrics_port), "--json")
    ready = events_of(up, "ready", 4)
    assert [(event["part"], event["metrics_port"] - metrics_port) for event in ready] == [
        ("controller", 0), ("consumer-1", 1), ("proxy-1", 2), ("proxy-2", 3),
    ]  # fmt: skip
    [proxy] = [event for event in ready if event["part"] == "proxy-1"]
    second = installation.run("up", "--json")
    assert second.returncode == 1
    *_, last = [json.loads(line) for line in second.stdout.splitlines()]
    assert last == {"error": "controller did not come up; its own line above says why", "exit": 1}
    told = [line for line in second.stderr.splitlines() if not line.startswith("{")]
    assert [line.partition(" (")[0] for line in told] == [
        "dualwrite: a controller is running already",
        "dualwrite: controller did not come up; its own line above says why",
    ]
    os.kill(proxy["pid"], signal.SIGKILL)
    [ended] = events_of(up, "ended", 1)
    assert (ended["part"], ended["code"]) == ("proxy-1", -signal.SIGKILL)
    [again] = events_of(up, "ready", 1)
    assert (again["part"], again["port"]) == ("proxy-1", proxy["port"])
    assert again["metrics_port"] == proxy["metrics_port"]
    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=WAIT_SECONDS_MAX)
    assert up.returncode == 0
    assert not any(alive(event["pid"]) for event in (*ready, again))


def test_what_cannot_be_told_keeps_nobody_from_work(installation: Installation) -> None:
    """Where neither the log nor a line on standard output can be written, as on a full disk,
    ``up`` and its parts serve all the same, and a part that is killed comes back."""
    installation.json("check", "--apply")
    port = free_port()
    command = installation.command("up", "--json", "--port", str(port))
    with Path("/dev/full").open("w") as full:
        up = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=full, stderr=full, text=True)
    installation.started.append(up)

    def serving() -> set[int]:
        members = installation.json("status")["members"]
        proxies = {m["pid"] for m in members if m["role"] == "proxy" and m["alive"]}
        return {pid for pid in proxies if _answers(port)}

    until(lambda: bool(serving()))
    [first] = serving()
    os.kill(first, signal.SIGKILL)
    until(lambda: bool(serving() - {first}))
    assert up.poll() is None


def test_a_part_that_cannot_be_started_is_tried_again(installation: Installation) -> None:
    """While the supervisor may open no file, a restart fails and is told with its reason, again
    and again; as soon as it may, the part comes back."""
    installation.json("check", "--apply")
    up = installation.start("up", "--json")
    [proxy] = [event for event in events_of(up, "ready", 3) if event["part"] == "proxy-1"]
    limits = resource.prlimit(up.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(up.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    os.kill(proxy["pid"], signal.SIGKILL)
    first, second = events_of(up, "failed", 2)
    assert first["part"] == "proxy-1"
    assert "Too many open files" in first["why"]
    assert second["again_in_seconds"] > first["again_in_seconds"]
    resource.prlimit(up.pid, resource.RLIMIT_NOFILE, limits)
    [again] = events_of(up, "ready", 1)
    assert (again["part"], again["port"]) == ("proxy-1", proxy["port"])
    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=WAIT_SECONDS_MAX)
    assert up.returncode == 0


def test_a_controller_is_let_wait_for_a_long_lease(installation: Installation) -> None:
    """The successor of a killed controller is not ready for a lease and a request's life, however
    long that is; nobody ends it meanwhile."""
    installation.json("check", "--apply")
    up = installation.start("up", "--lease-seconds", "20", "--json")
    ready = events_of(up, "ready", 3)
    [killed] = [event for event in ready if event["part"] == "controller"]
    os.kill(killed["pid"], signal.SIGKILL)
    assert up.stdout is not None
    after = [json.loads(up.stdout.readline()) for _ in range(3)]
    assert [event["event"] for event in after] == ["up", "ended", "ready"]
    assert after[1]["code"] == -signal.SIGKILL
    assert after[2]["part"] == "controller"
    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=WAIT_SECONDS_MAX)
    assert up.returncode == 0


def test_a_killed_supervisor_leaves_nothing_behind(installation: Installation) -> None:
    """The parts see that their supervisor is gone, and stop in order."""
    installation.json("check", "--apply")
    up = installation.start("up", "--json")
    pids = [event["pid"] for event in events_of(up, "ready", 3)]
    up.kill()
    try:
        until(lambda: not any(alive(pid) for pid in pids))
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert installation.json("status")["members"] == []


def _answers(port: int) -> bool:
    try:
        client(port).list_tables()
    except (BotoCoreError, ClientError):
        return False
    return True


def test_a_process_with_another_spec_closes_the_way_forward(
    installation: Installation,
) -> None:
    """A proxy that would leave no rows where the others do is told by name, and opens the gate by
    being restarted with the spec of all."""
    installation.json("check", "--apply")
    other = installation.spec.with_name("other.toml")
    text = installation.spec.read_text()
    other.write_text(text.replace('unmappable = "leave"', 'unmappable = "hold"', 1))
    proxy, ready = Installation(other, installation.endpoint, installation.started).ready("proxy")

    def gate() -> dict[str, Any]:
        gates = installation.json("plan", "--table", "tasks")["tables"][0]["gates"]
        found: dict[str, Any] = next(gate for gate in gates if gate["gate"] == "one_spec")
        return found

    closed = gate()
    assert closed["verdict"] == "closed"
    assert ready["process"] in closed["reason"]
    proxy.terminate()
    assert proxy.wait(WAIT_SECONDS_MAX) == 0
    installation.ready("proxy")
    assert gate()["verdict"] == "open"
