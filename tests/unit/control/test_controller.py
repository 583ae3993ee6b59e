"""The controller moves tables one gated, acknowledged and audited step at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from dualwrite.control.commands import ask
from dualwrite.control.controller import Controller
from dualwrite.control.member import Member
from dualwrite.core.errors import LeaseExpired, StateConflict
from dualwrite.core.phases import Phase, TableState
from dualwrite.core.ports import Records
from dualwrite.core.records import (
    AUDIT,
    BACKFILL,
    BARRIER,
    COMMAND,
    MEMBER,
    STATE,
    STREAM,
    SWEEP,
    SWEPT,
    AuditEntry,
    BackfillOrder,
    Command,
    StreamProgress,
    SweepOrder,
    SweepResult,
    dump,
    load,
)
from tests.fakes.clock import VirtualClock
from tests.fakes.gates import FakeGates
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import Fault, Line, MemoryRecords
from tests.unit.control.scene import MIGRATION, member, put_state

SETTLED_SECONDS = 30.0


class Stage:
    """A control table, its gates, and the processes that the test lets live and die."""

    def __init__(self) -> None:
        self.records = MemoryRecords()
        self.clock = VirtualClock()
        self.gates = FakeGates()
        self.metrics = MemoryMetrics()
        self._stack = AsyncExitStack()
        self._controllers = 0

    def controller(self, line: Records | None = None) -> "asyncio.Task[None]":
        """A controller under way."""
        self._controllers += 1
        subject = Controller(
            line or self.records,
            MIGRATION,
            self.clock,
            self.metrics,
            self.gates,
            process_id=f"controller-{self._controllers}",
        )
        return self._begin(subject.run())

    async def member(self, name: str = "proxy-1") -> "tuple[Member, asyncio.Task[None]]":
        """A process under way that acknowledges."""
        subject = member(self.records, self.clock, name)
        await self.clock.drive(subject.start())
        return subject, self._begin(subject.run())

    async def asked(self, verb: str, table: str = "*", argument: str = "") -> Command:
        """The outcome of a command."""
        command = Command(verb, table, argument, reason="the test wants it", who="me@here")
        return await self.clock.drive(
            ask(self.records, self.clock, command, timeout_seconds=SETTLED_SECONDS * 10)
        )

    def state(self, table: str = "moved") -> TableState:
        [record] = [record for record in self.records.seen(STATE) if record.name == table]
        return load(TableState, record.value)

    def phases(self) -> tuple[str, ...]:
        return tuple(self.state(table.name).phase.value for table in MIGRATION.tables)

    def audit(self) -> list[AuditEntry]:
        return [load(AuditEntry, record.value) for record in self.records.seen(AUDIT)]

    def everywhere(self, phase: Phase, *, stays: Phase = Phase.MIRROR_OLD) -> None:
        """Set the scene: both rekey tables are in that phase."""
        for table in ("moved", "also"):
            put_state(self.records, 5, phase, table)
        put_state(self.records, 2, stays, "stays")

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)

        async def end() -> None:
            task.cancel()
            await self.clock.until(task.done)
            if not task.cancelled():
                task.exception()

        self._stack.push_async_callback(end)
        return task

    async def close(self) -> None:
        await self._stack.aclose()


def on_stage(test: Callable[[Stage], Awaitable[None]]) -> None:
    """Play a scene and let no process outlive it."""

    async def go() -> None:
        stage = Stage()
        try:
            await test(stage)
        finally:
            await stage.close()

    asyncio.run(go())


# -- the square -----------------------------------------------------------------------------


def test_every_table_gets_its_first_state() -> None:
    """A new migration begins off, in epoch 1; what is there already stays."""

    async def go(stage: Stage) -> None:
        put_state(stage.records, 7, Phase.ATOMIC_OLD, "also")
        stage.controller()
        await stage.clock.advance(1)
        assert stage.phases() == ("off", "atomic/old", "off")
        assert stage.state().epoch == 1
        assert stage.state("also").epoch == 7

    on_stage(go)


def test_all_tables_advance_together_to_the_end() -> None:
    """In-place tables join the first and the last step only."""

    async def go(stage: Stage) -> None:
        stage.controller()
        await stage.member()
        seen = []
        for _ in range(5):
            outcome = await stage.asked("advance")
            assert outcome.status == "done", outcome.message
            seen.append(stage.phases())
        assert seen == [
            ("mirror/old", "mirror/old", "mirror/old"),
            ("atomic/old", "atomic/old", "mirror/old"),
            ("atomic/new", "atomic/new", "mirror/old"),
            ("mirror/new", "mirror/new", "mirror/old"),
            ("done", "done", "done"),
        ]
        assert stage.state().epoch == 6
        assert stage.state("stays").epoch == 3
        assert (await stage.asked("advance")).status == "failed"

    on_stage(go)


def test_an_advance_to_a_phase_walks_every_step() -> None:
    """Each step between is gated, acknowledged and audited; the lead's epoch is remembered."""

    async def go(stage: Stage) -> None:
        stage.controller()
        subject, _ = await stage.member()
        outcome = await stage.asked("advance", "moved", "mirror/new")
        assert outcome.status == "done", outcome.message
        assert stage.phases() == ("mirror/new", "off", "off")
        assert [(entry.before, entry.after, entry.epoch) for entry in stage.audit()] == [
            ("off", "mirror/old", 2),
            ("mirror/old", "atomic/old", 3),
            ("atomic/old", "atomic/new", 4),
            ("atomic/new", "mirror/new", 5),
        ]
        assert stage.state().lead_epoch == 4
        assert subject.current("moved") == stage.state()

    on_stage(go)


