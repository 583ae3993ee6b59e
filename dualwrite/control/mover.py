"""Moves tables along the square, one change of state a table at a time, gated and acknowledged."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable

import structlog

from dualwrite.control.audit import Audit
from dualwrite.control.commands import CommandFailed, GatesClosed, Order
from dualwrite.control.gatekeeper import GateKeeper
from dualwrite.control.membership import Membership
from dualwrite.control.moves import Change, States, flip_ahead, next_round
from dualwrite.control.settings import ControlSettings
from dualwrite.core.phases import Phase, Side, TableState
from dualwrite.core.ports import Clock, Records
from dualwrite.core.records import BACKFILL, BARRIER, OPEN, STATE, Barrier, GateVerdict, dump, load
from dualwrite.core.spec import Migration
from dualwrite.gathering import gathered

log = structlog.get_logger()

Verdicts = tuple[tuple[str, GateVerdict], ...]
"""(table, verdict) pairs."""


class Mover:
    """Every method may be broken off and begun again: all it goes by is in the records."""

    def __init__(
        self,
        records: Records,
        migration: Migration,
        clock: Clock,
        gates: GateKeeper,
        membership: Membership,
        audit: Audit,
        settings: ControlSettings,
        *,
        check_lease: Callable[[], None],
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        """``check_lease`` raises LeaseExpired where nothing may be changed any more."""
        self._records = records
        self._migration = migration
        self._clock = clock
        self._gates = gates
        self._membership = membership
        self._audit = audit
        self._settings = settings
        self._check_lease = check_lease
        self._new_id = new_id

    async def create_states(self) -> None:
        """Give every table that has none its first state. Raises EngineError, StateConflict."""
        held = {record.name for record in await self._records.list(STATE)}
        for table in self._migration.tables:
            if table.name not in held:
                state = TableState(table.name, 1, Phase.OFF)
                await self._records.write(STATE, table.name, dump(state), expected=0)

    async def states(self) -> States:
        """Every table's state. Raises EngineError."""
        held = {
            record.name: load(TableState, record.value)
            for record in await self._records.list(STATE)
        }
        return {
            table.name: held.get(table.name, TableState(table.name))
            for table in self._migration.tables
        }

    async def walk(self, order: Order) -> None:
        """Bring every table to its goal, or raise GatesClosed, CommandFailed or EngineError.

        Each round: all members acknowledged where we are, the gates are open, the states change,
        all members acknowledge where we are now.
        """
        goals = order.command.goals
        states = await self.states()
        await self._check_flips_ahead(order, states)
        while True:
            await self._audit.settle(order, states)
            await self.acknowledged(states[name] for name in goals)
            changes = next_round(order.command, self._migration, goals, states)
            if not changes:
                return
            await self._open(order, changes)
            await self._change(order, changes)
            states = await self.states()

    async def acknowledged(self, states: Iterable[TableState]) -> None:
        """Wait until all live members work under these states. Raises CommandFailed."""
        wanted = tuple(states)
        deadline = self._clock.monotonic_seconds() + self._settings.ack_wait_seconds
        while awaited := await self._membership.awaited(wanted):
            if self._clock.monotonic_seconds() >= deadline:
                raise CommandFailed(
                    f"not acknowledged within {self._settings.ack_wait_seconds:g} s by "
                    f"{'; '.join(awaited)}: nothing is lost, the tables stay where they are; "
                    "look at that process, then ask again"
                )
            await self._clock.sleep(self._settings.poll_seconds)

    async def until_open(self, judge: Callable[[], Awaitable[Verdicts]]) -> None:
        """Judge again and again while all that is closed may open by itself, bounded. Raises
        GatesClosed."""
        deadline = self._clock.monotonic_seconds() + self._settings.gate_wait_seconds
        while True:
            closed = _closed(await judge())
            if not closed:
                return
            in_vain = any(not gate.waits for _, gate in closed)
            if in_vain or self._clock.monotonic_seconds() >= deadline:
                raise GatesClosed(closed)
            await self._clock.sleep(self._settings.gate_poll_seconds)

    # -- gates -----------------------------------------------------------------------------

    async def _check_flips_ahead(self, order: Order, states: States) -> None:
        """Before the first step of a way that ends in a flip: is the flip hopeless anyway?"""
        if order.command.verb not in ("flip", "rollback"):
            return
        hopeless: list[tuple[str, GateVerdict]] = []
        for name, goal in order.command.goals.items():
            before = flip_ahead(states[name], goal)
            if before is None:
                continue
            table, flipped = self._migration.by_name[name], Phase(goal)
            verdicts = await self._gates.judge(table, before, flipped)
            hopeless += [
                (name, gate) for gate in verdicts if gate.verdict != OPEN and not gate.waits
            ]
        if hopeless:
            raise GatesClosed(tuple(hopeless))

    async def _open(self, order: Order, changes: tuple[Change, ...]) -> None:
        for change in changes:
            if change.flips:
                # Everybody is in atomic mode by now, so what this line finds on the streams is
                # the last that mirror mode may have left behind.
                barrier = Barrier(self._new_id(), self._clock.wall_ms())
                self._check_lease()
                await self._records.write(BARRIER, change.table.name, dump(barrier), expected=None)

        waiting = changes

        async def judge() -> Verdicts:
            # Evidence costs reads, and just now clients want the engine for themselves: look only
            # at the tables that were not ready, and at all of them once more in the end.
            nonlocal waiting
            verdicts = await self._judge_all(waiting)
            if waiting != changes and not _closed(verdicts):
                verdicts = await self._judge_all(changes)
            behind = {table for table, _ in _closed(verdicts)}
            waiting = tuple(change for change in changes if change.table.name in behind)
            return verdicts

        await self.until_open(judge)

    async def _judge_all(self, changes: tuple[Change, ...]) -> Verdicts:
        judged = await asyncio.gather(*(self._judge(change) for change in changes))
        return tuple(
            (change.table.name, gate)
            for change, gates in zip(changes, judged, strict=True)
            for gate in gates
        )

    async def _judge(self, change: Change) -> tuple[GateVerdict, ...]:
        before, after = change.before, change.after
        if before.phase is not after.phase:
            return await self._gates.judge(change.table, before, after.phase)
        if after.read_share == before.read_share:
            return ()  # shadow reads answer nobody
        to_new = after.read_share > before.read_share
        if to_new is (before.phase.leader is Side.NEW):
            return ()  # towards the leader is the way out, and needs no evidence
        return await self._gates.judge_reads(change.table, before, after.read_share)

    # -- the change itself -----------------------------------------------------------------

    async def _change(self, order: Order, changes: tuple[Change, ...]) -> None:
        for change in changes:
            await self._audit.intend(order, change)
        await gathered(self._compare_and_set(change) for change in changes)

    async def _compare_and_set(self, change: Change) -> None:
        held = await self._records.read(STATE, change.table.name)
        if held is None or load(TableState, held.value) != change.before:
            # Our own change whose answer was lost, perhaps: begin again with what is there.
            return
        if change.begins:
            await self._forget_backfill(change.table.name)
        self._check_lease()
        await self._records.write(
            STATE, change.table.name, dump(change.after), expected=held.version
        )
        before, after = change.words
        log.info(
            "state changed",
            table=change.table.name,
            before=before,
            after=after,
            epoch=change.after.epoch,
        )

    async def _forget_backfill(self, table: str) -> None:
        """What an earlier backfill copied has been let go of since: neither it nor a sweep that
        began after it says anything of the copy that is kept from now on."""
        held = await self._records.read(BACKFILL, table)
        if held is not None:
            self._check_lease()
            await self._records.delete(BACKFILL, table, expected=held.version)


def _closed(verdicts: Verdicts) -> Verdicts:
    return tuple((table, gate) for table, gate in verdicts if gate.verdict != OPEN)
