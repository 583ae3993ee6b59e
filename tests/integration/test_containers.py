"""The same preflight against DynamoDB Local in a container, where a Docker daemon answers."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import docker
import pytest
import yaml
from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs

from dualwrite import wiring
from dualwrite.settings import parse
from dualwrite.spec_file import load
from examples.ai_coordination_engine import tables

PORT = 8000
COMPOSE = tables.HERE.parents[1] / "docker-compose.yml"


def daemon_answers() -> bool:
    """Whether containers can be started here."""
    with suppress(docker.errors.DockerException):
        return bool(docker.from_env(timeout=5).ping())
    return False


@pytest.fixture(scope="module")
def local() -> Iterator[str]:
    """The engine of docker-compose.yml, by itself."""
    if not daemon_answers():
        pytest.skip("no Docker daemon answers on this machine")
    engine = yaml.safe_load(COMPOSE.read_text())["services"]["engine"]
    container = DockerContainer(engine["image"]).with_exposed_ports(PORT)
    with container.with_command(engine["command"]):
        wait_for_logs(container, "Port", timeout=60)
        yield f"http://127.0.0.1:{container.get_exposed_port(PORT)}"


@pytest.fixture
def client(local: str) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=local,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_the_example_becomes_ready_on_dynamodb_local(local: str, client: Any) -> None:
    """check --apply makes the example's tables ready, on AWS's own engine too."""
    tables.create(client, load(tables.SPEC))

    async def apply() -> bool:
        async with wiring.preflight(parse(tables.SPEC, local)) as preflight:
            return (await preflight.apply()).ready and (await preflight.check()).ready

    assert asyncio.run(apply())
