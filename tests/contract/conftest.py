"""The rig and the twin that all promises of the proxy run on, before every engine of the run."""

from collections.abc import Iterator

import pytest

from tests.contract.dynamo_stage import on
from tests.contract.engines import expect_known_wrong
from tests.engines_chosen import ENGINES, EngineName
from tests.engines_dynoxide import running_dynoxide
from tests.engines_local import dynamodb_local
from tests.proxy_harness import Rig, a_migration

pytest.register_assert_rewrite("tests.contract.twins")
from tests.contract.twins import CASES, Case, Twin, a_twin, a_twin_rig  # noqa: E402 (rewritten first)

__all__ = ["dynamodb_local", "on"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Engines' own errors are expected; what only a managed table promises runs on those alone."""
    for item in items:
        if isinstance(item, pytest.Function):
            expect_known_wrong(item)
    items[:] = [item for item in items if not _beside_the_point(item)]


def _beside_the_point(item: pytest.Item) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    case = parameters.get("twin")
    return (
        isinstance(case, Case)
        and not case.managed
        and item.get_closest_marker("managed_only") is not None
    )


@pytest.fixture(scope="session")
def dynoxide() -> Iterator[int]:
    with running_dynoxide() as port:
        yield port


@pytest.fixture(scope="module", params=ENGINES, ids=str)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """One proxy and its tables for a file of promises, which may have a ``migration`` of its own;
    on DynamoDB Local in an own database."""
    name: EngineName = request.param
    prefix = request.module.__name__.rpartition(".")[2].replace("_", "-") + "-"
    make = getattr(request.module, "migration", a_migration)
    if name is EngineName.MINISTACK:
        url = request.getfixturevalue("engine")
    else:
        url = f"http://127.0.0.1:{request.getfixturevalue(name.replace('-', '_'))}"
    with a_twin_rig(name, url, prefix, make(prefix)) as made:
        yield made


@pytest.fixture(params=CASES, ids=str)
def twin(rig: Rig, request: pytest.FixtureRequest, table_prefix: str) -> Iterator[Twin]:
    with a_twin(rig, request.param, table_prefix) as made:
        yield made