def test_an_abort_goes_back_to_off() -> None:
    """From mirror/old one may still call it all off; reads go with it."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        put_state(stage.records, 6, Phase.MIRROR_OLD, share=50)
        stage.controller()
        outcome = await stage.asked("advance", "*", "off")
        assert outcome.status == "done", outcome.message
        assert stage.phases() == ("off", "off", "off")
        assert stage.state().read_share == 0

    on_stage(go)


def test_a_flip_from_mirror_passes_through_atomic() -> None:
    """And asks for a barrier only after everybody acknowledged atomic."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        await stage.member()
        outcome = await stage.asked("flip")
        assert outcome.status == "done", outcome.message
        assert stage.phases() == ("atomic/new", "atomic/new", "mirror/old")
        writes = [
            (kind, name) for operation, kind, name in stage.records.calls if operation == "write"
        ]
        barrier = writes.index((BARRIER, "moved"))
        states = [index for index, write in enumerate(writes) if write == (STATE, "moved")]
        ack = writes.index((MEMBER, "proxy-1"), states[0])
        assert states[0] < ack < barrier < states[1]

    on_stage(go)


def test_a_rollback_walks_back_and_a_second_flip_forth() -> None:
    """The lead goes back to old over the atomic edge, and may be taken again."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_NEW)
        stage.controller()
        await stage.member()
        outcome = await stage.asked("rollback")
        assert outcome.status == "done", outcome.message
        assert stage.phases() == ("atomic/old", "atomic/old", "mirror/old")
        assert stage.state().lead_epoch == 7
        assert (await stage.asked("rollback")).status == "failed"
        assert (await stage.asked("flip", "moved")).status == "done"
        assert stage.phases() == ("atomic/new", "atomic/old", "mirror/old")

    on_stage(go)


@pytest.mark.parametrize(
    ("verb", "argument", "phase", "words"),
    [
        ("flip", "", Phase.OFF, "both written"),
        ("flip", "", Phase.DONE, "both written"),
        ("rollback", "", Phase.DONE, "would lose"),
        ("rollback", "", Phase.MIRROR_OLD, "nothing to roll back"),
        ("advance", "mirror/old", Phase.MIRROR_NEW, "by rollback only"),
        ("advance", "off", Phase.DONE, "cannot go"),
        ("advance", "sideways", Phase.OFF, "no phase"),
        ("advance", "", Phase.DONE, "already done"),
        ("reads", "101", Phase.MIRROR_OLD, "percentage"),
        ("reads", "5", Phase.OFF, "two tables"),
        ("verify", "", Phase.OFF, "is off"),
        ("backfill-start", "", Phase.ATOMIC_OLD, "is atomic/old"),
        ("backfill-start", "0", Phase.MIRROR_OLD, "SEGMENTS"),
        ("backfill-pause", "", Phase.MIRROR_OLD, "no backfill"),
        ("dance", "", Phase.OFF, "no command"),
    ],
)
def test_what_cannot_be_done_fails_with_a_reason(
    verb: str, argument: str, phase: Phase, words: str
) -> None:
    """Nothing changes, and the message says why."""

    async def go(stage: Stage) -> None:
        put_state(stage.records, 5, phase)
        stage.controller()
        outcome = await stage.asked(verb, "moved", argument)
        assert outcome.status == "failed"
        assert words in outcome.message
        assert stage.state() == TableState("moved", 5, phase)

    on_stage(go)


def test_a_move_needs_a_reason_and_a_known_table() -> None:
    """The audit would be worth nothing without."""

    async def go(stage: Stage) -> None:
        stage.controller()
        for command in (Command("advance", "moved", reason=" "), Command("reads", "none", "1")):
            outcome = await stage.clock.drive(
                ask(stage.records, stage.clock, command, timeout_seconds=60)
            )
            assert outcome.status == "failed"

    on_stage(go)


# -- gates ----------------------------------------------------------------------------------


def test_a_closed_gate_refuses_by_name_and_reason() -> None:
    """No table of the command moves, and the refusal stands in the audit too."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.ATOMIC_OLD)
        stage.gates.close("also", "atomic/new")
        stage.controller()
        outcome = await stage.asked("flip")
        assert outcome.status == "refused"
        assert "fake-gate" in outcome.message
        assert outcome.gates == [  # type: ignore[comparison-overlap]  # as JSON gives it
            {
                "table": "also",
                "gate": "fake-gate",
                "verdict": "closed",
                "reason": "the test says so",
                "see": "x",
            }
        ]
        assert stage.phases() == ("atomic/old", "atomic/old", "mirror/old")
        assert {entry.outcome for entry in stage.audit()} == {"refused: fake-gate"}

    on_stage(go)


