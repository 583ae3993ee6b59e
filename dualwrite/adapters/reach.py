"""Whether an engine that no lease proves is reached: it is asked for one table now and then."""

from dualwrite.core.errors import EngineError, Refused
from dualwrite.core.ports import Clock, Dynamo

ASK_SECONDS = 2.0
SILENT_SECONDS_MAX = 10.0


class Reach:
    """Asks for ``table`` and remembers when it last heard something, a refusal too."""

    def __init__(self, dynamo: Dynamo, table: str, clock: Clock) -> None:
        self._dynamo = dynamo
        self._table = table
        self._clock = clock
        self._heard_seconds = float("-inf")

    async def run(self) -> None:
        """For ever."""
        while True:
            if await self._answers():
                self._heard_seconds = self._clock.monotonic_seconds()
            await self._clock.sleep(ASK_SECONDS)

    async def _answers(self) -> bool:
        try:
            await self._dynamo.call("DescribeTable", {"TableName": self._table})
        except Refused:
            return True
        except EngineError:
            return False
        return True

    def reached(self) -> bool:
        return self._clock.monotonic_seconds() - self._heard_seconds < SILENT_SECONDS_MAX
