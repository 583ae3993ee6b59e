"""Backfills and sweeps: the controller orders them, the consumers carry them out."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from dualwrite.control.audit import Audit
from dualwrite.control.commands import ALL, CommandFailed, Order, Outcome
from dualwrite.control.copying import Copying, copying_of
from dualwrite.control.gatekeeper import GateKeeper
from dualwrite.control.mover import Mover, Verdicts
from dualwrite.control.moves import States, targets
from dualwrite.control.settings import ControlSettings
from dualwrite.copied import progress
from dualwrite.core.backfills import segments_for, segments_prefix
from dualwrite.core.errors import StateConflict
from dualwrite.core.phases import Mode, TableState, is_followed
from dualwrite.core.ports import Clock, Records, TableSizes
from dualwrite.core.records import (
    BACKFILL,
    PAUSE,
    RUN,
    SEGMENT,
    SWEEP,
    SWEPT,
    BackfillOrder,
    Command,
    SweepOrder,
    SweepResult,
    dump,
    load,
)
from dualwrite.core.spec import MigratedTable, Migration

RACES_MAX = 8


class Orders:
    """A run is named after its command, so that ordering it again changes nothing."""

    def __init__(
        self,
        records: Records,
        migration: Migration,
        clock: Clock,
        gates: GateKeeper,
        mover: Mover,
        audit: Audit,
        settings: ControlSettings,
        sizes: TableSizes,
    ) -> None:
        self._sizes = sizes
        self._records = records
        self._migration = migration
        self._clock = clock
        self._gates = gates
        self._mover = mover
        self._audit = audit
        self._settings = settings

    # -- backfill --------------------------------------------------------------------------

    async def backfill(self, order: Order) -> tuple[str, ...]:
        """Start, change, pause or resume backfills; what was done, in words. Raises CommandFailed,
        GatesClosed, EngineError."""
        verb = order.command.verb
        told = copying_of(order.command.argument)
        assert told is not None, "problem_of has looked"
        if verb == "backfill-start":
            return await self._start(order, told)
        revisions: dict[str, Callable[[BackfillOrder], BackfillOrder]] = {
            "backfill-change": told.applied,
            "backfill-pause": lambda held: replace(held, wanted=PAUSE),
            "backfill-resume": lambda held: replace(held, wanted=RUN),
        }
        said = []
        for table in targets(order.command, self._migration):
            revised = await self._revised(table, revisions[verb])
            if revised is not None:
                before, after = revised
                await self._audit.note(order, table.name, _words(before), _words(after))
                said.append(f"{table.name}: {_words(after)}")
        if not said:
            wish = verb.removeprefix("backfill-")
            raise CommandFailed(f"no backfill is there to {wish}; see: dualwrite backfill start")
        return tuple(said)

    async def _start(self, order: Order, told: Copying) -> tuple[str, ...]:
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

        async def judge() -> Verdicts:
            return tuple(
                [
                    (table.name, verdict)
                    for table in tables
                    for verdict in await self._gates.judge_copy(table, states[table.name])
                ]
            )

        await self._mover.until_open(judge)
        said = [f"{table.name}: {await self._start_one(order, table, told)}" for table in tables]
        left_out = [
            f"{table.name}: left out, for it is {states[table.name].phase.value}"
            for table in targets(order.command, self._migration)
            if table not in tables
        ]
        return (*said, *left_out)

    async def _start_one(self, order: Order, table: MigratedTable, told: Copying) -> str:
        held = await self._records.read(BACKFILL, table.name)
        before = None if held is None else load(BackfillOrder, held.value)
        if (
            before is not None
            and before.run != order.id
            and not await self._complete(table, before)
        ):
            return f"its backfill is not over yet ({before.wanted}), and goes on"
        if before is not None and before.run == order.id:
            wanted = before
        else:
            size = await self._sizes.size(table.old.name)
            first = BackfillOrder(
                run=order.id,
                wanted=RUN,
                segments=told.segments or segments_for(size),
                asked_ms=self._clock.wall_ms(),
                items_estimate=size.items,
                bytes_estimate=size.bytes,
            )
            wanted = told.applied(first)
            await self._records.write(
                BACKFILL, table.name, dump(wanted), expected=held.version if held else 0
            )
        await self._forget_others(table, wanted)
        await self._audit.note(order, table.name, "", _words(wanted))
        return f"backfill ordered in {wanted.segments} segments"

    async def _complete(self, table: MigratedTable, order: BackfillOrder) -> bool:
        return (await progress(self._records, table.name, order)).complete

    async def _revised(
        self, table: MigratedTable, revise: Callable[[BackfillOrder], BackfillOrder]
    ) -> tuple[BackfillOrder, BackfillOrder] | None:
        """An unfinished backfill's order before and after; None where there is none."""
        for _ in range(RACES_MAX):
            held = await self._records.read(BACKFILL, table.name)
            if held is None:
                return None
            before = load(BackfillOrder, held.value)
            if await self._complete(table, before):
                return None
            after = revise(before)
            if after != before:
                try:
                    await self._records.write(
                        BACKFILL, table.name, dump(after), expected=held.version
                    )
                except StateConflict:
                    continue
            await self._forget_others(table, after)
            return before, after
        raise CommandFailed(f"{table.name}: its backfill order keeps changing; ask again")

    async def _forget_others(self, table: MigratedTable, order: BackfillOrder) -> None:
        """Remove the segments of other runs and splits: nobody asks for them any more. What is
        left, because its owner wrote it just now, goes the next time."""
        for record in await self._records.list(SEGMENT, f"{table.name}/"):
            if not record.name.startswith(segments_prefix(table.name, order)):
                with suppress(StateConflict):
                    await self._records.delete(SEGMENT, record.name, expected=record.version)

    # -- verify ----------------------------------------------------------------------------

    async def order_sweeps(self, order: Order) -> dict[str, str]:
        """Order one sweep a table; gives table -> run. Raises CommandFailed, EngineError."""
        states = await self._mover.states()
        tables = [
            table
            for table in targets(order.command, self._migration)
            if is_followed(table.kind, states[table.name].phase)
        ]
        if not tables:
            raise CommandFailed(
                "only tables that are kept equal are compared (in-place ones in done too), and "
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

    async def swept(self, order: Order) -> Outcome | None:
        """What the sweeps of a command found; None while one is under way. Raises CommandFailed,
        EngineError."""
        waited_ms = self._clock.wall_ms() - order.command.asked_ms
        if waited_ms > self._settings.verify_seconds_max * 1000:
            raise CommandFailed(
                f"not swept within {self._settings.verify_seconds_max:g} s; "
                "is `dualwrite consume` running?"
            )
        said = []
        clean = True
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
                return None
            clean = clean and result.clean
            said.append(f"{name}: {_found(result)}")
        return Outcome(said=tuple(said), clean=clean)


def _words(order: BackfillOrder) -> str:
    told = Copying(
        order.segments,
        order.read_units_per_second_max or None,
        order.write_units_per_second_max or None,
        order.items_together if order.items_together > 1 else None,
    )
    return f"backfill {order.wanted} {told.words}"


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
