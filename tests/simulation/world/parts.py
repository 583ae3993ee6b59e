"""The shipped processes, put together as ``dualwrite.wiring`` does, on simulated adapters."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from consumers.consumer import Consumer
from consumers.pace import Pace
from dualwrite.adapters.big_transactions import BigTransactionCounts
from dualwrite.adapters.control_table import ControlTable
from dualwrite.adapters.parents import ParentRows
from dualwrite.adapters.repair_queue import Repairs
from dualwrite.adapters.table_sizes import DescribedSizes
from dualwrite.control.controller import Controller
from dualwrite.control.member import Member
from dualwrite.control.settings import ControlSettings
from dualwrite.core.errors import DualwriteError
from dualwrite.core.records import MEMBER, Role
from dualwrite.core.spec import Migration
from dualwrite.proxy.proxy import Proxy
from tests.fakes.metrics import MemoryMetrics
from tests.simulation.machine.clock import SimClock
from tests.simulation.machine.loop import Killed, Lane, SimLoop
from tests.simulation.machine.network import Line, Network
from verifier.evidence import Policy
from verifier.gatekeeper import Gates
from verifier.sweep import Sweeper

PROXY, CONSUMER, CONTROL = "proxy", "consumer", "controller"
PACE = Pace(
    renew_seconds=1.5,
    silence_seconds=4.5,
    discover_seconds=2.0,
    control_seconds=1.0,
    poll_busy_seconds=0.3,
    poll_idle_seconds=1.5,
    match_seconds=0.5,
    match_lagging_seconds=1.0,
    barrier_margin_seconds=1.0,
    apply_seconds=0.25,
    batch_keys=20,
    page_records=20,
    tip_pages=4,
    unapplied_records_max=60,
    scan_page_items=6,
    repair_back_off_seconds=0.3,
    repair_back_off_seconds_max=4.0,
    back_off_seconds_max=2.0,
)
"""The same protocol over less time, and small enough that every bound is reached."""
SETTINGS = ControlSettings(
    gate_wait_seconds=8.0,
    ack_wait_seconds=20.0,
    verify_seconds_max=60.0,
    poll_seconds=0.5,
    gate_poll_seconds=1.0,
    watch_seconds=10.0,
)
POLICY = Policy(bypass_quiet_seconds=4.0)
LEASE_SECONDS = 3.0
POLL_SECONDS = 1.0
RESTART_SECONDS = (0.2, 3.0)


@dataclass
class Life:
    """One life of one process."""

    name: str
    """Who it is to the network."""
    role: str
    process_id: str
    lane: Lane
    clock: SimClock
    metrics: MemoryMetrics
    line: Line
    records: ControlTable
    random: Random
    proxy: Proxy | None = None
    member: Member | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class Fleet:
    """All processes, each begun again when it ends."""

    def __init__(
        self, loop: SimLoop, network: Network, migration: Migration, random: Random,
        count: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.lives: dict[str, Life] = {}
        """By slot; the newest life."""
        self.skews: dict[str, float] = {}
        self.deaths: dict[str, float] = {}
        """When a process of that name was killed, the last time."""
        self.pace = PACE
        self.closing = False
        self._loop = loop
        self._network = network
        self._migration = migration
        self._random = random
        self._count = count
        self._born = 0

    def start(self, name: str, role: str) -> None:
        """Begin a life in the slot ``name``."""
        self._born += 1
        process_id = f"{name}-{self._born}"
        lane = Lane(process_id)
        line = Line(self._network, lane, name)
        random = Random(self._random.getrandbits(64))
        skew = self.skews.get(name, 0.0)
        clock = SimClock(self._loop, lane, skew, random.random() * 1000)
        records = ControlTable(
            line, self._migration.control_table, clock=clock,
            new_id=lambda: f"{random.getrandbits(64):016x}",
        )  # fmt: skip
        life = Life(name, role, process_id, lane, clock, MemoryMetrics(), line, records, random)
        self.lives[name] = life
        self._loop.spawn(lane, self._live(life))

    def kill(self, name: str) -> None:
        """SIGKILL, and another life in a while. Not to be called from within a task."""
        life = self.lives[name]
        if not life.lane.dead:
            self.deaths[name] = self._loop.time()
            self._loop.kill(life.lane)
            self._restart(life)

    def freeze(self, name: str, seconds: float) -> None:
        """SIGSTOP for a while."""
        lane = self.lives[name].lane
        lane.awake_at = max(lane.awake_at, self._loop.time() + seconds)

    def slow(self, name: str, cost_seconds: float) -> None:
        self.lives[name].lane.cost = cost_seconds

    def skew(self, name: str, seconds: float) -> None:
        """Somebody sets the clock, now and for all further lives."""
        self.skews[name] = seconds
        self.lives[name].clock.skew_seconds = seconds

    def set_clocks_right(self) -> None:
        self.skews.clear()
        for life in self.lives.values():
            life.clock.skew_seconds = 0.0

    async def end(self, name: str) -> None:
        """SIGTERM."""
        self.lives[name].stop.set()

    def proxies(self) -> list[Life]:
        return [life for life in self.lives.values() if life.proxy and not life.lane.dead]

    def _restart(self, life: Life) -> None:
        if self.closing:
            return
        # A second controller finds the first one alive, ends, and looks again only after a while.
        low, high = RESTART_SECONDS if life.role != CONTROL else (1.0, 8.0)
        delay = low + self._random.random() * (high - low)
        # The supervisor's own context, not that of the process that ended.
        self._loop.call_later(
            delay, self.start, life.name, life.role, context=self._loop.main.context
        )

    async def _live(self, life: Life) -> None:
        work = {PROXY: self._proxy, CONSUMER: self._consumer, CONTROL: self._controller}
        try:
            await work[life.role](life)
            self._count(f"{life.role} ended in order")
        except DualwriteError as error:
            self._count(f"{life.role} ended by {type(error).__name__}")
        except Killed:
            return
        life.lane.check()
        self._loop.call_soon(self._gone, life, context=self._loop.main.context)

    def _gone(self, life: Life) -> None:
        if not life.lane.dead:
            self._loop.kill(life.lane)
            self._restart(life)

    # -- each role as its wiring ---------------------------------------------------------------

    def _member(self, life: Life, role: str, process_id: str) -> Member:
        return Member(
            life.records, self._migration, life.clock, life.metrics, role=role,
            process_id=process_id, lease_seconds=LEASE_SECONDS, poll_seconds=POLL_SECONDS,
        )  # fmt: skip

    async def _proxy(self, life: Life) -> None:
        member = self._member(life, "proxy", life.process_id)
        proxy = Proxy(
            life.line, self._migration, member,
            ParentRows(life.line, self._migration, member, life.clock),
            Repairs(life.records, life.clock), life.clock, life.metrics,
            process_id=life.process_id,
            big_transactions=BigTransactionCounts(
                life.records, life.clock, process_id=life.process_id
            ),
            random=life.random,
        )  # fmt: skip
        await member.start()
        life.member, life.proxy = member, proxy
        await self._until_stopped(life, [member.run()], member.stop)

    async def _consumer(self, life: Life) -> None:
        member = self._member(life, "consumer", life.process_id)
        consumer = Consumer(
            life.line, life.records, self._migration, member,
            ParentRows(life.line, self._migration, member, life.clock),
            Repairs(life.records, life.clock), life.clock, life.metrics,
            process_id=life.process_id, pace=self.pace, random=life.random,
        )  # fmt: skip
        await member.start()
        life.member = member
        await self._until_stopped(life, [member.run(), consumer.run()], consumer.stop, member.stop)

    async def _controller(self, life: Life) -> None:
        member = self._member(life, "verifier", f"{life.process_id}v")
        sweeper = Sweeper(
            life.line, life.records, self._migration, member,
            ParentRows(life.line, self._migration, member, life.clock),
            Repairs(life.records, life.clock), life.clock, life.metrics,
            process_id=life.process_id,
        )  # fmt: skip
        controller = Controller(
            life.records, self._migration, life.clock, life.metrics, self.gates(life),
            DescribedSizes(life.line), process_id=life.process_id, lease_seconds=LEASE_SECONDS,
            request_life_seconds=self._network.life_seconds, settings=SETTINGS,
        )  # fmt: skip

        async def sweeps() -> None:
            while True:
                held = await life.records.read(MEMBER, Role.CONTROLLER)
                if held is not None and held.value.get("process") == life.process_id:
                    break
                await life.clock.sleep(0.5)
            await member.start()
            await asyncio.gather(member.run(), sweeper.run())

        await self._until_stopped(
            life, [controller.run(), sweeps()], sweeper.stop, member.stop, controller.stop
        )

    def gates(self, life: Life) -> Gates:
        return Gates(life.records, self._migration, life.clock, policy=POLICY)

    async def _until_stopped(
        self, life: Life, works: list[Any], *stops: Callable[[], Awaitable[None]]
    ) -> None:
        """Run all until a stop is asked for or one ends; then stop in order."""
        tasks = [asyncio.ensure_future(work) for work in works]
        stopped = asyncio.ensure_future(life.stop.wait())
        try:
            await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
            for stop in stops:
                await stop()
        finally:
            for task in [*tasks, stopped]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
