"""Twins on the oracle alone: the other engines know another PartiQL."""

from collections.abc import Iterator

import pytest

from dualwrite.core.phases import Phase
from tests.contract.partiql.statements import MANAGED
from tests.contract.twins import Twin, a_twin, a_twin_rig
from tests.engines_chosen import EngineName
from tests.proxy_harness import Rig, create_table

READ_CASES = [case for case in MANAGED if case.phase in (Phase.MIRROR_OLD, Phase.ATOMIC_NEW)]
"""Where a read is served depends on the share of reads, not on the mode."""


@pytest.fixture(scope="package")
def rig(dynamodb_local: int) -> Iterator[Rig]:
    url = f"http://127.0.0.1:{dynamodb_local}"
    with a_twin_rig(EngineName.DYNAMODB_LOCAL, url, "partiql-") as made:
        create_table(made.engine, made.tables["notes"].old, "partiql-unmanaged")
        yield made


@pytest.fixture(params=MANAGED, ids=str)
def twin(rig: Rig, request: pytest.FixtureRequest, table_prefix: str) -> Iterator[Twin]:
    with a_twin(rig, request.param, table_prefix) as made:
        yield made


@pytest.fixture(params=READ_CASES, ids=str)
def reader(rig: Rig, request: pytest.FixtureRequest, table_prefix: str) -> Iterator[Twin]:
    with a_twin(rig, request.param, table_prefix) as made:
        yield made
