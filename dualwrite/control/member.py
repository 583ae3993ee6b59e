"""A process that works under epochs: it knows each table's state, holds a lease, acknowledges."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from dualwrite.control.lease import Lease
from dualwrite.control.tasks import together, within
from dualwrite.core import metric_names, records
from dualwrite.core.errors import (
    EngineError,
    LeaseExpired,
    OutcomeUnknown,
    StateConflict,
    Unanswered,
)
from dualwrite.core.phases import TableState
from dualwrite.core.ports import Clock, Metrics, Records
from dualwrite.core.spec import Migration
from dualwrite.starting import tried

TICKS_A_POLL = 4
"""How often between two polls it is looked whether an acknowledgement has become due."""

log = structlog.get_logger()


class _Held:
    """One table here: its state, and how much is in flight under it and under earlier epochs."""

    __slots__ = ("acked", "earlier", "in_flight", "state")

    def __init__(self, table: str) -> None:
        self.state = TableState(table)
        self.in_flight = 0
        self.earlier: dict[int, int] = {}
        self.acked = -1

    def switch(self, state: TableState) -> None:
        if self.in_flight:
            self.earlier[self.state.epoch] = self.in_flight
        self.in_flight = 0
        self.state = state

    def leave_earlier(self, epoch: int) -> None:
        left = self.earlier[epoch] - 1
        if left:
            self.earlier[epoch] = left
        else:
            del self.earlier[epoch]

    def acknowledged(self) -> int:
        """The epoch under which, and under nothing before it, this process works."""
        if not self.earlier:
            self.acked = self.state.epoch
        return self.acked

    def busy(self) -> bool:
        return bool(self.in_flight or self.earlier)


class Member:
    """The ``Epochs`` of this process. Each life of a process needs a ``process_id`` of its own: a
    successor under the same name would hide that its frozen predecessor still has work in flight.

    A state is applied at once for new work; its epoch is acknowledged, in the MEMBER record, when
    nothing begun under an earlier one is in flight. Trouble with the engine costs the lease at
    worst, and then no work begins until it is renewed *and* the states were read after that.
    """

    def __init__(
        self,
        records: Records,
        migration: Migration,
        clock: Clock,
        metrics: Metrics,
        *,
        role: str,
        process_id: str,
        lease_seconds: float = 3.0,
        poll_seconds: float = 0.2,
        port: int = 0,
        metrics_port: int = 0,
        pid: int = 0,
        held_back: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._records = records
        self._clock = clock
        self._metrics = metrics
        self._role = role
        self._process_id = process_id
        self._lease_seconds = lease_seconds
        self._poll_seconds = poll_seconds
        self._port = port
        self._metrics_port = metrics_port
        self._pid = pid
        self._held_back = held_back
        self._spec = migration.digest
        self._started_ms = clock.wall_ms()
        self._tables = {table.name: _Held(table.name) for table in migration.tables}
        self._polling = asyncio.Lock()
        self._broken = ""
        self._stopping = False
        self._lease = Lease(
            records,
            clock,
            process_id,
            seconds=lease_seconds,
            describe=self._describe,
            on_lapse=self._poll,
        )

    # -- the hot path ----------------------------------------------------------------------

    def enter(self, table: str) -> TableState:
        if self._clock.monotonic_seconds() >= self._lease.until:
            raise LeaseExpired(self._why_not())
        held = self._tables[table]
        held.in_flight += 1
        return held.state

    def leave(self, state: TableState) -> None:
        held = self._tables[state.table]
        if held.state.epoch == state.epoch:
            held.in_flight -= 1
        else:
            held.leave_earlier(state.epoch)

    def current(self, table: str) -> TableState:
        if self._clock.monotonic_seconds() >= self._lease.until:
            raise LeaseExpired(self._why_not())
        return self._tables[table].state

    async def look(self, table: str) -> TableState:
        record = await self._records.read(records.STATE, table)
        return records.load(TableState, record.value) if record else TableState(table)

    # -- the life of a process -------------------------------------------------------------

    async def start(self) -> None:
        """Register, then read every state: in this order, so that a controller which does not
        see us yet has written its state before we read. Raises EngineError, StateConflict."""
        try:
            await self._register()
        except OutcomeUnknown as error:
            raise Unanswered(f"this process could not be registered: {error}") from error
        except StateConflict as error:
            raise StateConflict(
                f"a member {self._process_id} is registered already: each start of a process "
                "needs an id of its own"
            ) from error
        log.info("registered", role=self._role, process=self._process_id)

    async def run(self) -> None:
        """Poll, renew and acknowledge until ``stop``; survives what the engine does.

        Raises StateConflict where this process can never work again: its record is another's
        now, or the control table was put back.
        """
        await together(self._poll_forever(), self._renew_forever())

    async def stop(self) -> None:
        """Begin nothing more, wait a lease's time for what is in flight, and deregister.

        Work that is still in flight then leaves the record to run out, and the controller waits.
        """
        self._stopping = True
        self._lease.suspend()
        deadline = self._clock.monotonic_seconds() + self._lease_seconds
        while self._busy() and self._clock.monotonic_seconds() < deadline:
            await self._clock.sleep(self._poll_seconds / TICKS_A_POLL)
        if self._busy():
            log.warning("stopped with work in flight", process=self._process_id)
            return
        try:
            await self._lease.release()
        except (EngineError, StateConflict) as error:
            log.warning("could not deregister", process=self._process_id, why=str(error))

    def lease_left_seconds(self) -> float:
        """How long this process may work without another renewal; 0 when it must not."""
        return max(0.0, self._lease.until - self._clock.monotonic_seconds())

    async def _register(self) -> None:
        try:
            await self._lease.take(expected=0)
        except EngineError:
            # Slow starts are common where everything starts at once; this looks before it writes.
            await tried(self._clock, self._lease.renew)

    # -- polling ---------------------------------------------------------------------------

    async def _poll_forever(self) -> None:
        said = ""
        while not self._stopping:
            try:
                await self._poll()
                said = ""
            except EngineError as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("could not read the states", why=said)
            self._metrics.set(metric_names.LEASE_SECONDS, value=self.lease_left_seconds())
            await self._clock.sleep(self._poll_seconds)

    async def _poll(self) -> None:
        # One at a time: each reads later than the one before, so an epoch never seems to fall.
        async with self._polling:
            listed = await within(
                self._clock, self._lease_seconds / 2, self._records.list(records.STATE)
            )
            states = {
                record.name: records.load(TableState, record.value)
                for record in listed
                if record.name in self._tables
            }
            for name, held in self._tables.items():
                self._apply(held, states.get(name, TableState(name)))

    def _apply(self, held: _Held, state: TableState) -> None:
        if state.epoch == held.state.epoch:
            return
        if state.epoch < held.state.epoch:
            self._broken = (
                f"the state of {state.table} went back from epoch {held.state.epoch} to "
                f"{state.epoch}: the control table was replaced; restart this process"
            )
            self._lease.suspend()
            raise StateConflict(self._broken)
        held.switch(state)
        self._metrics.set(metric_names.EPOCH, state.table, value=state.epoch)
        log.info(
            "epoch applied",
            table=state.table,
            epoch=state.epoch,
            phase=state.phase.value,
            read_share=state.read_share,
            in_flight_before=sum(held.earlier.values()),
        )

    # -- the lease -------------------------------------------------------------------------

    async def _renew_forever(self) -> None:
        tick = self._poll_seconds / TICKS_A_POLL
        said = ""
        while not self._stopping:
            if self._renewal_due():
                expired = self.lease_left_seconds() == 0.0
                try:
                    await self._lease.renew()
                except EngineError as error:
                    if str(error) != said:
                        said = str(error)
                        log.warning("could not renew the lease", why=said, expired=expired)
                    await self._clock.sleep(self._poll_seconds)
                else:
                    said = ""
                    if expired and not self._stopping:
                        log.warning("the lease had run out and is renewed")
            await self._clock.sleep(tick)

    def _renewal_due(self) -> bool:
        told = self._lease.told
        if told is None or told.acks != self._acks():
            return True
        if tuple(told.held_back) != tuple(self._held_back()):
            return True
        return self._clock.monotonic_seconds() - self._lease.sent >= self._lease_seconds / 3

    def _describe(self, counter: int) -> records.Member:
        return records.Member(
            role=self._role,
            pid=self._pid,
            counter=counter,
            lease_seconds=self._lease_seconds,
            acks=self._acks(),
            metrics_port=self._metrics_port,
            port=self._port,
            started_ms=self._started_ms,
            process=self._process_id,
            held_back=self._held_back(),
            spec=self._spec,
        )

    def _acks(self) -> dict[str, int]:
        return {name: held.acknowledged() for name, held in self._tables.items()}

    def _busy(self) -> bool:
        return any(held.busy() for held in self._tables.values())

    def _why_not(self) -> str:
        if self._broken:
            return self._broken
        if self._stopping:
            return f"{self._process_id} is stopping"
        return (
            f"{self._process_id} could not renew its lease of {self._lease_seconds:g} s and "
            "refuses to work until it can; is the control table reachable?"
        )
