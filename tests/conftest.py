"""Real engines for the tests: one MiniStack a session, on a free port of loopback."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

START_SECONDS_MAX = 60.0


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_ministack(port: int) -> subprocess.Popen[bytes]:
    """Start the embedded engine on loopback and wait until it answers."""
    environment = os.environ | {
        "SERVICES": "dynamodb,dynamodbstreams",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen([str(Path(sys.executable).with_name("ministack"))], env=environment)
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=1)
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, "MiniStack ended before it answered"
            time.sleep(0.05)
        else:
            return process
    process.kill()
    raise AssertionError("MiniStack did not answer in time")


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """The endpoint URL of a real DynamoDB-compatible engine."""
    port = free_port()
    process = start_ministack(port)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(scope="session")
def boto(engine: str) -> Any:
    """A boto3 client that speaks to the engine directly, one try a call."""
    return boto3.client(
        "dynamodb",
        endpoint_url=engine,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=50),
    )


@pytest.fixture
def table_prefix() -> str:
    """Keeps the tables of one test apart from all others."""
    return f"t{secrets.token_hex(4)}-"
