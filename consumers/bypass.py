"""Counts writes that went past the proxy; the count is durable before their records are applied."""

from collections.abc import Mapping
from typing import Any

from dualwrite.core import metric_names
from dualwrite.core.ports import Clock, Metrics, Record, Records
from dualwrite.core.records import BYPASS, Bypass, dump, load
from dualwrite.revising import revised


class Bypasses:
    """By table. A write is one past the proxy only from ``begin`` on: before the backfill was
    asked for, not every proxy gave stamps yet."""

    def __init__(self, records: Records, clock: Clock, metrics: Metrics) -> None:
        self._records = records
        self._clock = clock
        self._metrics = metrics
        self._begin_ms: dict[str, int] = {}
        self._counted: dict[str, int] = {}

    def begin(self, table: str, asked_ms: int) -> None:
        """All proxies have acknowledged mirror mode by this wall clock."""
        self._begin_ms.setdefault(table, asked_ms)

    def counts(self, table: str, created_ms: int) -> bool:
        """Whether an unstamped write of that time went past the proxy."""
        begun = self._begin_ms.get(table)
        return begun is not None and created_ms > begun

    def note(self, table: str) -> None:
        """Count one, in memory."""
        self._counted[table] = self._counted.get(table, 0) + 1
        self._metrics.add(metric_names.BYPASS_WRITES, table)

    async def flush(self) -> None:
        """Make the counts durable; no checkpoint is written before. Raises EngineError."""
        for table in tuple(self._counted):
            await self._flush(table)

    async def _flush(self, table: str) -> None:
        count = self._counted[table]
        if not count:
            return

        def counted(held: Record | None) -> Mapping[str, Any]:
            before = 0 if held is None else load(Bypass, held.value).count
            return dump(Bypass(before + count, self._clock.wall_ms()))

        await revised(self._records, BYPASS, table, counted)
        self._counted[table] -= count
