"""The processes of the service, started as people start them, against a real engine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from click.testing import Result
from typer.testing import CliRunner

from dualwrite import spec_file
from dualwrite.adapters import logs
from dualwrite.cli.main import app
from examples.ai_coordination_engine import tables

COMMAND = (sys.executable, "-m", "dualwrite.cli.main")
WAIT_SECONDS_MAX = 60.0
KEY = {"coordination_uuid": {"S": "c-1"}, "task_uuid": {"S": "t-1"}}
ROW = KEY | {"endpoint_id": {"S": "acme-corp-prod"}, "task_name": {"S": "first"}}


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a bound."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass
class Installation:
    """One migration with tables of its own, and what was started for it."""

    spec: Path
    endpoint: str
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, verb: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self.command(verb, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def ready(self, verb: str, *arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        """A process that has printed its ready line."""
        process = self.start(verb, *arguments)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        return process, json.loads(line)

    def run(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(verb, *arguments),
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS_MAX,
            check=False,
        )

    def verb(self, verb: str, *arguments: str) -> Result:
        """A verb that ends by itself, in this process: starting Python takes longer than it."""
        where = ("--spec", str(self.spec), "--endpoint", self.endpoint)
        return CliRunner().invoke(app, [verb, *where, *arguments])

    def json(self, verb: str, *arguments: str, exit_code: int = 0) -> Any:
        done = self.verb(verb, *arguments, "--json")
        assert done.exit_code == exit_code, done.output
        return json.loads(done.stdout)

    def command(self, verb: str, *arguments: str) -> list[str]:
        where = ("--spec", str(self.spec), "--endpoint", self.endpoint)
        return [*COMMAND, verb, *where, *arguments]

    def stop(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def installation(
    engine: str,
    boto: Any,
    table_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Installation]:
    """The example, under names of its own; its old tables exist, nothing else does."""
    # Loggers must not hold on to the streams of a verb that runs inside the test.
    monkeypatch.setattr(logs, "configure", lambda: None)
    spec = tmp_path / "migration.toml"
    text = tables.SPEC.read_text().replace('"ace-', f'"{table_prefix}ace-')
    spec.write_text(text.replace('"dualwrite-ai', f'"{table_prefix}dualwrite-ai'))
    shutil.copy(tables.HERE / "tenants.csv", tmp_path)
    tables.create(boto, spec_file.load(spec))
    stands = Installation(spec, engine)
    yield stands
    stands.stop()


def client(port: int) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The plain line for people; what is JSON is the log's."""
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    return line


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
    """A killed proxy comes back on its port; SIGTERM stops every part."""
    refused = installation.run("up")
    assert refused.returncode == 1
    assert "dualwrite check --apply" in one_line(refused)
    installation.json("check", "--apply")
    up = installation.start("up", "--proxies", "2", "--json")
    ready = _events(up, "ready", 4)
    [proxy] = [event for event in ready if event["part"] == "proxy-1"]
    second = installation.run("up")
    assert second.returncode == 1
    told = [line for line in second.stderr.splitlines() if not line.startswith("{")]
    assert [line.partition(" (")[0] for line in told] == [
        "dualwrite: a controller is running already",
        "dualwrite: controller did not come up; its own line above says why",
    ]
    os.kill(proxy["pid"], signal.SIGKILL)
    [ended] = _events(up, "ended", 1)
    assert (ended["part"], ended["code"]) == ("proxy-1", -signal.SIGKILL)
    [again] = _events(up, "ready", 1)
    assert (again["part"], again["port"]) == ("proxy-1", proxy["port"])
    assert again["metrics_port"] == proxy["metrics_port"]
    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=WAIT_SECONDS_MAX)
    assert up.returncode == 0
    assert not any(alive(event["pid"]) for event in (*ready, again))


def test_a_killed_supervisor_leaves_nothing_behind(installation: Installation) -> None:
    """The parts see that their supervisor is gone, and stop in order."""
    installation.json("check", "--apply")
    up = installation.start("up", "--json")
    pids = [event["pid"] for event in _events(up, "ready", 3)]
    up.kill()
    try:
        until(lambda: not any(alive(pid) for pid in pids))
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert installation.json("status")["members"] == []


def _events(up: subprocess.Popen[str], kind: str, count: int) -> list[dict[str, Any]]:
    """The next events of a kind."""
    assert up.stdout is not None
    found: list[dict[str, Any]] = []
    while len(found) < count:
        line = up.stdout.readline()
        assert line, up.communicate()[1]
        event = json.loads(line)
        if event["event"] == kind:
            found.append(event)
    return found