def test_a_gate_that_waiting_cannot_mend_refuses_at_once() -> None:
    """Nobody waits a minute to hear of it."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.ATOMIC_OLD)
        stage.gates.close("also", "atomic/new")
        stage.gates.close("moved", "atomic/new", waits=True)
        stage.controller()
        before = stage.clock.monotonic_seconds()
        assert (await stage.asked("flip")).status == "refused"
        assert stage.clock.monotonic_seconds() - before < 2

    on_stage(go)


def test_a_change_that_was_intended_and_never_made_is_abandoned_in_the_audit() -> None:
    """The controller died between the two, and its successor found the gate closed."""

    async def go(stage: Stage) -> None:
        put_state(stage.records, 5, Phase.ATOMIC_OLD)
        # Its writes: states of the other tables, the command, a barrier, the intent.
        line = Line(stage.records, last_write=5)
        stage.controller(line)
        asking = asyncio.create_task(
            ask(
                stage.records,
                stage.clock,
                Command("flip", "moved", reason="why not"),
                timeout_seconds=300,
            )
        )
        await stage.clock.until(lambda: line.cut)
        assert [entry.outcome for entry in stage.audit()] == ["intended"]
        stage.gates.close("moved", "atomic/new")
        stage.controller()
        assert (await stage.clock.drive(_outcome(asking))).status == "refused"
        assert stage.state().epoch == 5
        assert sorted(entry.outcome for entry in stage.audit()) == [
            "abandoned",
            "refused: fake-gate",
        ]

    on_stage(go)


def test_an_unknown_verdict_opens_nothing() -> None:
    """What is not proven is not open."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.gates.close("moved", "atomic/old", verdict="unknown")
        stage.controller()
        assert (await stage.asked("advance", "moved")).status == "refused"

    on_stage(go)


