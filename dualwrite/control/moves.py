"""What a command means for each table: goals, and the rounds in which they are reached. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dualwrite.control.commands import ALL, CommandFailed, share_of
from dualwrite.core.phases import NEXT, Kind, Mode, Phase, Side, TableState, is_flip, route
from dualwrite.core.records import Command
from dualwrite.core.spec import MigratedTable, Migration

States = Mapping[str, TableState]


@dataclass(frozen=True, slots=True)
class Change:
    """One table's next state, and how the audit words it."""

    table: MigratedTable
    before: TableState
    after: TableState

    @property
    def flips(self) -> bool:
        return is_flip(self.before.phase, self.after.phase)

    @property
    def begins(self) -> bool:
        """Whether the copy is kept from now on, which it was not before."""
        return self.before.phase.mode is Mode.SINGLE and self.after.phase.mode is not Mode.SINGLE

    @property
    def words(self) -> tuple[str, str]:
        """Before and after, for people."""
        if self.before.phase is not self.after.phase:
            return self.before.phase.value, self.after.phase.value
        if self.before.shadow_share != self.after.shadow_share:
            return f"shadow {self.before.shadow_share} %", f"shadow {self.after.shadow_share} %"
        return f"reads {self.before.read_share} %", f"reads {self.after.read_share} %"


def targets(command: Command, migration: Migration) -> tuple[MigratedTable, ...]:
    """The tables a command is about."""
    if command.table == ALL:
        return migration.tables
    return (migration.by_name[command.table],)


# -- goals ----------------------------------------------------------------------------------


def goals_of(command: Command, migration: Migration, states: States) -> dict[str, str]:
    """Where each table should go: only those that have to. Raises CommandFailed."""
    tables = targets(command, migration)
    match command.verb:
        case "advance" if command.argument:
            phases = _advance_to(tables, states, Phase(command.argument))
        case "advance":
            phases = _advance(tables, states)
        case "flip":
            phases = _flip(tables, states)
        case "rollback":
            phases = _rollback(tables, states)
        case _:
            return _shares(command, tables, states)
    return {name: phase.value for name, phase in phases.items()}


def ahead(kind: Kind, phase: Phase) -> tuple[Phase, ...]:
    """All phases on the way forward, the next one first."""
    way: list[Phase] = []
    while phase is not Phase.DONE:
        phase = NEXT[kind][phase][0]
        way.append(phase)
    return tuple(way)


def _own(table: MigratedTable, goal: Phase) -> Phase:
    """An in-place table has fewer phases: it is mirrored while others are anywhere between."""
    if table.kind is Kind.REKEY or goal in NEXT[Kind.IN_PLACE]:
        return goal
    return Phase.MIRROR_OLD


def _advance(tables: tuple[MigratedTable, ...], states: States) -> dict[str, Phase]:
    leading = [table for table in tables if table.kind is Kind.REKEY] or list(tables)
    ways = [ahead(table.kind, states[table.name].phase) for table in leading]
    longest = max(ways, key=len)
    if not longest:
        raise CommandFailed("already done; nothing is ahead")
    goals = {table.name: _own(table, longest[0]) for table in tables}
    return {
        table.name: goals[table.name]
        for table in tables
        if goals[table.name] in ahead(table.kind, states[table.name].phase)
    }


def _advance_to(tables: tuple[MigratedTable, ...], states: States, goal: Phase) -> dict[str, Phase]:
    goals: dict[str, Phase] = {}
    for table in tables:
        phase, own = states[table.name].phase, _own(table, goal)
        if phase is own or (own is not goal and own not in ahead(table.kind, phase)):
            continue
        way = route(table.kind, phase, own)
        if way is None:
            raise CommandFailed(f"{table.name} cannot go from {phase.value} to {own.value}")
        if any(
            is_flip(start, step) and step.leader is Side.OLD
            for start, step in zip((phase, *way), way, strict=False)
        ):
            raise CommandFailed(
                f"{table.name} is in {phase.value}: the lead goes back to old by rollback only"
            )
        goals[table.name] = own
    return goals


