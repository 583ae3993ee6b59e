"""The ``Epochs`` port with states that the test sets."""

from dualwrite.core.errors import LeaseExpired
from dualwrite.core.phases import Phase, TableState


class SetEpochs:
    """Every table stands where the test put it; ``expired`` takes the lease away."""

    def __init__(self, phase: Phase = Phase.OFF, *, epoch: int = 1, read_share: int = 0) -> None:
        self.default = TableState("", epoch, phase, read_share)
        self.states: dict[str, TableState] = {}
        self.expired = False
        self.in_flight = 0

    def enter(self, table: str) -> TableState:
        state = self.current(table)
        self.in_flight += 1
        return state

    def leave(self, state: TableState) -> None:
        self.in_flight -= 1

    def current(self, table: str) -> TableState:
        if self.expired:
            raise LeaseExpired("the lease of this process has run out")
        found = self.states.get(table)
        if found is not None:
            return found
        base = self.default
        return TableState(table, base.epoch, base.phase, base.read_share)

    async def look(self, table: str) -> TableState:
        return self.current(table)
