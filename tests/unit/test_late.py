"""Copies that came too late are taken back, however long the engine is in trouble meanwhile."""

import asyncio
from collections.abc import Mapping
from typing import Any

from structlog.testing import capture_logs

from dualwrite.core.errors import Refused, Unreachable
from dualwrite.core.phases import Side
from dualwrite.late import take_back
from tests.consumer_harness import a_migration, note
from tests.fakes.clock import VirtualClock

NOTES = a_migration("").by_name["notes"]
COPY = {"partition_key": {"S": "aws-1#acme"}, **note(1), "dw_stamp": {"S": "0"}}


class Troubled:
    """A ``Dynamo`` that fails at once until a moment."""

    def __init__(self, clock: VirtualClock, error: Exception, until_seconds: float) -> None:
        self.clock = clock
        self.error = error
        self.until_seconds = until_seconds
        self.applied = 0

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if self.clock.monotonic_seconds() < self.until_seconds:
            raise self.error
        self.applied += 1
        return {}


def taken_back(error: Exception, until_seconds: float) -> tuple[int, list[str]]:
    """How many copies were, and what the log says."""

    async def go() -> tuple[int, list[str]]:
        clock = VirtualClock()
        dynamo = Troubled(clock, error, until_seconds)
        with capture_logs() as logged:
            await clock.drive(take_back(dynamo, clock.sleep, NOTES, Side.NEW, [COPY], arrived=True))
        return dynamo.applied, [line["event"] for line in logged]

    return asyncio.run(go())


def test_a_connection_that_is_refused_for_seconds_leaves_no_late_copy() -> None:
    """Each try fails at once, so the time between them is what outlasts the trouble."""
    assert taken_back(Unreachable("refused"), 3.0) == (1, ["a late copy was taken back"])


def test_throttling_for_seconds_leaves_no_late_copy() -> None:
    """The same where the engine answers, but has no capacity."""
    throttled = Refused("ProvisionedThroughputExceededException", "later", status=400, fields={})
    assert taken_back(throttled, 3.0) == (1, ["a late copy was taken back"])


def test_a_late_copy_that_stays_is_logged() -> None:
    """The tries are bounded, and somebody has to know."""
    assert taken_back(Unreachable("refused"), 3600.0) == (0, ["a late copy stands"])
