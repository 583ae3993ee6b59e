"""A record that belongs to whoever wrote it last, and to nobody once it stands still."""

import asyncio
from collections.abc import Mapping
from typing import Any

from dualwrite.core.ports import Clock, Record, Records
from dualwrite.core.stillness import Stillness

SILENCE_SECONDS = 5.0
"""A record of work that stood still this long has lost its process."""


class Silence:
    """Which records have stood still too long, by this process's own clock."""

    def __init__(self, clock: Clock) -> None:
        self._stillness = Stillness(clock)

    def is_lost(self, record: Record) -> bool:
        """Whether its process is taken for dead."""
        self._stillness.see(record)
        return self._stillness.seconds(record.name) >= SILENCE_SECONDS

    def forget(self, name: str) -> None:
        self._stillness.forget(name)


async def rest(clock: Clock, work: "asyncio.Task[Any]", seconds: float) -> None:
    """Wait for the next renewal, or less where the work ends before."""
    pause = asyncio.create_task(clock.sleep(seconds))
    await asyncio.wait({work, pause}, return_when=asyncio.FIRST_COMPLETED)
    pause.cancel()


class Holding:
    """A record that is ours until somebody else has written it."""

    def __init__(self, records: Records, record: Record) -> None:
        self._records = records
        self._kind, self._name = record.kind, record.name
        self._version = record.version
        self._unheard: Mapping[str, Any] | None = None
        """A value that was written last and may stand, as nobody heard the answer."""

    async def write(self, value: Mapping[str, Any]) -> None:
        """Raises StateConflict once it is another's, EngineError."""
        if self._unheard is not None:
            held = await self._records.read(self._kind, self._name)
            if held is not None and held.value == self._unheard:
                self._version = held.version
        self._unheard = value
        record = await self._records.write(self._kind, self._name, value, expected=self._version)
        self._version, self._unheard = record.version, None
