"""An event loop without threads, sockets or real time, whose order of things is drawn from a seed.

Each process is a *lane*: its callbacks run first come first served, as on a loop of its own; which
lane runs next is the seed's choice. Time stands still while anything can run and then jumps to the
next timer.
"""

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from itertools import count
from random import Random
from typing import Any

STEPS_MAX = 20_000_000


class Killed(BaseException):
    """Raised in a dead process by whatever it would do next; nothing may catch it."""


class Stuck(Exception):
    """Nothing can run and no timer is set, or the run does not end."""


class Lane:
    """One process's callbacks; frozen before ``awake_at``; a step takes ``cost`` seconds."""

    __slots__ = ("awake_at", "context", "cost", "dead", "name", "ready", "tasks")

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: deque[events.Handle] = deque()
        self.tasks: list[asyncio.Task[Any]] = []
        self.awake_at = 0.0
        self.cost = 0.0
        self.dead = False
        self.context: Context = copy_context()
        self.context.run(LANE.set, self)

    def check(self) -> None:
        """Raises Killed in a dead lane."""
        if self.dead:
            raise Killed(self.name)


LANE: ContextVar[Lane] = ContextVar("lane")


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where it lies in memory."""

    numbers = count()

    def __init__(self, work: Any, **named: Any) -> None:
        self._number = next(self.numbers)
        super().__init__(work, **named)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimLoop(asyncio.BaseEventLoop):
    """``random`` decides all that is left open; ``steps`` counts callbacks that ran."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.steps = 0
        self.main = Lane("main")
        self.trace: Callable[[float, str], None] = lambda now, name: None
        self._now = 0.0
        self._busy: list[Lane] = []
        self._timers: list[tuple[float, int, events.TimerHandle]] = []
        """A heap whose order no comparison of handles decides: those are slow."""
        self._timed = count()
        self.set_task_factory(self._task)
        self.set_exception_handler(lambda loop, context: None)

    def time(self) -> float:
        return self._now

    def spawn(self, lane: Lane, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin ``work`` in a lane."""
        return self.create_task(work, context=lane.context)

    def kill(self, lane: Lane) -> None:
        """End a process at once: none of its code has an effect any more. Not to be called from
        within a task."""
        lane.dead = True
        for _ in range(100):
            left = [task for task in lane.tasks if not task.done()]
            for task in left:
                task.cancel()
            while lane.ready:
                lane.ready.popleft()._run()
            if not left:
                break
        self._busy = [one for one in self._busy if one is not lane]
        lane.tasks.clear()

    # -- what asyncio asks for ----------------------------------------------------------------

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> events.Handle:
        handle = events.Handle(callback, args, self, context)
        self._enqueue(handle)
        return handle

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> events.TimerHandle:
        timer = events.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._timed), timer))
        return timer

    def _enqueue(self, handle: events.Handle) -> None:
        lane = handle._context.get(LANE, self.main)  # type: ignore[attr-defined]
        if not lane.ready and not lane.dead:
            self._busy.append(lane)
        lane.ready.append(handle)

    def _task(self, loop: Any, work: Any, context: Context | None = None) -> asyncio.Task[Any]:
        lane = (context or copy_context()).get(LANE, self.main)
        task = _Task(work, loop=self, context=context)
        lane.tasks.append(task)
        if len(lane.tasks) > 256:
            lane.tasks = [one for one in lane.tasks if not one.done()]
        return task

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        """A cancelled timer is skipped when its time comes."""

    def _process_events(self, event_list: object) -> None:
        """There are no sockets."""

    def _write_to_self(self) -> None:
        """There are no threads."""

    def _run_once(self) -> None:
        timers = self._timers
        while timers and timers[0][0] <= self._now:
            timer = heapq.heappop(timers)[2]
            if not timer._cancelled:  # type: ignore[attr-defined]
                self._enqueue(timer)
        lane = self._chosen(self._busy)
        if lane is not None and lane.awake_at > self._now:
            lane = self._chosen([one for one in self._busy if one.awake_at <= self._now])
        if lane is None:
            self._jump()
            return
        handle = lane.ready.popleft()
        if not lane.ready:
            self._busy.remove(lane)
        if not handle._cancelled:  # type: ignore[attr-defined]
            self.steps += 1
            if self.steps > STEPS_MAX:
                raise Stuck("the run does not end")
            handle._run()
            if lane.cost:
                lane.awake_at = self._now + lane.cost

    def _chosen(self, lanes: list[Lane]) -> Lane | None:
        if len(lanes) < 2:
            return lanes[0] if lanes else None
        return lanes[int(self.random.random() * len(lanes))]

    def _jump(self) -> None:
        timers = self._timers
        while timers and timers[0][2]._cancelled:  # type: ignore[attr-defined]
            heapq.heappop(timers)
        moments = [lane.awake_at for lane in self._busy]
        if timers:
            moments.append(timers[0][0])
        if not moments:
            raise Stuck("nothing can run, and nobody waits for a time")
        self._now = max(self._now, min(moments))