def _flip(tables: tuple[MigratedTable, ...], states: States) -> dict[str, Phase]:
    """To new, and only there: who repeats a flip whose end he did not see must not undo it."""
    both = _two_sided(tables)
    for table in both:
        phase = states[table.name].phase
        if phase.mode is Mode.SINGLE:
            raise CommandFailed(
                f"{table.name} is {phase.value}: the lead changes hands only between two tables "
                "that are both written"
            )
    return {
        table.name: Phase.ATOMIC_NEW
        for table in both
        if states[table.name].phase.leader is Side.OLD
    }


def _rollback(tables: tuple[MigratedTable, ...], states: States) -> dict[str, Phase]:
    both = _two_sided(tables)
    for table in both:
        if states[table.name].phase is Phase.DONE:
            raise CommandFailed(
                f"{table.name} is done: old is no longer written, and going back would lose "
                "what was written since"
            )
    return {
        table.name: Phase.ATOMIC_OLD
        for table in both
        if states[table.name].phase.leader is Side.NEW
    }


def _two_sided(tables: tuple[MigratedTable, ...]) -> tuple[MigratedTable, ...]:
    both = tuple(table for table in tables if table.kind is Kind.REKEY)
    if not both:
        names = ", ".join(table.name for table in tables)
        raise CommandFailed(f"{names} is changed in place: it has one table and one leader")
    return both


def _shares(command: Command, tables: tuple[MigratedTable, ...], states: States) -> dict[str, str]:
    share = share_of(command.argument)
    assert share is not None, "problem_of has looked"
    both = [
        table for table in _two_sided(tables) if states[table.name].phase.mode is not Mode.SINGLE
    ]
    if not both:
        raise CommandFailed("reads are shared only while two tables are written")
    return {
        table.name: str(share)
        for table in both
        if _share(command.verb, states[table.name]) != share
    }


def _share(verb: str, state: TableState) -> int:
    return state.read_share if verb == "reads" else state.shadow_share


# -- rounds ---------------------------------------------------------------------------------


def next_round(
    command: Command, migration: Migration, goals: Mapping[str, str], states: States
) -> tuple[Change, ...]:
    """The changes to be made now, side by side; none where every goal is reached.

    Steps that every process sees, a flip and the end, wait until all tables stand before theirs.
    """
    ways = {
        name: _steps(command.verb, migration.by_name[name], states[name], goal)
        for name, goal in goals.items()
    }
    changes = {
        name: Change(migration.by_name[name], states[name], way[0])
        for name, way in ways.items()
        if way
    }
    free = tuple(change for change in changes.values() if not _is_great(change))
    if free or not changes:
        return free
    longest = max(len(ways[name]) for name in changes)
    return tuple(change for name, change in changes.items() if len(ways[name]) == longest)


def flip_ahead(change_from: TableState, goal: str) -> TableState | None:
    """The state from which the way to ``goal`` flips, where that is not where the table is."""
    state = change_from
    for step in route(Kind.REKEY, state.phase, Phase(goal)) or ():
        if is_flip(state.phase, step):
            return None if state is change_from else state
        state = replace(state, phase=step)
    return None


def _is_great(change: Change) -> bool:
    return change.flips or (
        change.after.phase is Phase.DONE and change.before.phase is not Phase.DONE
    )


def _steps(verb: str, table: MigratedTable, state: TableState, goal: str) -> tuple[TableState, ...]:
    following = replace(state, epoch=state.epoch + 1)
    if verb == "reads":
        share = int(goal)
        return () if state.read_share == share else (replace(following, read_share=share),)
    if verb == "shadow":
        share = int(goal)
        return () if state.shadow_share == share else (replace(following, shadow_share=share),)
    way = route(table.kind, state.phase, Phase(goal))
    if way is None:
        raise CommandFailed(f"{table.name} cannot go from {state.phase.value} to {goal}")
    return tuple(_at(table.kind, following, step) for step in way)


def _at(kind: Kind, following: TableState, step: Phase) -> TableState:
    state = following
    if is_flip(following.phase, step):
        state = replace(state, lead_epoch=following.epoch)
    if step.mode is Mode.SINGLE and kind is Kind.REKEY:
        # One table alone answers all reads.
        state = replace(state, read_share=0 if step is Phase.OFF else 100, shadow_share=0)
    return replace(state, phase=step)
