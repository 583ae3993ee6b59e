"""Makes a plan's events happen, each from a table of what it does and what ends it."""

from collections.abc import Callable
from random import Random

from dualwrite.core.phases import Kind, Phase, Side
from dualwrite.core.spec import Migration
from tests.simulation.checks.history import ACKED, History, Op
from tests.simulation.engine import FakeDynamo
from tests.simulation.machine.loop import SimLoop
from tests.simulation.machine.network import CONTROL, ENGINE, Network
from tests.simulation.world.bypass import Bypass
from tests.simulation.world.parts import Fleet
from tests.simulation.world.plan import Event
from tests.simulation.world.tables import key_in, keys_of

RECORDS_LATE_SECONDS = 0.8
"""Less than the consumers' margin for propagation: what the barrier counts on."""
EMPTY_PAGES_MAX = 3
"""Fewer in a row than those that consumers take for the tip."""

Undo = Callable[[], object]


class Sky:
    """Every happening is a callback of the loop, never part of a process."""

    def __init__(
        self, loop: SimLoop, network: Network, engine: FakeDynamo, fleet: Fleet,
        migration: Migration, bypass: Bypass, history: History, random: Random,
        phase: Callable[[str], Phase], count: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.held = False
        """No more weather: the run comes to its end."""
        self._loop = loop
        self._network = network
        self._engine = engine
        self._fleet = fleet
        self._migration = migration
        self._past = bypass
        self._history = history
        self._random = random
        self._phase = phase
        self._count = count
        self._undos: list[Undo] = []

    def schedule(self, event: Event) -> None:
        self._loop.call_at(event.at, self._happen, event, context=self._loop.main.context)

    def clear(self) -> None:
        """Everything that lasts ends now."""
        self.held = True
        for undo in self._undos:
            undo()
        self._undos.clear()
        self._fleet.set_clocks_right()
        for life in self._fleet.lives.values():
            life.lane.awake_at = min(life.lane.awake_at, self._loop.time())
            life.lane.cost = 0.0

    def _happen(self, event: Event) -> None:
        if self.held:
            return
        self._count(f"fault {event.kind}")
        undo = getattr(self, "_" + event.kind.replace(" ", "_"))(event)
        if undo is not None:
            self._undos.append(undo)
            self._loop.call_later(event.seconds, self._undo, undo, context=self._loop.main.context)

    def _undo(self, undo: Undo) -> None:
        if undo in self._undos:
            self._undos.remove(undo)
            undo()

    def _victim(self, event: Event) -> str:
        names = sorted(self._fleet.lives)
        return names[int(event.draw * len(names))]

    def _set(self, name: str, value: float) -> Undo:
        weather = self._network.weather
        setattr(weather, name, value)
        return lambda: setattr(weather, name, 0.0)

    # -- processes ----------------------------------------------------------------------------

    def _crash(self, event: Event) -> None:
        self._fleet.kill(self._victim(event))

    def _terminate(self, event: Event) -> None:
        self._fleet.lives[self._victim(event)].stop.set()

    def _freeze(self, event: Event) -> None:
        self._fleet.freeze(self._victim(event), event.seconds)

    def _freeze_in_send(self, event: Event) -> Undo:
        traps, name = self._network.weather.traps, self._victim(event)
        traps[name] = event.seconds
        return lambda: traps.pop(name, None)

    def _slow_process(self, event: Event) -> Undo:
        name = self._victim(event)
        self._fleet.slow(name, 0.004 * event.draw)
        return lambda: self._fleet.slow(name, 0.0)

    def _skew(self, event: Event) -> None:
        seconds = (event.draw - 0.5) * 600.0
        self._fleet.skew(self._victim(event), seconds)

    # -- network ------------------------------------------------------------------------------

    def _cut(self, name: str, there: str) -> Undo:
        cuts, pair = self._network.weather.cuts, frozenset((name, there))
        cuts.add(pair)
        return lambda: cuts.discard(pair)

    def _cut_from_engine(self, event: Event) -> Undo:
        return self._cut(self._victim(event), ENGINE)

    def _cut_from_control(self, event: Event) -> Undo:
        return self._cut(self._victim(event), CONTROL)

    def _cut_from_client(self, event: Event) -> Undo:
        return self._cut(self._victim(event), "client-0")

    def _lost_requests(self, event: Event) -> Undo:
        return self._set("lost_before", 0.05 + 0.3 * event.draw)

    def _lost_answers(self, event: Event) -> Undo:
        return self._set("lost_after", 0.05 + 0.3 * event.draw)

    def _throttling(self, event: Event) -> Undo:
        return self._set("throttled", 0.1 + 0.5 * event.draw)

    def _conflicts(self, event: Event) -> Undo:
        return self._set("conflict", 0.1 + 0.5 * event.draw)

    def _slow_calls(self, event: Event) -> Undo:
        return self._set("slow", 0.05 + 0.2 * event.draw)

    def _slow_tables(self, event: Event) -> Undo:
        return self._set("slow_tables", 0.1 + 0.5 * event.draw)

    def _slow_streams(self, event: Event) -> Undo:
        return self._set("slow_streams", 0.3 + 0.7 * event.draw)

    # -- the engine ---------------------------------------------------------------------------

    def _left_undone(self, event: Event) -> Undo:
        whims, random = self._engine.whims, self._random
        whims.leave = lambda: random.random() < 0.4
        return lambda: setattr(whims, "leave", lambda: False)

    def _old_reads(self, event: Event) -> Undo:
        whims, random = self._engine.whims, self._random
        whims.seconds_old = lambda: random.random() * 3.0
        return lambda: setattr(whims, "seconds_old", lambda: 0.0)

    def _split(self, event: Event) -> None:
        streams = list(self._engine.streams.values())
        streams[int(event.draw * len(streams))].split()

    def _late_records(self, event: Event) -> Undo:
        random = self._random
        for stream in self._engine.streams.values():
            stream.delay = lambda: random.random() * RECORDS_LATE_SECONDS

        def undo() -> None:
            for stream in self._engine.streams.values():
                stream.delay = lambda: 0.0

        return undo

    def _empty_pages(self, event: Event) -> Undo:
        random = self._random
        for stream in self._engine.streams.values():
            stream.empties = lambda: int(random.random() * (EMPTY_PAGES_MAX + 1))

        def undo() -> None:
            for stream in self._engine.streams.values():
                stream.empties = lambda: 0

        return undo

    def _iterators_expire(self, event: Event) -> Undo:
        kept = {stream: stream.iterator_seconds for stream in self._engine.streams.values()}
        for stream in kept:
            stream.iterator_seconds = 0.2

        def undo() -> None:
            for stream, seconds in kept.items():
                stream.iterator_seconds = seconds

        return undo

    # -- writers ------------------------------------------------------------------------------

    def _write_past(self) -> None:
        early = all(
            self._phase(table.name) in (Phase.OFF, Phase.MIRROR_OLD)
            for table in self._migration.tables
        )
        if early:
            self._past.begin()

    def _bypass(self, event: Event) -> None:
        for number in range(1 + int(event.draw * 4)):
            self._loop.call_later(number * 0.3, self._write_past, context=self._loop.main.context)

    def _expire(self, event: Event) -> None:
        """DynamoDB removes an item on the leading side, as time to live does."""
        tables = [table for table in self._migration.tables if table.kind is Kind.REKEY]
        table = tables[int(event.draw * 100) % len(tables)]
        if self._phase(table.name) is not Phase.MIRROR_OLD:
            return
        keys = keys_of(table.name)
        key = keys[int(event.draw * len(keys))]
        now = self._loop.time()
        [entry] = self._history.begin(table.name, [(key, Op("delete"))], now, "ttl")
        self._engine.expire(table.old.name, key_in(table, key, Side.OLD))
        entry.ended, entry.outcome = now, ACKED

    def _change_shape(self, event: Event) -> None:
        """All shards end at once and others take over."""
        for stream in self._engine.streams.values():
            stream.split()
