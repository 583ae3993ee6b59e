"""How consumers write: only while they may, and what came too late is taken back."""

from collections.abc import Awaitable, Collection, Mapping
from typing import Any, TypeVar

from consumers.effort import Effort
from consumers.requests import put_if_absent
from dualwrite.core.errors import LeaseExpired, OutcomeUnknown, Refused
from dualwrite.core.items import Item
from dualwrite.core.phases import TableState
from dualwrite.core.ports import Dynamo, Epochs
from dualwrite.core.settle import condition_failed
from dualwrite.core.spec import MigratedTable
from dualwrite.core.vouching import vouch
from dualwrite.late import take_back

T = TypeVar("T")


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
        sending = self.accepted(state, "PutItem", request)
        fresh = await self.heard(state, table, [copy], sending)
        if fresh:
            await self.check_copies(state, table, [copy])
        return fresh

    async def heard(
        self,
        state: TableState,
        table: MigratedTable,
        copies: Collection[Item],
        sending: Awaitable[T],
    ) -> T:
        """The answer to the sending of copies; where none comes they are checked. Raises
        LeaseExpired, EngineError."""
        try:
            return await sending
        except OutcomeUnknown:
            await self.check_copies(state, table, copies, arrived=False)
            raise

    async def check_copies(
        self,
        state: TableState,
        table: MigratedTable,
        copies: Collection[Item],
        *,
        arrived: bool = True,
    ) -> None:
        """Take copies back that were just put where none was, if they might not have been sent any
        more; ``arrived`` as ``take_back`` has it. Raises LeaseExpired after it has taken them back.
        """
        try:
            vouch(self._epochs, state)
        except LeaseExpired:
            side = state.phase.leader.other
            await take_back(self._dynamo, self._effort.rest, table, side, copies, arrived=arrived)
            raise
