"""One rehearsal from the first table to the verdict."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import boto3
from botocore.config import Config

from dualwrite.core.errors import DualwriteError
from dualwrite.core.items import key_token
from dualwrite.core.phases import Kind, Phase, Side
from dualwrite.core.spec import Migration
from dualwrite.spec_file import load as load_spec
from examples.ai_coordination_engine import dataset
from examples.ai_coordination_engine import tables as old_tables
from examples.ai_coordination_engine.edge_rows import EdgeRow, Expected
from verifier.rehearsal import broker as brokers
from verifier.rehearsal import engine as engines
from verifier.rehearsal import faults as fault_plan
from verifier.rehearsal.casting import cast, hot_rows, sites_of
from verifier.rehearsal.crew import Crew
from verifier.rehearsal.faults import Struck
from verifier.rehearsal.fleet import CONSUMERS, CONTROLLER, PROXIES, Fleet
from verifier.rehearsal.gaps import FlipGap, Window, flip_gaps
from verifier.rehearsal.history import ACKED, Entry
from verifier.rehearsal.judge import Judgement, judge, judge_untouched
from verifier.rehearsal.keeper import Keeper
from verifier.rehearsal.monitor import Monitor
from verifier.rehearsal.options import Options, Wiring, World
from verifier.rehearsal.processes import Processes
from verifier.rehearsal.tables import Differences, Dump, differences, dump, plain
from verifier.rehearsal.verdict import EdgeOutcome
from verifier.rehearsal.walk import Step, Walk

BUSY_STEPS = ("backfill", "sweep")
UNUSUAL_MARGIN_SECONDS = 1.0
"""What follows a kill, a pause or a restart is not ordinary for this long."""


class NotEmpty(DualwriteError):
    """The engine already holds tables that the rehearsal would create."""


@dataclass(slots=True)
class Story:
    """Everything that a report tells; filled as the rehearsal goes, so that there is always one."""

    options: Options
    started_wall: float = field(default_factory=time.time)
    started: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    engine: str = ""
    items: dict[str, int] = field(default_factory=dict)
    error: str = ""
    interrupted: bool = False
    walk: Walk | None = None
    monitor: Monitor | None = None
    crew: Crew | None = None
    struck: list[Struck] = field(default_factory=list)
    unusual: list[Window] = field(default_factory=list)
    before_done: Judgement | None = None
    at_end: Judgement | None = None
    differences: Differences | None = None
    edges: list[EdgeOutcome] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    note: str = "starting"
    """What is going on, for the live view."""

    @property
    def entries(self) -> list[Entry]:
        return self.crew.entries if self.crew else []

    @property
    def steps(self) -> list[Step]:
        return self.walk.steps if self.walk else []

    @property
    def operations(self) -> Counter[str]:
        return Counter(entry.operation for entry in self.entries if entry.operation)

    def acked(self) -> list[Entry]:
        """Acknowledged writes."""
        return [entry for entry in self.entries if entry.writes and entry.outcome == ACKED]

    def flips(self) -> tuple[FlipGap, ...]:
        """The gaps at the flips that took place."""
        if self.walk is None:
            return ()
        busy = [
            Window(step.started, step.ended or self.ended)
            for step in self.steps
            if step.name in BUSY_STEPS or step.sweeps
        ]
        acked = [entry.ended for entry in self.acked()]
        return flip_gaps(acked, self.walk.flips, self.unusual, busy)


class Rehearsal:
    """Runs one. ``story`` is complete after ``run``, however that ended."""

    def __init__(self, options: Options, wiring: Wiring) -> None:
        self._options = options
        self._wiring = wiring
        self._random = Random(options.seed)
        self._initial: Dump = Dump({}, {})
        self._edge_rows: tuple[EdgeRow, ...] = ()
        self._before_done: Dump = Dump({}, {})
        self._entries_before_done = 0
        self.story = Story(options)

    async def run(self) -> None:
        """Raises what stopped it, after everything it started has been stopped."""
        processes = Processes(self._options.report / "logs")
        try:
            await self._run(processes)
        except asyncio.CancelledError:
            self.story.interrupted = True
            self.story.error = "interrupted"
            raise
        except Exception as error:
            expected = isinstance(error, DualwriteError)
            self.story.error = str(error) if expected else f"{type(error).__name__}: {error}"
            raise
        finally:
            self.story.died += processes.died()
            self.story.note = "stopping"
            await processes.stop()
            if self.story.crew is not None:
                self.story.crew.read()
            self.story.ended = time.monotonic()

    async def _run(self, processes: Processes) -> None:
        options, story = self._options, self.story
        migration = load_spec(self._wiring.spec)
        story.note = "starting the engine"
        engine = await engines.start(processes, options.engine)
        story.engine = f"{engine.name} at {engine.url}"
        queue = await brokers.start(processes, options.queue, options.report)
        story.note = f"loading about {options.items} items"
        await asyncio.to_thread(self._load, engine.url, migration)
        fleet = Fleet(processes, self._wiring.program, self._wiring.spec, engine.url, queue)
        story.note = "preparing: dualwrite check --apply"
        await fleet.prepare()
        async with self._wiring.connect(engine.url) as world:
            await self._with_world(world, processes, fleet)

    def _load(self, url: str, migration: Migration) -> None:
        client = boto3.client(
            "dynamodb",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"mode": "standard"}, max_pool_connections=16),
        )
        taken = set(client.list_tables()["TableNames"]) & migration.by_physical.keys()
        if taken:
            raise NotEmpty(
                f"the engine at {url} already has {', '.join(sorted(taken))}; "
                "a rehearsal needs an empty engine"
            )
        old_tables.create(client, migration)
        loaded = dataset.load(client, migration, self._options.seed, self._options.items)
        self.story.items = dict(loaded.counts)
        self._edge_rows = loaded.edge_rows

    async def _with_world(self, world: World, processes: Processes, fleet: Fleet) -> None:
        options, story, migration = self._options, self.story, world.migration
        edge = {
            (row.table, key_token(row.key, migration.by_name[row.table].old.keys))
            for row in self._edge_rows
        }
        loaded = await dump(world.dynamo, migration, (Side.OLD,))
        for table, item in hot_rows(sites_of(migration, loaded.old, edge)):
            name = migration.by_name[table].old.name
            await world.dynamo.call("PutItem", {"TableName": name, "Item": item})
        self._initial = await dump(world.dynamo, migration, (Side.OLD,))
        roles = cast(migration, self._initial.old, edge, options.workers, self._random)
        story.note = "starting proxies, consumers and the controller"
        await fleet.start()
        crew = Crew(
            processes,
            options.report / "histories",
            self._wiring.spec,
            fleet.endpoints,
            roles,
            seed=options.seed,
            rate=options.rate,
        )
        story.crew = crew
        story.note = "starting the application"
        await crew.start()
        total = sum(len(rows) for rows in self._initial.old.values())
        monitor = story.monitor = Monitor(world, crew, fleet.metrics_urls, total)
        story.unusual.append(Window(story.started, self._now() + UNUSUAL_MARGIN_SECONDS))
        watching = asyncio.create_task(monitor.run())
        try:
            await self._walk(world, processes, fleet, crew)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await monitor.read_metrics()

    # -- the walk --------------------------------------------------------------------------------

    async def _walk(self, world: World, processes: Processes, fleet: Fleet, crew: Crew) -> None:
        """Walk the square while the keeper strikes and mends. Raises what stops either."""
        options, monitor = self._options, self.story.monitor
        assert monitor is not None
        keeper = Keeper(processes, fleet, self._struck)
        walk = self.story.walk = Walk(
            world,
            self._wiring,
            monitor,
            dwell_seconds=options.dwell_seconds,
            stall_seconds_max=options.stall_seconds_max,
            on_step=lambda step: self._on_step(step, keeper),
        )
        walking = asyncio.create_task(self._there_and_back(world, crew, walk, keeper))
        keeping = asyncio.create_task(keeper.run())
        try:
            await asyncio.wait((walking, keeping), return_when=asyncio.FIRST_COMPLETED)
            (keeping if keeping.done() else walking).result()
        finally:
            self.story.died += keeper.died
            walking.cancel()
            keeping.cancel()
            await asyncio.gather(walking, keeping, return_exceptions=True)
            await keeper.stop()

    async def _there_and_back(self, world: World, crew: Crew, walk: Walk, keeper: Keeper) -> None:
        forth = [
            ("off", walk.dwell),
            ("mirror/old", walk.advance(Phase.MIRROR_OLD)),
            ("backfill", walk.backfill),
            ("sweep", walk.sweep),
            ("new code", lambda _step: self._speak_new(crew)),
            ("reads 1 %", walk.reads(1)),
            ("reads 25 %", walk.reads(25)),
            ("reads 100 %", walk.reads(100)),
            ("atomic/old", walk.advance(Phase.ATOMIC_OLD)),
            ("flip", walk.flip("flip", Side.NEW)),
            ("mirror/new", walk.advance(Phase.MIRROR_NEW)),
            ("rollback", walk.flip("rollback", Side.OLD)),
            ("flip again", walk.flip("flip", Side.NEW)),
            ("mirror/new again", walk.advance(Phase.MIRROR_NEW)),
        ]
        keeper.plan = fault_plan.plan(
            self._random,
            [name for name, _ in forth],
            (PROXIES, CONSUMERS, (CONTROLLER,)),
            self._options.dwell_seconds,
            self._options.strikes,
        )
        for name, body in forth:
            await walk.step(name, body)
            if name == "mirror/old":
                await walk.too_early("flip")
        await keeper.settled()
        await walk.step("judge", lambda step: self._judge_before_done(step, world, crew, walk))
        await walk.step("done", walk.advance(Phase.DONE))
        await walk.step("after done", walk.dwell)
        await self._judge_at_end(world, crew)

    async def _speak_new(self, crew: Crew) -> None:
        begun = self._now()
        await crew.speak_new()
        self.story.unusual.append(Window(begun, self._now() + UNUSUAL_MARGIN_SECONDS))

    def _on_step(self, step: Step, keeper: Keeper) -> None:
        self.story.note = step.name
        keeper.begin(step.name)

    def _struck(self, struck: Struck) -> None:
        self.story.struck.append(struck)
        self.story.unusual.append(Window(struck.began, struck.back + UNUSUAL_MARGIN_SECONDS))

    # -- judging -----------------------------------------------------------------------------------

    async def _judge_before_done(self, step: Step, world: World, crew: Crew, walk: Walk) -> None:
        """Writes stand still, streams drain, both tables are read: the one moment in which old is
        still written and nothing is in flight."""
        begun = self._now()
        await crew.pause()
        await walk.drained(step)
        found = await dump(world.dynamo, world.migration, (Side.OLD, Side.NEW))
        entries = list(crew.entries)
        await crew.resume()
        self.story.unusual.append(Window(begun, self._now() + UNUSUAL_MARGIN_SECONDS))
        await asyncio.to_thread(self._judge_both, world.migration, entries, found)
        self._before_done = found
        self._entries_before_done = len(entries)

    def _judge_both(self, migration: Migration, entries: list[Entry], found: Dump) -> None:
        sides = {Side.OLD: found.old, Side.NEW: found.new}
        judgement = judge(migration, entries, self._initial.old, sides)
        before, after = (plain(migration, rows) for rows in (self._initial.old, found.old))
        judgement.merge(judge_untouched(migration, entries, before, after, Side.OLD))
        self.story.before_done = judgement
        self.story.differences = differences(migration, found, Side.NEW)
        self.story.edges = edge_outcomes(migration, self._edge_rows, found, self.story.differences)

    async def _judge_at_end(self, world: World, crew: Crew) -> None:
        self.story.note = "judging"
        begun = self._now()
        await crew.finish()
        self.story.unusual.append(Window(begun, self._now() + 3600.0))
        found = await dump(world.dynamo, world.migration, (Side.NEW,))
        entries = list(crew.entries)
        migration = world.migration
        judgement = judge(migration, entries, self._initial.old, {Side.NEW: found.new})
        later = entries[self._entries_before_done :]
        before, after = (plain(migration, rows) for rows in (self._before_done.new, found.new))
        judgement.merge(judge_untouched(migration, later, before, after, Side.NEW))
        self.story.at_end = judgement

    def _now(self) -> float:
        return time.monotonic()


def edge_outcomes(
    migration: Migration,
    rows: tuple[EdgeRow, ...],
    found: Dump,
    compared: Differences,
) -> list[EdgeOutcome]:
    """What became of each labelled row, in the words of the data set's expectations."""
    outcomes = []
    for row in rows:
        table = migration.by_name[row.table]
        token = key_token(row.key, table.old.keys)
        reason = compared.problems.get((row.table, token), "")
        on_new = token in found.new[row.table]
        if token not in found.old[row.table]:
            outcome = "gone"
        elif table.kind is Kind.REKEY and not on_new:
            outcome = Expected.LEFT.value
        else:
            outcome = Expected.CARRIED.value if reason else Expected.DERIVED.value
        expected = row.expected.value + (f" ({row.reason.value})" if row.reason else "")
        outcomes.append(
            EdgeOutcome(
                row.label, row.table, expected, outcome + (f" ({reason})" if reason else "")
            )
        )
    return outcomes