def test_a_gate_that_may_open_by_itself_is_waited_for() -> None:
    """As long as it takes, up to the bound."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.ATOMIC_OLD)
        stage.gates.close("moved", "atomic/new", waits=True)
        stage.controller()

        async def open_later() -> None:
            await stage.clock.sleep(40)
            stage.gates.closed.clear()

        opening = asyncio.create_task(open_later())
        outcome = await stage.asked("flip", "moved")
        assert opening.done()
        assert outcome.status == "done", outcome.message

    on_stage(go)


def test_tables_wait_for_each_other_and_are_judged_once_more_together() -> None:
    """While one is not ready only that one is asked; a gate that closes meanwhile is seen."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.ATOMIC_OLD)
        stage.gates.close("moved", "atomic/new", waits=True)
        stage.controller()
        asking = asyncio.create_task(
            ask(stage.records, stage.clock, Command("flip", "*", "", "x"), timeout_seconds=300)
        )
        await stage.clock.advance(10)
        asked = [table for table, _, goal in stage.gates.judged if goal == "atomic/new"]
        assert asked.count("moved") > 2 * asked.count("also")
        stage.gates.close("also", "atomic/new", waits=True)
        stage.gates.closed.pop(("moved", "atomic/new"))
        await stage.clock.advance(10)
        assert stage.phases()[:2] == ("atomic/old", "atomic/old")
        stage.gates.closed.clear()
        assert (await stage.clock.drive(_outcome(asking))).status == "done"
        assert stage.phases()[:2] == ("atomic/new", "atomic/new")

    on_stage(go)


def test_waiting_for_a_gate_ends() -> None:
    """After the bound the command is refused with the gate's reason."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.ATOMIC_OLD)
        stage.gates.close("moved", "atomic/new", waits=True)
        stage.controller()
        before = stage.clock.monotonic_seconds()
        outcome = await stage.asked("flip", "moved")
        assert outcome.status == "refused"
        assert 60 <= stage.clock.monotonic_seconds() - before <= 65

    on_stage(go)


@pytest.mark.parametrize(
    ("verb", "phase", "goal"),
    [("rollback", Phase.MIRROR_NEW, "atomic/old"), ("flip", Phase.MIRROR_OLD, "atomic/new")],
)
def test_a_hopeless_flip_moves_nothing(verb: str, phase: Phase, goal: str) -> None:
    """Its gates are asked before the first step of the way."""

    async def go(stage: Stage) -> None:
        stage.everywhere(phase)
        stage.gates.close("moved", goal)
        stage.controller()
        assert (await stage.asked(verb)).status == "refused"
        assert stage.phases()[:2] == (phase.value, phase.value)

    on_stage(go)


def test_reads_towards_the_leader_need_no_evidence() -> None:
    """The way out is open when everything else is closed."""

    async def go(stage: Stage) -> None:
        put_state(stage.records, 5, Phase.MIRROR_OLD, share=25)
        stage.gates.close("moved", "reads")
        stage.controller()
        assert (await stage.asked("reads", "moved", "50")).status == "refused"
        assert (await stage.asked("reads", "moved", "1")).status == "done"
        assert stage.state().read_share == 1
        assert stage.state().epoch == 6
        stage.gates.closed.clear()
        assert (await stage.asked("reads", "moved", "100")).status == "done"
        assert stage.gates.judged.count(("moved", "mirror/old", "reads 100")) == 1
        assert [entry.before for entry in stage.audit() if entry.outcome == "done"] == [
            "reads 25 %",
            "reads 1 %",
        ]

    on_stage(go)


# -- acknowledgements -----------------------------------------------------------------------


def test_the_next_step_waits_for_work_in_flight() -> None:
    """While one process still works under the old epoch, no later epoch comes."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        subject, _ = await stage.member()
        state = subject.enter("moved")
        asking = asyncio.create_task(
            ask(
                stage.records,
                stage.clock,
                Command("advance", "moved", "atomic/new", "why not"),
                timeout_seconds=200,
            )
        )
        await stage.clock.advance(40)
        assert stage.state().phase is Phase.ATOMIC_OLD
        subject.leave(state)
        outcome = await stage.clock.drive(_outcome(asking))
        assert outcome.status == "done", outcome.message
        assert stage.state().phase is Phase.ATOMIC_NEW

    on_stage(go)


