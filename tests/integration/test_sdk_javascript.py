"""The JavaScript SDK (version 3) at the proxy: its own client, document client and paginators."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dualwrite.core.phases import Phase, Side
from tests.engines_chosen import ENGINES, EngineName, fetched_once
from tests.proxy_harness import Rig, a_rig

HOME = Path(__file__).parent / "javascript"
WORDS = {
    Side.OLD: ("endpoint_id", "acme-prod", {}),
    Side.NEW: ("partition_key", "aws-1#acme", {"endpoint_id": "aws-1", "part_id": "acme"}),
}
"""For each dialect: the hash key of notes, a tenant in it, and what its items say beside it."""


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with the SDK that the lock file names."""
    found = shutil.which("node")
    asked = len(ENGINES) == len(EngineName)
    if found is None:
        pytest.skip("the JavaScript SDK needs Node, and there is none")
    problem = fetched_once(
        HOME, ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"],
        target="node_modules", source="package-lock.json", allowed=asked,
    )  # fmt: skip
    if problem is not None:
        (pytest.fail if asked else pytest.skip)(f"the JavaScript SDK is left out: {problem}")
    return found


@pytest.fixture(scope="module")
def rig(engine: str, boto: Any) -> Iterator[Rig]:
    with a_rig(engine, boto, "javascript-") as made:
        yield made


@pytest.mark.parametrize("phase", [Phase.MIRROR_OLD, Phase.ATOMIC_NEW])
@pytest.mark.parametrize("dialect", list(Side))
def test_the_sdk_sees_a_plain_table(rig: Rig, node: str, phase: Phase, dialect: Side) -> None:
    """Item operations, paginators, batches with a rest, transactions and errors, and afterwards
    both sides hold the same."""
    rig.stand(phase)
    rig.hop.plan = first_of_each({"BatchWriteItem": "leave", "BatchGetItem": "leave",
                                  "GetItem": "throttle"})  # fmt: skip
    tenant_key, tenant, derived = WORDS[dialect]
    environment = os.environ | {
        "ENDPOINT": rig.url,
        "NOTES": rig.tables["notes"].side(dialect).name,
        "TASKS": rig.tables["tasks"].side(dialect).name,
        "TENANT_KEY": tenant_key,
        "TENANT": tenant,
        "DERIVED": json.dumps(derived),
    }
    try:
        done = subprocess.run(
            [node, "--test", "client.test.mjs"], cwd=HOME, env=environment,
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    finally:
        rig.hop.plan = lambda operation, request: None
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert rig.differences("notes", phase.leader) == []
    assert rig.differences("tasks", phase.leader) == []


def first_of_each(
    fates: Mapping[str, str],
) -> Callable[[str, Mapping[str, Any]], str | None]:
    """A fate for the first call of some operations alone."""
    left = dict(fates)
    return lambda operation, request: left.pop(operation, None)
