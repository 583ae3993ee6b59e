"""One run: everything is put together, lives through its plan, comes to rest, and is judged."""

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from logging import CRITICAL
from random import Random

import orjson
import structlog

from dualwrite.adapters.control_table import ControlTable
from dualwrite.control.commands import ASKED, RUNNING
from dualwrite.core.errors import DualwriteError
from dualwrite.core.phases import Kind, Mode
from dualwrite.core.records import COMMAND, REPAIR
from tests.simulation.checks.history import History, State, Value
from tests.simulation.checks.invariants import Over, judge, watch_states
from tests.simulation.checks.watch import Violation, Watch
from tests.simulation.engine import Commit, FakeDynamo
from tests.simulation.machine.clock import EPOCH_SECONDS, SimClock
from tests.simulation.machine.loop import Lane, SimLoop, Stuck
from tests.simulation.machine.network import Line, Network
from tests.simulation.world.bypass import Bypass
from tests.simulation.world.clients import WIDE, Client, Habits
from tests.simulation.world.operator import Operator
from tests.simulation.world.parts import CONSUMER, CONTROL, PACE, PROXY, Fleet
from tests.simulation.world.plan import Plan
from tests.simulation.world.tables import (
    CONTROL_TABLE,
    base_item,
    create,
    key_in,
    keys_of,
    migration_of,
)
from tests.simulation.world.weather import Sky
from verifier import sweep

TIMEOUT_SECONDS = 2.0
MARGIN_SECONDS = 1.0
REST_SECONDS_MAX = 120.0
STILL_SECONDS = 3.0
SWEEP_POLL_SECONDS = 1.0
READING_SECONDS = 0.5
"""What a stream keeps records longer than its consumers count on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run showed. Equal traces: the same things happened at the same moments."""

    plan: Plan
    violations: tuple[Violation, ...]
    counts: Counter[str]
    trace: str
    seconds: float
    steps: int


