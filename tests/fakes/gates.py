"""A gate keeper that says what the test says."""

from dualwrite.core.phases import Phase, TableState
from dualwrite.core.records import GateVerdict
from dualwrite.core.spec import MigratedTable


class FakeGates:
    """Every gate is open but those named in ``closed``; ``judged`` is what was asked."""

    def __init__(self) -> None:
        self.closed: dict[tuple[str, str], GateVerdict] = {}
        """(table, goal, "reads" or "copy") -> the gate that is not open."""
        self.times = 1
        """How often each gate's verdict is told, as if there were so many."""
        self.judged: list[tuple[str, str, str]] = []
        """(table, phase it is in, goal, "reads N" or "copy")."""

    def close(self, table: str, goal: str, *, waits: bool = False, verdict: str = "closed") -> None:
        self.closed[table, goal] = GateVerdict("fake-gate", verdict, "the test says so", "x", waits)

    async def judge(
        self, table: MigratedTable, state: TableState, goal: Phase
    ) -> tuple[GateVerdict, ...]:
        self.judged.append((table.name, state.phase.value, goal.value))
        return self._verdicts(table.name, goal.value)

    async def judge_reads(
        self, table: MigratedTable, state: TableState, share: int
    ) -> tuple[GateVerdict, ...]:
        self.judged.append((table.name, state.phase.value, f"reads {share}"))
        return self._verdicts(table.name, "reads")

    async def judge_copy(self, table: MigratedTable, state: TableState) -> tuple[GateVerdict, ...]:
        self.judged.append((table.name, state.phase.value, "copy"))
        return self._verdicts(table.name, "copy")

    def _verdicts(self, table: str, goal: str) -> tuple[GateVerdict, ...]:
        found = self.closed.get((table, goal), GateVerdict("fake-gate", "open", "nothing is wrong"))
        return (GateVerdict("always-open", "open", "it always is"), *(found,) * self.times)