def test_a_live_process_that_never_acknowledges_ends_the_wait() -> None:
    """The command fails by name of the process; the tables stand on two neighbouring states."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        subject, _ = await stage.member()
        subject.enter("moved")
        outcome = await stage.asked("advance", "moved", "atomic/new")
        assert outcome.status == "failed"
        assert "proxy-1" in outcome.message
        assert stage.state().phase is Phase.ATOMIC_OLD

    on_stage(go)


def test_a_dead_process_is_waited_for_as_long_as_it_may_write() -> None:
    """Its lease and a request's life pass before the next epoch; then its record is removed."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        await stage.member()
        _, task = await stage.member("proxy-2")
        task.cancel()
        began = stage.clock.monotonic_seconds()
        outcome = await stage.asked("advance", "moved")
        assert outcome.status == "done", outcome.message
        assert stage.clock.monotonic_seconds() - began >= 3 + 12
        assert [record.name for record in stage.records.seen(MEMBER)] == ["controller", "proxy-1"]

    on_stage(go)


def test_a_frozen_process_refuses_before_the_controller_goes_on() -> None:
    """By the time its successor epoch's successor comes, it has refused for a request's life."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        subject, task = await stage.member()
        subject.enter("moved")
        task.cancel()
        asking = asyncio.create_task(
            ask(
                stage.records,
                stage.clock,
                Command("advance", "moved", "atomic/new", "why not"),
                timeout_seconds=200,
            )
        )
        refused_since: float | None = None
        while stage.state().phase is not Phase.ATOMIC_NEW:
            await stage.clock.advance(0.1)
            try:
                subject.current("moved")
            except LeaseExpired:
                refused_since = refused_since or stage.clock.monotonic_seconds()
        assert refused_since is not None
        assert stage.clock.monotonic_seconds() - refused_since >= 12
        assert (await stage.clock.drive(_outcome(asking))).status == "done"

    on_stage(go)


def test_a_process_that_joins_in_the_middle_is_waited_for() -> None:
    """Who registers while a state is acknowledged must acknowledge it as well."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        subject, _ = await stage.member()
        first = subject.enter("moved")
        asking = asyncio.create_task(
            ask(
                stage.records,
                stage.clock,
                Command("advance", "moved", "atomic/new", "why not"),
                timeout_seconds=200,
            )
        )
        await stage.clock.advance(1)
        late, _ = await stage.member("proxy-2")
        assert late.current("moved").phase is Phase.ATOMIC_OLD
        subject.leave(first)
        assert (await stage.clock.drive(_outcome(asking))).status == "done"
        assert late.current("moved").phase is Phase.ATOMIC_NEW

    on_stage(go)


# -- one controller, and the next ------------------------------------------------------------