class World:
    """Everything of one run. ``run`` may be called once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.counts: Counter[str] = Counter()
        self.loop = SimLoop(self._random("order"))
        self.engine = FakeDynamo(self._now, self._random("engine"))
        self.migration = migration_of(plan.tables)
        create(self.engine, self.migration)
        self.watch = Watch(self.engine, self.migration, CONTROL_TABLE, self.loop.time, self._count)
        watch_states(self.watch, self.migration, self.loop.time, stops=plan.stops)
        self._digest = hashlib.blake2b(digest_size=16)
        self.engine.watchers.append(self._trace)
        self.network = Network(
            self.loop, self.engine, self._random("network"), control_table=CONTROL_TABLE,
            timeout_seconds=TIMEOUT_SECONDS, margin_seconds=MARGIN_SECONDS, count=self._count,
        )  # fmt: skip
        self.fleet = Fleet(
            self.loop, self.network, self.migration, self._random("fleet"), self._count
        )
        for stream in self.engine.streams.values():
            stream.retention_seconds = plan.retention_seconds
        self.fleet.pace = replace(PACE, retention_seconds=plan.retention_seconds - READING_SECONDS)
        self.history = History()
        self.first: dict[tuple[str, str], State] = {}
        self.clients: list[Client] = []

    def run(self) -> Outcome:
        with _patched(self._random("secrets")):
            asyncio.set_event_loop(self.loop)
            try:
                self.loop.run_until_complete(self.loop.spawn(self.loop.main, self._live()))
            except Stuck as error:
                self.watch.violated(11, "the run ends", str(error))
            finally:
                for life in self.fleet.lives.values():
                    self.loop.kill(life.lane)
                self.loop.kill(self.loop.main)
                asyncio.set_event_loop(None)
                self.loop.close()
        return Outcome(
            self.plan, tuple(self.watch.violations), self.counts, self._digest.hexdigest(),
            self.loop.time(), self.loop.steps,
        )  # fmt: skip

    # -- the course of a run ------------------------------------------------------------------

    async def _live(self) -> None:
        self._legacy()
        random = self._random("world")
        for _ in range(self.plan.splits_first):
            for stream in self.engine.streams.values():
                stream.split()
        names = [(CONTROL, n) for n in range(self.plan.controllers)]
        names += [(PROXY, n) for n in range(self.plan.proxies)]
        names += [(CONSUMER, n) for n in range(self.plan.consumers)]
        for role, number in names:
            name = f"{role}-{number}"
            self.fleet.skews[name] = (random.random() - 0.5) * 2 * self.plan.skew_seconds
            self.fleet.start(name, role)
        clock = SimClock(self.loop, self.loop.main)
        habits = WIDE if self.plan.wide else Habits()
        bypass = Bypass(
            "bypass", self.loop, self.network, self.migration, self.history,
            self._random("bypass"), habits,
        )  # fmt: skip
        operator = self._operator(bypass)
        sky = Sky(
            self.loop, self.network, self.engine, self.fleet, self.migration, bypass, self.history,
            self._random("sky"), self.watch.phase, self._count,
        )  # fmt: skip
        for event in self.plan.events:
            sky.schedule(event)
        tasks = [self.loop.spawn(self.loop.main, operator.run())]
        for number in range(self.plan.clients):
            client = Client(
                f"client-{number}", self.loop, self.network, self.fleet, self.migration,
                self.history, clock, self._random(f"client-{number}"),
                replace(habits, think_seconds=self.plan.think_seconds), self._count,
            )  # fmt: skip
            self.clients.append(client)
            tasks.append(self.loop.spawn(self.loop.main, client.run()))
        await clock.sleep(self.plan.seconds)
        for client in self.clients:
            client.stopped = True
        operator.stopped = True
        sky.clear()
        await asyncio.gather(*tasks)
        still = await self._come_to_rest(clock, operator)
        self._judge(still)
        self.fleet.closing = True

    def _operator(self, bypass: Bypass) -> Operator:
        lane = Lane("operator")
        clock = SimClock(self.loop, lane)
        random = self._random("operator ids")
        records = ControlTable(
            Line(self.network, lane, "operator"), CONTROL_TABLE, clock=clock,
            new_id=lambda: f"{random.getrandbits(64):016x}",
        )  # fmt: skip
        return Operator(
            self.migration, records, clock, self._random("operator"), bypass, self._count,
            self.plan,
        )  # fmt: skip

    def _legacy(self) -> None:
        """Items that were there before anybody thought of a migration; some nobody writes again."""
        random = self._random("legacy")
        for table in self.migration.tables:
            more = tuple(f"{keys_of(table.name)[0].partition('/')[0]}/x{n}" for n in range(12))
            for key in (*keys_of(table.name), *more):
                if random.random() < 0.7:
                    item = base_item(table.name, key)
                    if table.kind is Kind.REKEY or self.plan.wide:
                        item |= {"v": {"S": f"legacy {key}"}, "n": {"N": "0"}}
                        self.first[table.name, key] = Value(f"legacy {key}", 0)
                    self.engine.execute("PutItem", {"TableName": table.old.name, "Item": item})

    async def _come_to_rest(self, clock: SimClock, operator: Operator) -> bool:
        """Let the service finish what it can: copy, sweep, repair; then wait until all stands."""
        end = self.loop.time() + REST_SECONDS_MAX
        await clock.sleep(3.0)
        while self._asked() and self.loop.time() < end:
            await clock.sleep(0.5)
        if not self._single():
            for verb, argument in (
                ("backfill-start", "segments=2"),
                ("backfill-resume", ""),
                ("verify", ""),
            ):
                try:
                    done = await operator.ask(verb, argument)
                    self._count(f"at rest {verb} {done.status}")
                except DualwriteError as error:
                    self._count(f"at rest {verb} {type(error).__name__}")
        seen, since = -1, self.loop.time()
        while self.loop.time() < end:
            if self.engine.events != seen or self._waiting():
                seen, since = self.engine.events, self.loop.time()
            elif self.loop.time() - since >= STILL_SECONDS:
                return True
            await clock.sleep(0.5)
        return False

    def _single(self) -> bool:
        """Whether no table has a follower now."""
        return all(
            self.watch.phase(table.name).mode is Mode.SINGLE
            for table in self.migration.tables
            if table.kind is Kind.REKEY
        )

    def _asked(self) -> bool:
        """Whether a command is not carried out yet."""
        control = self.engine.tables[CONTROL_TABLE]
        return any(
            f'"status":"{status}"' in item["value"]["S"]
            for _, item in control.partition({"S": COMMAND}, 0.0)
            for status in (ASKED, RUNNING)
        )

    def _waiting(self) -> bool:
        """Whether repairs wait."""
        control = self.engine.tables[CONTROL_TABLE]
        return any(control.partition({"S": REPAIR}, 0.0))

    def _judge(self, still: bool) -> None:
        looks = tuple(look for client in self.clients for look in client.looks)
        judge(
            Over(
                self.engine, self.migration, self.history, self.watch, self.first, looks,
                self.loop.time(), self.plan.stops, self.fleet.deaths, still, self._count,
            )
        )  # fmt: skip
        for entry in self.history.entries:
            self.counts[f"{entry.op.kind} {entry.outcome}"] += 1
            shown = f"{entry.began:.6f} {entry.ended:.6f} {entry.outcome} {entry.seen}"
            self._digest.update(shown.encode())
        untouched = {
            (name, key) for name, key in self.first if (name, key) not in self.history.by_key()
        }
        for name, key in sorted(untouched):
            self._untouched(name, key)

    def _untouched(self, name: str, key: str) -> None:
        """What nobody wrote is what it was."""
        table = self.migration.by_name[name]
        leader = self.watch.phase(name).leader
        item = self.engine.tables[table.side(leader).name].get(key_in(table, key, leader))
        if item is None or item.get("v") != {"S": f"legacy {key}"}:
            self.watch.violated(1, "what nobody wrote stands", f"{key} of {name}: {item}")

    # -- odds and ends ------------------------------------------------------------------------

    def _random(self, what: str) -> Random:
        return Random(f"{self.plan.seed} {what}")

    def _now(self) -> float:
        return EPOCH_SECONDS + self.loop.time()

    def _count(self, what: str) -> None:
        self.counts[what] += 1

    def _trace(self, commit: Commit) -> None:
        # The order of an item's attributes means nothing, and sets have none.
        images = orjson.dumps([commit.key, commit.after], option=orjson.OPT_SORT_KEYS)
        self._digest.update(f"{commit.at:.6f} {commit.table} {commit.actor} ".encode() + images)


@contextmanager
def _patched(random: Random) -> Iterator[None]:
    """No log, no chance but the seed's, and no look at the control table that proves nothing."""
    logs, polled, chance = structlog.get_config(), sweep.POLL_SECONDS, secrets.token_hex
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(CRITICAL))
    sweep.POLL_SECONDS = SWEEP_POLL_SECONDS
    secrets.token_hex = lambda count=32: random.randbytes(count).hex()
    try:
        yield
    finally:
        structlog.configure(**logs)
        sweep.POLL_SECONDS, secrets.token_hex = polled, chance
