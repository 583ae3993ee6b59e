"""The processes of the service, started as people start them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from click.testing import Result
from typer.testing import CliRunner

from dualwrite.cli.main import app

COMMAND = (sys.executable, "-m", "dualwrite.cli.main")
WAIT_SECONDS_MAX = 60.0


def until(condition: Callable[[], bool], seconds_max: float = WAIT_SECONDS_MAX) -> None:
    """Wait for a condition, with a bound."""
    deadline = time.monotonic() + seconds_max
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


def events_of(up: subprocess.Popen[str], kind: str, count: int) -> list[dict[str, Any]]:
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