def test_a_second_controller_is_refused_while_the_first_lives() -> None:
    """In clear words, and the first one goes on."""

    async def go(stage: Stage) -> None:
        first = stage.controller()
        await stage.clock.advance(1)
        second = stage.controller()
        await stage.clock.until(second.done)
        assert isinstance(second.exception(), StateConflict)
        assert "running already" in str(second.exception())
        assert not first.done()
        assert (await stage.asked("advance")).status == "done"

    on_stage(go)


def test_of_two_that_start_at_once_one_controls() -> None:
    """However they interleave."""

    async def go(stage: Stage) -> None:
        first, second = stage.controller(), stage.controller()
        await stage.clock.until(lambda: first.done() or second.done())
        await stage.clock.advance(30)
        assert [first.done(), second.done()].count(True) == 1

    on_stage(go)


def test_a_stopped_controller_leaves_at_once() -> None:
    """Its successor need not wait for a lease."""

    async def go(stage: Stage) -> None:
        first = stage.controller()
        await stage.clock.advance(1)
        first.cancel()
        await stage.clock.advance(0.1)
        stage.controller()
        await stage.clock.advance(0.1)
        assert [r.value["process"] for r in stage.records.seen(MEMBER)] == ["controller-2"]

    on_stage(go)


def test_stop_returns_when_the_lease_is_given_up() -> None:
    """Also while it is still waiting for a predecessor's lease to run out."""

    async def go(stage: Stage) -> None:
        line = Line(stage.records)
        stage.controller(line)
        await stage.clock.advance(1)
        line.cut = True
        heir = Controller(
            stage.records,
            MIGRATION,
            stage.clock,
            stage.metrics,
            stage.gates,
            process_id="heir",
        )
        running = asyncio.create_task(heir.run())
        await stage.clock.advance(1)
        await stage.clock.drive(heir.stop(), 5)
        await stage.clock.advance(0.1)
        assert running.done()
        assert [r.value["process"] for r in stage.records.seen(MEMBER)] == ["controller-1"]

    on_stage(go)


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("last_write", range(1, 17))
def test_a_controller_that_dies_anywhere_is_succeeded(last_write: int, arrives: bool) -> None:
    """Whichever of its writes was the last, and whether or not it arrived: the next controller
    ends the command where it should end, each step once, each in the audit."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        await stage.member()
        line = Line(stage.records, last_write=last_write, arrives=arrives)
        stage.controller(line)
        asking = asyncio.create_task(
            ask(
                stage.records,
                stage.clock,
                Command("flip", "*", reason="why not", who="me@here"),
                timeout_seconds=300,
            )
        )
        await stage.clock.until(lambda: line.cut)
        assert not asking.done()
        stage.controller()
        outcome = await stage.clock.drive(_outcome(asking))
        assert outcome.status == "done", outcome.message
        assert "moved: atomic/old -> atomic/new (epoch 7)" in outcome.message
        assert stage.phases()[:2] == ("atomic/new", "atomic/new")
        assert stage.state().epoch == 7
        assert sorted((e.table, e.epoch, e.outcome) for e in stage.audit()) == [
            ("also", 6, "done"),
            ("also", 7, "done"),
            ("moved", 6, "done"),
            ("moved", 7, "done"),
        ]

    on_stage(go)


@pytest.mark.parametrize("seed", range(10))
def test_a_change_whose_answer_is_lost_is_made_once(seed: int) -> None:
    """Unknown outcomes are looked up, never guessed."""

    async def go(stage: Stage) -> None:
        random = Random(seed)

        async def flaky(operation: str, kind: str, name: str) -> Fault | None:
            if kind == MEMBER or random.random() < 0.8:
                return None
            return random.choice(list(Fault))

        stage.controller()
        await stage.member()
        await stage.clock.advance(1)
        asking = asyncio.create_task(
            ask(
                stage.records,
                stage.clock,
                Command("advance", "*", "mirror/new", "why not"),
                timeout_seconds=300,
            )
        )
        await stage.clock.advance(0)
        stage.records.hook = flaky
        outcome = await stage.clock.drive(_outcome(asking))
        assert outcome.status == "done", outcome.message
        assert stage.phases() == ("mirror/new", "mirror/new", "mirror/old")
        assert (stage.state().epoch, stage.state("stays").epoch) == (5, 2)
        done = [entry for entry in stage.audit() if entry.outcome == "done"]
        assert len(done) == 9

    on_stage(go)


def test_without_the_engine_nothing_is_decided_and_with_it_all_goes_on() -> None:
    """An outage in the middle of a command only delays it."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        await stage.member()
        await stage.clock.advance(1)
        asking = asyncio.create_task(
            ask(
                stage.records,
                stage.clock,
                Command("flip", "*", reason="why not"),
                timeout_seconds=300,
            )
        )
        await stage.clock.until(lambda: stage.state().phase is Phase.ATOMIC_OLD)

        async def down(operation: str, kind: str, name: str) -> Fault | None:
            return Fault.UNREACHABLE

        stage.records.hook = down
        await stage.clock.advance(60)
        assert stage.state().phase is Phase.ATOMIC_OLD
        stage.records.hook = None
        outcome = await stage.clock.drive(_outcome(asking))
        assert outcome.status == "done", outcome.message

    on_stage(go)


