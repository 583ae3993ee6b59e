"""How consumers write: only while they may, and what came too late is taken back."""

from collections.abc import Mapping, Sequence
from typing import Any

from consumers.effort import Effort
from consumers.requests import put_if_absent
from dualwrite.core.errors import LeaseExpired, OutcomeUnknown, Refused
from dualwrite.core.items import Item
from dualwrite.core.phases import TableState
from dualwrite.core.ports import Dynamo, Epochs
from dualwrite.core.settle import condition_failed
from dualwrite.core.spec import MigratedTable
from dualwrite.core.vouching import REQUEST_MARGIN_SECONDS, vouch
from dualwrite.late import take_back


class GuardedWrites:
    """Sends what was decided under a state."""

    def __init__(self, dynamo: Dynamo, epochs: Epochs, effort: Effort) -> None:
        self._dynamo = dynamo
        self._epochs = epochs
        self._effort = effort

    async def accepted(self, state: TableState, operation: str, request: Mapping[str, Any]) -> bool:
        """Send a guarded write of work begun under ``state``, if it still may be sent: whether its
        guard held. Raises LeaseExpired, EngineError."""
        vouch(self._epochs, state)
        try:
            await self._dynamo.call(operation, request)
        except Refused as error:
            if condition_failed(error):
                return False
            raise
        return True

    async def put_absent(self, state: TableState, table: MigratedTable, copy: Item) -> bool:
        """Put the follower's copy where none is, as ``accepted`` sends: whether none was."""
        request = put_if_absent(table.side(state.phase.leader.other), copy)
        try:
            fresh = await self.accepted(state, "PutItem", request)
        except OutcomeUnknown:
            await self.check_copies(state, table, [copy], arrived=False)
            raise
        if fresh:
            await self.check_copies(state, table, [copy])
        return fresh

    async def check_copies(
        self,
        state: TableState,
        table: MigratedTable,
        copies: Sequence[Item],
        *,
        arrived: bool = True,
    ) -> None:
        """Take copies back that were just put where none was, if they might not have been sent any
        more. ``arrived``: False where no answer came, so that they may be on their way.

        Raises LeaseExpired after it has taken them back.
        """
        try:
            vouch(self._epochs, state)
        except LeaseExpired:
            if not arrived:
                await self._effort.rest(REQUEST_MARGIN_SECONDS)
            await take_back(self._dynamo, table, state.phase.leader.other, copies)
            raise
