"""The one process that changes states: it carries out commands, one after the other.

All it goes by is in the records, so it may be killed at any moment; its successor takes up the
command that was running and goes on from where the tables are.
"""

import asyncio
from dataclasses import replace

import structlog

from dualwrite.control import commands
from dualwrite.control.audit import Audit
from dualwrite.control.commands import CommandFailed, GatesClosed, Order, Outcome
from dualwrite.control.gatekeeper import GateKeeper
from dualwrite.control.lease import Lease
from dualwrite.control.membership import Membership
from dualwrite.control.mover import Mover
from dualwrite.control.moves import goals_of, targets
from dualwrite.control.orders import Orders
from dualwrite.control.settings import ControlSettings
from dualwrite.control.tasks import together
from dualwrite.control.watch import Watch
from dualwrite.core.errors import (
    DualwriteError,
    EngineError,
    LeaseExpired,
    StateConflict,
)
from dualwrite.core.ports import Clock, Metrics, Record, Records, TableSizes
from dualwrite.core.records import MEMBER, Member, Role, load
from dualwrite.core.spec import Migration
from dualwrite.starting import tried

log = structlog.get_logger()


class Controller:
    """Carries out COMMAND records while it holds the one controller's lease."""

    def __init__(
        self,
        records: Records,
        migration: Migration,
        clock: Clock,
        metrics: Metrics,
        gates: GateKeeper,
        sizes: TableSizes,
        *,
        process_id: str,
        lease_seconds: float = 3.0,
        request_life_seconds: float = 12.0,
        settings: ControlSettings | None = None,
        pid: int = 0,
        metrics_port: int = 0,
    ) -> None:
        """``request_life_seconds``: longer than any request of any process can be under way."""
        self._records = records
        self._migration = migration
        self._clock = clock
        self._process_id = process_id
        self._lease_seconds = lease_seconds
        self._request_life_seconds = request_life_seconds
        self._settings = settings or ControlSettings()
        self._pid = pid
        self._metrics_port = metrics_port
        self._started_ms = clock.wall_ms()
        self.controls = False
        """Whether the lease was taken."""
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._lease = Lease(
            records,
            clock,
            Role.CONTROLLER,
            seconds=lease_seconds,
            describe=self._describe,
            on_lapse=_nothing,
        )
        self._audit = Audit(records, clock)
        membership = Membership(records, clock, request_life_seconds=request_life_seconds)
        self._mover = Mover(
            records,
            migration,
            clock,
            gates,
            membership,
            self._audit,
            self._settings,
            check_lease=self._check_lease,
        )
        self._orders = Orders(
            records, migration, clock, gates, self._mover, self._audit, self._settings, sizes
        )
        self._watch = Watch(
            records,
            migration,
            clock,
            metrics,
            gates,
            self._mover,
            pause_seconds=self._settings.watch_seconds,
        )

    async def run(self) -> None:
        """Control until ``stop``; survives what the engine does.

        Raises StateConflict where another controller is alive, now or later, and EngineError
        where the engine cannot be asked at the start.
        """
        self._ended.clear()
        try:
            await together(self._control(), self._until_stopped())
        finally:
            try:
                await self._release()
            finally:
                self._ended.set()

    async def stop(self) -> None:
        """End ``run`` and wait until it has given up the lease; a command that is running is
        taken up by the next controller."""
        self._stopping.set()
        await self._ended.wait()

    async def _control(self) -> None:
        await self._take_over()
        self.controls = True
        log.info("controlling", process=self._process_id)
        await together(self._renew_forever(), self._command_forever(), self._watch.run())

    async def _until_stopped(self) -> None:
        await self._stopping.wait()

    # -- the lease -------------------------------------------------------------------------

    async def _take_over(self) -> None:
        """Take the lease, if need be after having watched it run out and the last request of its
        holder end. Raises StateConflict where its holder lives, and EngineError where the engine
        cannot be asked at the start."""
        await tried(self._clock, self._held)
        first: Member | None = None
        since, said = 0.0, ""
        while True:
            asked = self._clock.monotonic_seconds()
            try:
                held = await self._held()
                holder = load(Member, held.value) if held else None
                # A take whose answer was lost may have arrived.
                ours = holder is not None and holder.process == self._process_id
                over = holder is None or ours
                if holder is not None and not ours:
                    if first is None:
                        first, since = holder, self._clock.monotonic_seconds()
                        log.info("another controller was here", pid=holder.pid)
                    _check_silent(first, holder)
                    over = asked - since >= holder.lease_seconds + self._request_life_seconds
                if over and await self._taken(held.version if held else 0, ours):
                    return
            except EngineError as error:
                # What was seen until now stands: the watch goes on where it was.
                if str(error) != said:
                    said = str(error)
                    log.warning("could not take over yet", why=said)
            await self._clock.sleep(self._settings.poll_seconds)

    async def _held(self) -> Record | None:
        return await self._records.read(MEMBER, Role.CONTROLLER)

    async def _taken(self, expected: int, ours: bool) -> bool:
        """Whether the lease is ours now; False where somebody was faster, whom the next look finds.
        Raises EngineError."""
        try:
            await (self._lease.renew() if ours else self._lease.take(expected))
        except StateConflict:
            return False
        return True

    async def _renew_forever(self) -> None:
        while True:
            await self._clock.sleep(self._lease_seconds / 3)
            try:
                await self._lease.renew()
            except EngineError as error:
                log.warning("could not renew the controller's lease", why=str(error))

    async def _release(self) -> None:
        try:
            await self._lease.release()
        except StateConflict:
            return  # it is another's, who was there before or came after
        except EngineError as error:
            log.warning("could not give up the controller's lease", why=str(error))

    def _check_lease(self) -> None:
        if self._clock.monotonic_seconds() >= self._lease.until:
            raise LeaseExpired("the controller could not renew its lease and changes nothing")

    def _describe(self, counter: int) -> Member:
        return Member(
            role=Role.CONTROLLER,
            pid=self._pid,
            counter=counter,
            lease_seconds=self._lease_seconds,
            metrics_port=self._metrics_port,
            started_ms=self._started_ms,
            process=self._process_id,
            spec=self._migration.digest,
        )

    # -- commands --------------------------------------------------------------------------

    async def _command_forever(self) -> None:
        created, said = False, ""
        while True:
            try:
                if not created:
                    await self._mover.create_states()
                    created = True
                for order in await commands.unfinished(self._records):
                    await self._carry_out(order)
                said = ""
            except (EngineError, LeaseExpired, StateConflict) as error:
                # The command stays as it is and is taken up again: whatever was reached stands.
                if str(error) != said:
                    said = str(error)
                    log.warning("the work on commands is interrupted", why=said)
            await self._clock.sleep(self._settings.poll_seconds)

    async def _carry_out(self, order: Order) -> None:
        """One command, to its end or, for a sweep, one look at it."""
        self._check_lease()
        try:
            if order.command.status == commands.ASKED:
                order = await self._begin(order)
            outcome = await self._execute(order)
            if outcome is not None:
                await self._finish(order, outcome)
        except GatesClosed as error:
            await self._finish(order, Outcome(commands.REFUSED), error)
        except CommandFailed as error:
            await self._finish(order, Outcome(commands.FAILED, (str(error),)))
        except DualwriteError:
            raise
        except Exception as error:
            # One command that trips over a mistake of ours must not keep all others waiting.
            log.exception("a command failed", command=order.id)
            mistake = f"a mistake of ours ({type(error).__name__}); see the log"
            await self._finish(order, Outcome(commands.FAILED, (mistake,)))

    async def _begin(self, order: Order) -> Order:
        command = order.command
        commands.check_awaited(command, self._clock.wall_ms())
        problem = commands.problem_of(command, self._migration)
        if problem:
            raise CommandFailed(problem)
        goals: dict[str, str] = {}
        if command.verb == commands.VERIFY:
            goals = await self._orders.order_sweeps(order)
        elif command.verb in commands.MOVES | commands.SHARES:
            goals = goals_of(command, self._migration, await self._mover.states())
        log.info("command begins", command=order.id, verb=command.verb, table=command.table)
        return await commands.written(
            self._records, order, replace(command, status=commands.RUNNING, goals=goals)
        )

    async def _execute(self, order: Order) -> Outcome | None:
        """What was done, or None where it is not over yet."""
        verb = order.command.verb
        if verb in commands.BACKFILLS:
            return Outcome(said=await self._orders.backfill(order))
        if verb == commands.VERIFY:
            return await self._orders.swept(order)
        await self._mover.walk(order)
        return Outcome()

    async def _finish(
        self, order: Order, outcome: Outcome, closed: GatesClosed | None = None
    ) -> None:
        made = await self._audit.settle(order, await self._mover.states(), last=True)
        if closed is not None:
            await self._note_refusal(order, closed)
        moved = (f"{e.table}: {e.before} -> {e.after} (epoch {e.epoch})" for e in made if e.epoch)
        gates = closed.listed() if closed else ()
        said = (*moved, *outcome.said)
        if closed is not None and len(gates) < len(closed.closed):
            said = (*said, f"{closed}, of which the first {len(gates)} are")
        command = replace(
            order.command,
            status=outcome.status,
            said=said if said or closed else ("nothing had to be done",),
            gates=gates,
            clean=outcome.clean,
        )
        await commands.written(self._records, order, command)
        log.info("command ends", command=order.id, status=command.status, message=command.message)

    async def _note_refusal(self, order: Order, closed: GatesClosed) -> None:
        names = ", ".join(sorted({gate.gate for _, gate in closed.closed}))
        states = await self._mover.states()
        for table in targets(order.command, self._migration):
            goal = order.command.goals.get(table.name)
            if goal is not None:
                before = states[table.name].phase.value
                await self._audit.note(order, table.name, before, goal, f"refused: {names}")


def _check_silent(first: Member, holder: Member) -> None:
    """Raises StateConflict where the holder is not as it was first seen: it lives."""
    if (holder.counter, holder.process) != (first.counter, first.process):
        raise StateConflict(
            f"a controller is running already ({holder.process}, pid {holder.pid}); "
            "there is one for a migration: stop that one first"
        )


async def _nothing() -> None:
    """A controller that lost its lease goes by the records anyway."""
