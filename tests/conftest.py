"""Real engines for the tests: one MiniStack a session, on a free port of loopback."""

import os
import secrets
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, settings

from tests.engines_chosen import free_port, running
from verifier.rehearsal.engine import embedded_environment

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A generated example may take as long as it does: a busy machine is no failure."""


def pytest_configure() -> None:
    """A shell that runs the tests in the background has them ignore SIGINT, and what they start
    would do so too: it must be possible to interrupt that."""
    settings.load_profile("untimed")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """The endpoint URL of a real DynamoDB-compatible engine, MiniStack."""
    port = free_port()
    environment = os.environ | embedded_environment(port)
    program = str(Path(sys.executable).with_name("ministack"))
    with running([program], lambda: _healthy(port), environment):
        yield f"http://127.0.0.1:{port}"


def _healthy(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=1)
    except (urllib.error.URLError, OSError):
        return False
    return True


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers of ``--dist loadgroup`` share the tests by file, and by engine where there are
    several: what a file sets up is set up once."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        engine = parameters.get("rig", "")
        item.add_marker(pytest.mark.xdist_group(f"{item.path.name}{engine}"))
