"""Backfills and sweeps: the controller orders them, the consumers carry them out."""

from dataclasses import replace

from dualwrite.control.audit import Audit
from dualwrite.control.commands import ALL, CommandFailed, Order, backfill_of
from dualwrite.control.mover import Mover, Verdicts
from dualwrite.control.moves import States, targets
from dualwrite.control.settings import ControlSettings
from dualwrite.core.errors import StateConflict
from dualwrite.core.phases import Kind, Mode, Side, TableState
from dualwrite.core.ports import Clock, Records
from dualwrite.core.records import (
    BACKFILL,
    SEGMENT,
    STREAM,
    SWEEP,
    SWEPT,
    BackfillOrder,
    Command,
    GateVerdict,
    Segment,
    StreamProgress,
    SweepOrder,
    SweepResult,
    dump,
    load,
)
from dualwrite.core.spec import MigratedTable, Migration

RUN, PAUSE = "run", "pause"
RACES_MAX = 8
EVIDENCE_SECONDS_MAX = 10.0
"""A stream whose reader has not reported for this long counts as unread."""


class Orders:
    """A run is named after its command, so that ordering it again changes nothing."""

    def __init__(
        self,
        records: Records,
        migration: Migration,
        clock: Clock,
        mover: Mover,
        audit: Audit,
        settings: ControlSettings,
    ) -> None:
        self._records = records
        self._migration = migration
        self._clock = clock
        self._mover = mover
        self._audit = audit
        self._settings = settings

    # -- backfill --------------------------------------------------------------------------

    async def backfill(self, order: Order) -> str:
        """Start, pause or resume backfills; what was done, in words. Raises CommandFailed,
        GatesClosed, EngineError."""
        if order.command.verb == "backfill-start":
            return await self._start(order)
        wanted, was = (PAUSE, RUN) if order.command.verb == "backfill-pause" else (RUN, PAUSE)
        said = []
        for table in targets(order.command, self._migration):
            if await self._want(table, wanted):
                await self._audit.note(order, table.name, f"backfill {was}", f"backfill {wanted}")
                said.append(f"{table.name}: backfill {wanted}")
        if not said:
            raise CommandFailed(f"no backfill is there to {wanted}; see: dualwrite backfill start")
        return "; ".join(said)

    async def _start(self, order: Order) -> str:
        states = await self._mover.states()
        tables = [
            table
            for table in targets(order.command, self._migration)
            if states[table.name].phase.mode is Mode.MIRROR
        ]
        if not tables:
            raise CommandFailed(
                f"a backfill starts in mirror, and {_where(order.command, self._migration, states)}"
            )
        await self._mover.acknowledged(states[table.name] for table in tables)

        async def streams_read() -> Verdicts:
            return tuple([(table.name, await self._streams_read(table)) for table in tables])

        await self._mover.until_open(streams_read)
        said = [f"{table.name}: {await self._start_one(order, table)}" for table in tables]
        return "; ".join(said)

    async def _start_one(self, order: Order, table: MigratedTable) -> str:
        parsed = backfill_of(order.command.argument)
        assert parsed is not None, "problem_of has looked"
        segments, units, together = parsed
        held = await self._records.read(BACKFILL, table.name)
        if held is not None:
            before = load(BackfillOrder, held.value)
            if before.run != order.id and not await self._complete(table, before):
                return f"its backfill is not over yet ({before.wanted}), and goes on"
        if held is None or load(BackfillOrder, held.value).run != order.id:
            wanted = BackfillOrder(
                run=order.id,
                wanted=RUN,
                segments=segments,
                asked_ms=self._clock.wall_ms(),
                units_per_second_max=units,
                items_together=together,
            )
            await self._records.write(
                BACKFILL, table.name, dump(wanted), expected=held.version if held else 0
            )
        await self._audit.note(order, table.name, "", f"backfill {RUN}")
        return f"backfill ordered in {segments} segments"

    async def _streams_read(self, table: MigratedTable) -> GateVerdict:
        """What the backfill copies too early is cured by the streams, so they are read first."""
        sides = (Side.OLD,) if table.kind is Kind.IN_PLACE else (Side.OLD, Side.NEW)
        for side in sides:
            record = await self._records.read(STREAM, f"{table.name}/{side.value}")
            seen = load(StreamProgress, record.value) if record else None
            if seen is None or not self._is_read(seen):
                return GateVerdict(
                    "streams_read",
                    "closed",
                    f"nobody reads the stream of the {side.value} table; "
                    "is `dualwrite consume` running?",
                    see="dualwrite status",
                    waits=True,
                )
        return GateVerdict("streams_read", "open", "the streams are read")

    def _is_read(self, seen: StreamProgress) -> bool:
        age_seconds = (self._clock.wall_ms() - seen.updated_ms) / 1000
        return seen.unbroken_since_ms > 0 and age_seconds <= EVIDENCE_SECONDS_MAX

    async def _complete(self, table: MigratedTable, order: BackfillOrder) -> bool:
        segments = await self._records.list(SEGMENT, f"{table.name}/{order.run}/")
        done = sum(load(Segment, segment.value).done for segment in segments)
        return done >= order.segments

    async def _want(self, table: MigratedTable, wanted: str) -> bool:
        """Whether there is an unfinished backfill; it is told what is wanted of it now."""
        for _ in range(RACES_MAX):
            held = await self._records.read(BACKFILL, table.name)
            if held is None:
                return False
            order = load(BackfillOrder, held.value)
            if await self._complete(table, order):
                return False
            if order.wanted == wanted:
                return True
            try:
                await self._records.write(
                    BACKFILL,
                    table.name,
                    dump(replace(order, wanted=wanted)),
                    expected=held.version,
                )
            except StateConflict:
                continue
            return True
        raise CommandFailed(f"{table.name}: its backfill order keeps changing; ask again")

    # -- verify ----------------------------------------------------------------------------

    async def order_sweeps(self, order: Order) -> dict[str, str]:
        """Order one sweep a table; gives table -> run. Raises CommandFailed, EngineError."""
        states = await self._mover.states()
        tables = [
            table
            for table in targets(order.command, self._migration)
            if states[table.name].phase.mode is not Mode.SINGLE
        ]
        if not tables:
            raise CommandFailed(
                "only tables between off and done are compared, and "
                f"{_where(order.command, self._migration, states)}"
            )
        for table in tables:
            held = await self._records.read(SWEEP, table.name)
            if held is None or load(SweepOrder, held.value).run != order.id:
                wanted = SweepOrder(order.id, self._clock.wall_ms())
                await self._records.write(
                    SWEEP, table.name, dump(wanted), expected=held.version if held else 0
                )
            await self._audit.note(order, table.name, "", "sweep ordered")
        return {table.name: order.id for table in tables}

    async def swept(self, order: Order) -> tuple[bool, str]:
        """Whether all sweeps of a command are over, and what they found so far. Raises
        CommandFailed, EngineError."""
        waited_ms = self._clock.wall_ms() - order.command.asked_ms
        if waited_ms > self._settings.verify_seconds_max * 1000:
            raise CommandFailed(
                f"not swept within {self._settings.verify_seconds_max:g} s; "
                "is `dualwrite consume` running?"
            )
        over, said = True, []
        wanted = {
            record.name: load(SweepOrder, record.value).run
            for record in await self._records.list(SWEEP)
        }
        results = {
            record.name: load(SweepResult, record.value)
            for record in await self._records.list(SWEPT)
        }
        for name, run in order.command.goals.items():
            if wanted.get(name) != run:
                raise CommandFailed(
                    f"{name}: a newer sweep was ordered, and takes this one's place"
                )
            result = results.get(name)
            if result is None or result.run != run or not result.done:
                over = False
                said.append(f"{name}: under way, {result.compared if result else 0} compared")
            else:
                said.append(f"{name}: {_found(result)}")
        return over, "; ".join(said)


def _found(result: SweepResult) -> str:
    if result.clean:
        return f"clean, {result.compared} compared"
    counts = {
        "errors (nothing is proven)": result.errors,
        "missing": result.missing,
        "extra": result.extra,
        "different": result.different,
    }
    listed = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"not clean, {result.compared} compared, {listed}"


def _where(command: Command, migration: Migration, states: States) -> str:
    if command.table == ALL:
        return "no table is there"
    state: TableState = states[command.table]
    return f"{command.table} is {state.phase.value}"