# -- commands -------------------------------------------------------------------------------


def test_a_command_that_nobody_takes_is_withdrawn() -> None:
    """No controller that starts tomorrow carries it out by surprise."""

    async def go(stage: Stage) -> None:
        outcome = await stage.asked("advance")
        assert outcome.status == "failed"
        assert "dualwrite control" in outcome.message
        stage.controller()
        await stage.clock.advance(5)
        assert stage.phases() == ("off", "off", "off")

    on_stage(go)


def test_commands_are_carried_out_in_the_order_of_asking() -> None:
    """The second begins when the first is over."""

    async def go(stage: Stage) -> None:
        for number, argument in enumerate(("10", "20", "30")):
            command = Command("shadow", "moved", argument, asked_ms=number)
            stage.records.put(COMMAND, f"{number:013d}-x", dump(command))
        put_state(stage.records, 1, Phase.MIRROR_OLD)
        stage.controller()
        await stage.clock.advance(10)
        assert [entry.after for entry in stage.audit()] == [
            "shadow 10 %",
            "shadow 20 %",
            "shadow 30 %",
        ]
        assert stage.state().shadow_share == 30

    on_stage(go)


def test_finished_commands_are_forgotten_in_the_end() -> None:
    """The list of commands has a bound; the audit has all."""

    async def go(stage: Stage) -> None:
        put_state(stage.records, 1, Phase.MIRROR_OLD)
        stage.controller()
        for number in range(30):
            await stage.asked("shadow", "moved", str(number + 1))
        await stage.clock.advance(1)
        assert len(stage.records.seen(COMMAND)) == 20
        assert len(stage.audit()) == 30

    on_stage(go)


# -- backfill and verify --------------------------------------------------------------------


def _streams_read(stage: Stage, *names: str) -> None:
    for name in names:
        now_ms = stage.clock.wall_ms()
        progress = StreamProgress(0.0, 0, 1, unbroken_since_ms=1, updated_ms=now_ms)
        stage.records.put(STREAM, name, dump(progress))


