"""What lies between processes: requests that are late, lost before or after they took effect.

A request that was sent belongs to the network: it arrives even if its sender dies meanwhile. It
never arrives later than ``life_seconds`` after it was sent, which is what the controller counts on.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from dualwrite.core.errors import EngineError, OutcomeUnknown, Refused, Unreachable
from tests.simulation.engine import FakeDynamo
from tests.simulation.machine.loop import LANE, Lane, SimLoop

ENGINE, CONTROL = "engine", "control"
THROTTLES = ("ProvisionedThroughputExceededException", "ThrottlingException")
STREAM_CALLS = frozenset({"GetRecords", "GetShardIterator", "DescribeStream"})
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
ALL_WRITES = WRITES | {"TransactWriteItems", "BatchWriteItem"}


@dataclass
class Weather:
    """How bad it is now. Probabilities are for one call."""

    latency_seconds: float = 0.004
    slow: float = 0.0
    """Calls that take seconds."""
    slow_tables: float = 0.0
    """The same, of those that are not for the control table or a stream."""
    slow_streams: float = 0.0
    lost_before: float = 0.0
    lost_after: float = 0.0
    throttled: float = 0.0
    conflict: float = 0.0
    """Writes that meet somebody else's transaction."""
    cuts: set[frozenset[str]] = field(default_factory=set)
    """Pairs of nodes that do not reach each other."""
    traps: dict[str, float] = field(default_factory=dict)
    """Nodes that are stopped for so many seconds when they are about to send their next write to a
    table: after the look at their lease."""


