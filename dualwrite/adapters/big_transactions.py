"""Counts transactions that cannot be doubled: one durable record for each table and process."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field, replace

from dualwrite.core.errors import EngineError, StateConflict, Unreachable
from dualwrite.core.ports import BigTransactionLog, Clock, Record, Records
from dualwrite.core.records import BIG_TRANSACTIONS, BigTransactions, dump, load

TRIES_MAX = 4
"""Only the operator's ``accept`` changes the record beside us."""


@dataclass(slots=True)
class _Tally:
    """Those that ask while a write is under way are counted together by the next one, so nobody
    waits for more than two writes, however many ask."""

    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """First come, first served: what ``failure`` says is of the write that settled the asker."""
    asked: int = 0
    settled: int = 0
    failure: EngineError | None = None
    held: Record | None = None
    """The record as last written by us; None where it has to be read first."""


class BigTransactionCounts(BigTransactionLog):
    """What ``seen`` has returned from is durable. The count is never too low; a lost answer may
    make it one too high. What the operator has accepted stays."""

    def __init__(self, records: Records, clock: Clock, *, process_id: str) -> None:
        self._records = records
        self._clock = clock
        self._process_id = process_id
        self._tallies: defaultdict[str, _Tally] = defaultdict(_Tally)

    async def seen(self, table: str) -> None:
        """Count one. Raises EngineError where it may not have been counted."""
        tally = self._tallies[table]
        tally.asked += 1
        mine = tally.asked
        async with tally.writing:
            if tally.settled < mine:
                upto = tally.asked
                tally.failure = await self._add(table, tally, upto - tally.settled)
                tally.settled = upto
            if tally.failure is not None:
                raise tally.failure

    async def _add(self, table: str, tally: _Tally, count: int) -> EngineError | None:
        name = f"{table}/{self._process_id}"
        for _ in range(TRIES_MAX):
            # Until it is written, what stands there is not known; nor is it if we are cancelled.
            held, tally.held = tally.held, None
            try:
                held = held or await self._records.read(BIG_TRANSACTIONS, name)
                before = (
                    BigTransactions(0, 0) if held is None else load(BigTransactions, held.value)
                )
                wanted = replace(before, count=before.count + count, last_ms=self._clock.wall_ms())
                expected = 0 if held is None else held.version
                tally.held = await self._records.write(
                    BIG_TRANSACTIONS, name, dump(wanted), expected=expected
                )
            except StateConflict:
                continue
            except EngineError as error:
                return error
            return None
        return Unreachable(f"{table}: the count of big transactions kept changing under our hands")
