"""The proxy's contract once more, before DynamoDB Local: it checks what MiniStack lets pass."""

from collections.abc import Iterator

import pytest

from dualwrite.core.phases import Phase, Side
from tests.contract.test_proxy import *  # noqa: F403
from tests.contract.test_proxy_parameters import *  # noqa: F403
from tests.contract.test_proxy_shapes import *  # noqa: F403
from tests.contract.test_proxy_tokens import *  # noqa: F403
from tests.contract.twins import Twin, a_twin, a_twin_rig
from tests.engines_local import dynamodb_local
from tests.proxy_harness import Rig, client_for

__all__ = ["dynamodb_local"]
CASES = [(phase, dialect) for phase in (Phase.MIRROR_OLD, Phase.ATOMIC_NEW) for dialect in Side]


@pytest.fixture(scope="module")
def rig(dynamodb_local: int) -> Iterator[Rig]:
    url = f"http://127.0.0.1:{dynamodb_local}"
    with a_twin_rig(url, client_for(url), "local-", reference=True) as made:
        yield made


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].value}-{case[1].value}-dialect")
def twin(rig: Rig, request: pytest.FixtureRequest, table_prefix: str) -> Iterator[Twin]:
    with a_twin(rig, *request.param, table_prefix) as made:
        yield made
