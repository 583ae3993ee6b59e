"""Whether a far engine is reached is told by how long it has been silent."""

import asyncio
from collections.abc import Mapping
from typing import Any

from dualwrite.adapters.reach import SILENT_SECONDS_MAX, Reach
from dualwrite.core.errors import EngineError, OutcomeUnknown, Refused
from tests.fakes.clock import VirtualClock


class Engine:
    """Answers with an error, or well."""

    error: EngineError | None = OutcomeUnknown("x")

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        return {}


def test_silence_makes_it_unreached_and_a_refusal_is_an_answer() -> None:
    """A single lost answer changes nothing yet."""

    async def scenario() -> None:
        clock, engine = VirtualClock(), Engine()
        reach = Reach(engine, "t", clock)
        asking = asyncio.get_running_loop().create_task(reach.run())
        await clock.advance(3.0)
        assert not reach.reached()
        engine.error = Refused("ResourceNotFoundException", "", 400, {})
        await clock.advance(3.0)
        assert reach.reached()
        engine.error = OutcomeUnknown("x")
        await clock.advance(SILENT_SECONDS_MAX - 3.0)
        assert reach.reached()
        await clock.advance(3.0)
        assert not reach.reached()
        asking.cancel()

    asyncio.run(scenario())
