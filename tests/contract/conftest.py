"""The rig and the twin that all promises of the proxy run on."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.proxy_harness import Rig

pytest.register_assert_rewrite("tests.contract.twins")
from tests.contract.twins import CASES, Twin, a_twin, a_twin_rig  # noqa: E402 (rewritten first)


@pytest.fixture(scope="module")
def rig(engine: str, boto: Any, request: pytest.FixtureRequest) -> Iterator[Rig]:
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    with a_twin_rig(engine, boto, f"{name}-", reference=False) as made:
        yield made


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].value}-{case[1].value}-dialect")
def twin(rig: Rig, request: pytest.FixtureRequest, table_prefix: str) -> Iterator[Twin]:
    with a_twin(rig, *request.param, table_prefix) as made:
        yield made
