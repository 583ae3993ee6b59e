"""One look at a list of records for all who want to look at about the same time."""

import asyncio

from dualwrite.core.ports import Clock, Record, Records

APART_SECONDS = 0.05
"""Between two looks: each costs a read of all that is listed."""


class SharedListing:
    """Lists one kind and prefix. Whoever asks while a look is under way gets the next one, which
    all who ask meanwhile share: so what anybody sees is no older than his question."""

    def __init__(self, records: Records, clock: Clock, kind: str, prefix: str) -> None:
        self._records = records
        self._clock = clock
        self._kind = kind
        self._prefix = prefix
        self._looking = asyncio.Lock()
        self._begun = 0
        self._begun_at = float("-inf")
        self._ended = 0
        """The newest look that told something."""
        self._found: tuple[Record, ...] = ()

    async def look(self) -> tuple[Record, ...]:
        """What stood there at some moment after the call. Raises EngineError."""
        wanted = self._begun + 1
        async with self._looking:
            if self._ended < wanted:
                left = self._begun_at + APART_SECONDS - self._clock.monotonic_seconds()
                if left > 0:
                    await self._clock.sleep(left)
                self._begun += 1
                number, self._begun_at = self._begun, self._clock.monotonic_seconds()
                self._found = await self._records.list(self._kind, self._prefix)
                self._ended = number
            return self._found
