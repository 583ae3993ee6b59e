"""A writer that goes to the old table itself, past the proxies; it knows no stamps."""

from random import Random
from typing import Any

from dualwrite.core.errors import OutcomeUnknown
from dualwrite.core.phases import Side
from dualwrite.core.spec import Migration
from tests.simulation.checks.history import ACKED, NOTHING, History, Op
from tests.simulation.machine.clock import SimClock
from tests.simulation.machine.loop import Lane, SimLoop
from tests.simulation.machine.network import Network
from tests.simulation.world.clients import Habits, tables_of
from tests.simulation.world.tables import base_item, key_in, keys_of


class Bypass:
    """One process; it writes to old only."""

    def __init__(
        self, name: str, loop: SimLoop, network: Network, migration: Migration,
        history: History, random: Random, habits: Habits,
    ) -> None:  # fmt: skip
        self.name = name
        self.allowed = True
        self.lane = Lane(name)
        self._loop = loop
        self._network = network
        self._migration = migration
        self._history = history
        self._random = random
        self._writes = 0
        self._sending = 0
        self._arrived_by = 0.0
        """When the last write that heard no answer has arrived, or never will."""
        self._tables = tables_of(migration, habits)

    def begin(self) -> None:
        """One put or delete at the old table, unless that is over."""
        if self.allowed:
            self._sending += 1
            self._loop.spawn(self.lane, self._write())

    async def end(self, clock: SimClock) -> None:
        """No more of them; returns when none is on its way."""
        self.allowed = False
        while self._sending or self._loop.time() < self._arrived_by:
            await clock.sleep(0.05)

    async def _write(self) -> None:
        sent = self._loop.time()
        table = self._random.choice(self._tables)
        key = self._random.choice(keys_of(table.name))
        self._writes += 1
        put = self._random.random() < 0.7
        op = Op("put" if put else "delete", f"{self.name}.{self._writes}")
        [entry] = self._history.begin(table.name, [(key, op)], self._loop.time(), self.name)
        place = {"TableName": table.old.name}
        try:
            if put:
                more = {"v": {"S": op.tag}, "n": {"N": "0"}}
                item = base_item(table.name, key) | more
                await self._send("PutItem", {**place, "Item": item})
            else:
                await self._send("DeleteItem", {**place, "Key": key_in(table, key, Side.OLD)})
        except OutcomeUnknown:
            self._arrived_by = sent + self._network.life_seconds
            return
        except Exception:
            entry.outcome = NOTHING
            return
        finally:
            self._sending -= 1
        entry.ended, entry.outcome = self._loop.time(), ACKED

    async def _send(self, operation: str, request: dict[str, Any]) -> None:
        await self._network.call(self.lane, self.name, operation, request)
