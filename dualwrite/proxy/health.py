"""How the engines behave, as this process sees it: what is left of the budgets for repeats, and a
breaker for each follower."""

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

import structlog

from dualwrite.core import metric_names
from dualwrite.core.assembling import Action
from dualwrite.core.breaker import Breaker, Event, State
from dualwrite.core.errors import EngineError
from dualwrite.core.phases import Side
from dualwrite.core.ports import Clock, Metrics
from dualwrite.core.repeats import FOR_CLIENTS, MAY_REPEAT, Patience, RetryBudget, Sort, trouble_of
from dualwrite.core.spec import MigratedTable

NO_SIDE = "-"
"""The label of a side, where the table has none."""
BREAKER_GAUGE = {State.CLOSED: 0.0, State.HALF_OPEN: 1.0, State.OPEN: 2.0}

log = structlog.get_logger()


class Tries:
    """The sends of one request."""

    __slots__ = ("_began_seconds", "_health", "_patience", "_side", "_sort", "sent")

    def __init__(
        self, health: "Health", side: str, sort: Sort, began_seconds: float, patience: Patience
    ) -> None:
        self._health = health
        self._side = side
        self._sort = sort
        self._patience = patience
        self._began_seconds = began_seconds
        self.sent = 1

    async def again(self, error: EngineError) -> bool:
        """Whether the request may be sent again now; waits for the moment to do so."""
        health = self._health
        trouble = trouble_of(error)
        if trouble is None or trouble not in MAY_REPEAT[self._sort]:
            return False
        now = health.clock.monotonic_seconds()
        if self.sent >= self._patience.tries_max:
            return False
        if now - self._began_seconds > self._patience.seconds_max:
            return False
        granted = health.budget(self._side).take(now)
        verdict = "sent" if granted else "no budget"
        health.metrics.add(metric_names.REPEATS, self._side, trouble.value, verdict)
        if not granted:
            return False
        await health.clock.sleep(self._patience.pause(self.sent, health.random.uniform))
        self.sent += 1
        return True


class Health:
    """One process's."""

    def __init__(self, clock: Clock, metrics: Metrics, random: Random) -> None:
        self.clock = clock
        self.metrics = metrics
        self.random = random
        self.left_out: set[str] = set()
        """The tables whose follower is not written."""
        self._budgets: dict[str, RetryBudget] = {}
        self._followers: dict[str, Follower] = {}
        """By physical table."""

    def tries(
        self, side: str, sort: Sort, began_seconds: float, patience: Patience = FOR_CLIENTS
    ) -> Tries:
        """For a request that was sent for the first time at ``began_seconds``, monotonic."""
        return Tries(self, side, sort, began_seconds, patience)

    def budget(self, side: str) -> RetryBudget:
        return self._budgets.setdefault(side, RetryBudget())

    def follower(self, table: MigratedTable, physical: str) -> "Follower":
        """One of a table's sides as a follower, by the name of its physical table."""
        found = self._followers.get(physical)
        if found is None:
            side = Side.NEW if physical == table.new.name else Side.OLD
            found = self._followers[physical] = Follower(self, table.name, side)
        return found

    def held_back(self) -> tuple[str, ...]:
        """The tables whose follower this process leaves out."""
        return tuple(sorted(self.left_out))


class Follower:
    """One table's follower behind its breaker."""

    def __init__(self, health: Health, table: str, side: Side) -> None:
        self.table = table
        self.held: tuple[Action, str] | None = None
        """The newest write that was not sent, and its stamp: what the follower is tried with."""
        self.side = side
        self.doubted = False
        """Whether the newest write went badly; if not, another one that goes well is no news."""
        self._health = health
        self._breaker = Breaker(health.random.uniform)
        self._healing: asyncio.Task[None] | None = None

    @property
    def written(self) -> bool:
        """Whether writes are sent to it."""
        return self._breaker.state is State.CLOSED

    @property
    def pause_seconds(self) -> float:
        return self._breaker.pause_seconds

    def hear(self, *, well: bool) -> bool:
        """Take what became of a write; gives whether it is left out from now on."""
        self.doubted = not well
        changed = self._breaker.hear(well=well)
        if changed:
            self._tell()
        return changed and self._breaker.state is State.OPEN

    def move(self, event: Event) -> None:
        if self._breaker.move(event):
            self._tell()

    def heal(self, healing: Coroutine[Any, Any, None]) -> None:
        """Try it in the background until it is written again; one such task at a time."""
        if self._healing is not None and not self._healing.done():
            healing.close()
            return
        self._healing = asyncio.get_running_loop().create_task(healing)

    def _tell(self) -> None:
        state = self._breaker.state
        if state is State.CLOSED:
            self._health.left_out.discard(self.table)
        else:
            self._health.left_out.add(self.table)
        self._health.metrics.set(
            metric_names.FOLLOWER_BREAKER, self.table, self.side.value, value=BREAKER_GAUGE[state]
        )
        log.warning("follower breaker", table=self.table, side=self.side.value, state=state.value)
