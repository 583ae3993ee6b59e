"""The same generated requests to a plain table and through the proxy have the same answers.

``make fuzz`` runs many sequences a case; the suite a few. FUZZ_SEQUENCES says how many.
"""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Stage

from dualwrite.core.phases import Mode
from tests.contract.sequences import Request, sequences
from tests.contract.twins import Twin, clear
from tests.engines_chosen import EngineName

SEQUENCES = int(os.environ.get("FUZZ_SEQUENCES", "3"))
UNORDERED = ("Items", "Responses")
"""Parts of a Scan's and a batch's answer that have no order; a Query's items do."""

differential = settings(
    max_examples=SEQUENCES,
    suppress_health_check=list(HealthCheck),
    phases=(Stage.generate, Stage.shrink),
    derandomize="FUZZ_SEQUENCES" not in os.environ,
    database=None,
)


@pytest.mark.timeout(0)
def test_any_requests_have_the_answers_of_a_plain_table(twin: Twin) -> None:
    """Whatever is asked, right or wrong, in whatever order; and the two sides stay equal."""
    if twin.rig.engine_name is not EngineName.DYNAMODB_LOCAL:
        pytest.skip("only the reference is as strict as DynamoDB")

    @differential
    @given(sequences(twin))
    def check(requests: list[Request]) -> None:
        try:
            for operation, parameters in requests:
                unordered = UNORDERED if operation in ("scan", "batch_get_item") else ()
                twin.both(operation, unordered=unordered, **parameters)
            if twin.phase.mode is not Mode.SINGLE and twin.managed:
                assert _different(twin) == []
        finally:
            clear(twin.rig, twin.used)

    check()


def _different(twin: Twin) -> list[Any]:
    return [
        difference
        for table in twin.used
        for difference in twin.rig.differences(table, twin.phase.leader)
    ]