class Network:
    """``counts`` says what happened how often."""

    def __init__(
        self, loop: SimLoop, engine: FakeDynamo, random: Random, *,
        control_table: str, timeout_seconds: float, margin_seconds: float,
        count: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.weather = Weather()
        self.timeout_seconds = timeout_seconds
        self.life_seconds = timeout_seconds + margin_seconds
        self._loop = loop
        self._engine = engine
        self._random = random
        self._control_table = control_table
        self._count = count
        self._lane = Lane("network")

    # -- to the engine ------------------------------------------------------------------------

    async def call(
        self, lane: Lane, node: str, operation: str, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        """One request of ``node`` to the engine. Raises EngineError."""
        lane.check()
        if self._random.random() < 0.1:
            # Between the decision to send and the sending a process may be stopped.
            await asyncio.sleep(self._random.random() * 0.02)
            lane.check()
        there = CONTROL if request.get("TableName") == self._control_table else ENGINE
        if node in self.weather.traps and there is ENGINE and operation in ALL_WRITES:
            self._count("stopped in send")
            lane.awake_at = max(lane.awake_at, self._loop.time() + self.weather.traps.pop(node))
            await asyncio.sleep(0)
            lane.check()
        sent = self._loop.time()
        answer: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        out, back = self._delays(self._slowness(there, operation))
        fate = self._fate(node, there, operation)
        if isinstance(fate, Unreachable):
            self._tell(answer, fate, back)
        else:
            arrival = (answer, node, there, operation, request, fate, sent, back)
            self._loop.call_at(
                sent + min(out, self.life_seconds - 0.01), self._arrive, *arrival,
                context=self._lane.context,
            )  # fmt: skip
            if out >= self.timeout_seconds:
                self._tell(answer, OutcomeUnknown("no answer in time"), self.timeout_seconds)
        found = await answer
        lane.check()
        return found

    def _slowness(self, there: str, operation: str) -> float:
        weather = self.weather
        if operation in STREAM_CALLS:
            return max(weather.slow, weather.slow_streams)
        return weather.slow if there == CONTROL else max(weather.slow, weather.slow_tables)

    def _delays(self, slow: float) -> tuple[float, float]:
        random = self._random.random
        base = self.weather.latency_seconds
        if slow and random() < slow:
            self._count("slow call")
            return random() * self.life_seconds, random() * self.timeout_seconds
        return base * (0.2 + random()), base * (0.2 + random())

    def _fate(self, node: str, there: str, operation: str) -> EngineError | str | None:
        random, weather = self._random.random, self.weather
        if weather.cuts and frozenset((node, there)) in weather.cuts:
            self._count("partitioned call")
            return Unreachable("no connection") if random() < 0.5 else "lost before"
        if weather.lost_before and random() < weather.lost_before:
            self._count("lost request")
            return Unreachable("no connection") if random() < 0.3 else "lost before"
        if weather.lost_after and random() < weather.lost_after:
            self._count("lost answer")
            return "lost after"
        if weather.throttled and random() < weather.throttled:
            self._count("throttled call")
            code = "LimitExceededException" if operation in STREAM_CALLS else THROTTLES[0]
            return Refused(code, "Rate exceeded", 400, {})
        if weather.conflict and random() < weather.conflict:
            return self._conflict(operation)
        return None

    def _conflict(self, operation: str) -> Refused | None:
        if operation in WRITES:
            self._count("conflict")
            return Refused("TransactionConflictException", "conflict", 400, {})
        if operation != "TransactWriteItems":
            return None
        self._count("conflict")
        reasons = [{"Code": "TransactionConflict", "Message": "conflict"}, {"Code": "None"}]
        text = "Transaction cancelled [TransactionConflict, None]"
        fields = {"CancellationReasons": reasons}
        return Refused("TransactionCanceledException", text, 400, fields)

    def _arrive(
        self,
        answer: "asyncio.Future[dict[str, Any]]",
        node: str,
        there: str,
        operation: str,
        request: Mapping[str, Any],
        fate: EngineError | str | None,
        sent: float,
        back: float,
    ) -> None:
        late = max(0.0, sent + self.timeout_seconds - self._loop.time())
        unknown = OutcomeUnknown("no answer came")
        cut = bool(self.weather.cuts) and frozenset((node, there)) in self.weather.cuts
        if fate == "lost before" or cut:
            self._tell(answer, unknown, late)
            return
        if isinstance(fate, Refused):
            self._tell(answer, fate, back)
            return
        try:
            found: dict[str, Any] | EngineError = self._engine.execute(operation, request, node)
        except Refused as error:
            found = error
        if fate == "lost after":
            self._tell(answer, unknown, back if self._random.random() < 0.5 else late)
        elif back > late:
            self._tell(answer, unknown, late)
        else:
            self._tell(answer, found, back)

    def _tell(
        self,
        answer: "asyncio.Future[Any]",
        what: dict[str, Any] | EngineError,
        seconds: float,
    ) -> None:
        self._loop.call_later(seconds, _resolve, answer, what, context=self._lane.context)

    # -- between processes --------------------------------------------------------------------

    async def ask(
        self, node: str, there: str, lane: Lane | None,
        serve: Callable[[], Coroutine[Any, Any, Any]], timeout_seconds: float,
    ) -> Any:  # fmt: skip
        """Have ``serve`` run in the lane of ``there`` and bring back what it returns. Raises
        Unreachable, OutcomeUnknown."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        out, back = self._delays(self.weather.slow)
        if lane is None or lane.dead or frozenset((node, there)) in self.weather.cuts:
            self._tell(answer, Unreachable("no connection"), out)
            return await answer

        async def served() -> None:
            found = await serve()
            if frozenset((node, there)) not in self.weather.cuts:
                self._tell(answer, found, back)

        def arrive() -> None:
            if not lane.dead:
                self._loop.spawn(lane, served())

        self._loop.call_later(out, arrive, context=self._lane.context)
        self._tell(answer, OutcomeUnknown("no answer in time"), timeout_seconds)
        return await answer


def _resolve(answer: "asyncio.Future[Any]", what: Any) -> None:
    if answer.done():
        return
    if isinstance(what, EngineError):
        answer.set_exception(what)
    else:
        answer.set_result(what)


class Line:
    """The ``Dynamo`` port of one process, and the proxy's engine."""

    def __init__(self, network: Network, lane: Lane, node: str) -> None:
        self._network = network
        self._lane = lane
        self._node = node

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return await self._network.call(self._lane, self._node, operation, request)

    async def forward(self, headers: Any, target: str, body: bytes) -> Any:
        raise AssertionError("the simulated applications name managed tables only")


def current_lane() -> Lane:
    return LANE.get()
