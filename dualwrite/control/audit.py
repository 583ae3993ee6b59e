"""The audit: who changed what, when and why; append-only.

A change is written down as intended *before* it is made and settled after, so a controller that
dies in between leaves an entry which the next one settles by looking at the state.
"""

from collections.abc import Mapping
from dataclasses import replace

from dualwrite.control.commands import Order
from dualwrite.control.moves import Change
from dualwrite.core.coverage import gaps_of
from dualwrite.core.errors import StateConflict
from dualwrite.core.phases import TableState
from dualwrite.core.ports import Clock, Records
from dualwrite.core.records import AUDIT, STREAM, AuditEntry, dump, load

INTENDED, MADE, ABANDONED = "intended", "done", "abandoned"


class Audit:
    """Entries are named after their command, so that writing one again changes nothing."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def intend(self, order: Order, change: Change) -> None:
        """Write down a change that is about to be made. Raises EngineError."""
        before, after = change.words
        table, epoch = change.table.name, change.after.epoch
        streams = await self._records.list(STREAM, f"{table}/") if change.flips else ()
        gaps = gaps_of(streams)
        await self._append(order, table, before, after, INTENDED, epoch, gaps)

    async def note(
        self, order: Order, table: str, before: str, after: str, outcome: str = MADE
    ) -> None:
        """Write down what changed no state: an order, or a refusal. Raises EngineError."""
        await self._append(order, table, before, after, outcome, 0)

    async def settle(
        self, order: Order, states: Mapping[str, TableState], *, last: bool = False
    ) -> tuple[AuditEntry, ...]:
        """Mark what was made as made, and with ``last`` the rest as abandoned; gives the entries
        of the command that are made, in the order they were. Raises EngineError.

        Commands are carried out one after the other by one controller: an epoch that was intended
        and is reached was reached by us.
        """
        made = []
        for record in await self._records.list(AUDIT, f"{order.id}-"):
            entry = load(AuditEntry, record.value)
            if entry.outcome == INTENDED:
                reached = states[entry.table].epoch >= entry.epoch
                if reached or last:
                    entry = replace(entry, outcome=MADE if reached else ABANDONED)
                    await self._records.write(
                        AUDIT, record.name, dump(entry), expected=record.version
                    )
            if entry.outcome == MADE:
                made.append(entry)
        return tuple(sorted(made, key=lambda entry: entry.at_ms))

    async def _append(
        self,
        order: Order,
        table: str,
        before: str,
        after: str,
        outcome: str,
        epoch: int,
        gaps: Mapping[str, int] | None = None,
    ) -> None:
        entry = AuditEntry(
            at_ms=self._clock.wall_ms(),
            who=order.command.who,
            reason=order.command.reason,
            verb=order.command.verb,
            table=table,
            before=before,
            after=after,
            epoch=epoch,
            outcome=outcome,
            gaps=gaps or {},
        )
        try:
            name = f"{order.id}-{epoch:06d}-{table}"
            await self._records.write(AUDIT, name, dump(entry), expected=0)
        except StateConflict:
            return  # written before we were interrupted