def test_a_backfill_is_ordered_when_the_streams_are_read() -> None:
    """What it copies too early is cured by the streams, so it waits for them, then starts."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        refused = await stage.asked("backfill-start", "moved", "8:500")
        assert refused.status == "refused"
        assert refused.gates[0]["gate"] == "streams_read"
        _streams_read(stage, "moved/old", "moved/new")
        outcome = await stage.asked("backfill-start", "moved", "8:500")
        assert outcome.status == "done", outcome.message
        [record] = stage.records.seen(BACKFILL)
        order = load(BackfillOrder, record.value)
        assert (order.wanted, order.segments, order.units_per_second_max) == ("run", 8, 500.0)

    on_stage(go)


def test_a_backfill_is_paused_and_resumed_and_not_begun_twice() -> None:
    """Starting again while it runs leaves it alone."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        _streams_read(stage, "moved/old", "moved/new", "also/old", "also/new", "stays/old")
        stage.controller()
        assert (await stage.asked("backfill-start")).status == "done"
        before = stage.records.seen(BACKFILL)
        assert len(before) == 3
        again = await stage.asked("backfill-start")
        assert "not over yet" in again.message
        assert stage.records.seen(BACKFILL) == before
        for verb, wanted in (("backfill-pause", "pause"), ("backfill-resume", "run")):
            assert (await stage.asked(verb)).status == "done"
            assert {r.value["wanted"] for r in stage.records.seen(BACKFILL)} == {wanted}

    on_stage(go)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, "clean, 7 compared"),
        ({"missing": 2}, "2 missing"),
        ({"errors": 1}, "nothing is proven"),
    ],
)
def test_verify_ends_with_what_the_sweep_found(found: dict[str, int], words: str) -> None:
    """And keeps no other command waiting while it is swept."""

    async def go(stage: Stage) -> None:
        put_state(stage.records, 1, Phase.MIRROR_OLD)
        stage.controller()
        asking = asyncio.create_task(
            ask(stage.records, stage.clock, Command("verify", "moved"), timeout_seconds=300)
        )
        await stage.clock.until(lambda: bool(stage.records.seen(SWEEP)))
        assert (await stage.asked("shadow", "moved", "5")).status == "done"
        assert not asking.done()
        [order] = stage.records.seen(SWEEP)
        result = SweepResult(load(SweepOrder, order.value).run, 1, 2, True, compared=7)
        stage.records.put(SWEPT, "moved", dump(replace(result, **found)))  # type: ignore[arg-type]
        outcome = await stage.clock.drive(_outcome(asking))
        assert outcome.status == "done"
        assert words in outcome.message

    on_stage(go)


def test_a_newer_verify_takes_the_place_of_an_older_one() -> None:
    """The older one fails and says so."""

    async def go(stage: Stage) -> None:
        put_state(stage.records, 1, Phase.MIRROR_OLD)
        stage.controller()
        asking = asyncio.create_task(
            ask(stage.records, stage.clock, Command("verify", "moved"), timeout_seconds=300)
        )
        await stage.clock.until(lambda: bool(stage.records.seen(SWEEP)))
        newer = asyncio.create_task(
            ask(stage.records, stage.clock, Command("verify", "moved"), timeout_seconds=300)
        )
        outcome = await stage.clock.drive(_outcome(asking))
        assert outcome.status == "failed"
        assert "newer sweep" in outcome.message
        newer.cancel()

    on_stage(go)


# -- metrics --------------------------------------------------------------------------------


def test_states_and_gates_are_shown_as_metrics() -> None:
    """The phase a table is in, its epoch, and the gates of its next move."""

    async def go(stage: Stage) -> None:
        put_state(stage.records, 4, Phase.MIRROR_OLD, share=25)
        stage.gates.close("moved", "atomic/old")
        stage.controller()
        await stage.clock.advance(5)
        values = stage.metrics.values
        assert values["dualwrite_epoch", "moved"] == 4
        assert values["dualwrite_read_share", "moved"] == 25
        assert values["dualwrite_phase", "moved", "mirror/old"] == 1
        assert values["dualwrite_phase", "moved", "off"] == 0
        assert values["dualwrite_gate", "moved", "fake-gate"] == 0
        assert values["dualwrite_gate", "moved", "always-open"] == 1
        assert values["dualwrite_repairs_waiting", "moved", "false"] == 0

    on_stage(go)


async def _outcome(asking: "asyncio.Task[Command]") -> Command:
    return await asking
