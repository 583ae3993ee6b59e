"""A state changes only when its gates are open and everybody acknowledged the one before."""

import asyncio

import pytest

from dualwrite.control.commands import ask
from dualwrite.core.errors import LeaseExpired
from dualwrite.core.phases import Phase
from dualwrite.core.records import (
    BACKFILL,
    MEMBER,
    BackfillOrder,
    Command,
    dump,
)
from tests.fakes.records import Line
from tests.unit.control.scene import put_state
from tests.unit.control.stage import Stage, on_stage, outcome_of


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
        assert (await stage.clock.drive(outcome_of(asking))).status == "refused"
        assert stage.state().epoch == 5
        assert sorted(entry.outcome for entry in stage.audit()) == [
            "abandoned",
            "refused: fake-gate",
        ]

    on_stage(go)


def test_a_copy_that_was_let_go_of_is_made_anew() -> None:
    """Between off and the second mirror/old nothing was copied, so the backfill of the first one
    stands for nothing; back from atomic it does."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        for table in ("moved", "also"):
            stage.records.put(BACKFILL, table, dump(BackfillOrder("run", "run", 1, 0)))
        assert (await stage.asked("advance", argument="atomic/old")).status == "done"
        assert (await stage.asked("advance", argument="mirror/old")).status == "done"
        assert len(stage.records.seen(BACKFILL)) == 2
        assert (await stage.asked("advance", "moved", "off")).status == "done"
        assert (await stage.asked("advance", "moved", "mirror/old")).status == "done"
        assert [record.name for record in stage.records.seen(BACKFILL)] == ["also"]

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
        assert (await stage.clock.drive(outcome_of(asking))).status == "done"
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


def asked_for_two_steps(stage: Stage) -> asyncio.Task[Command]:
    """From mirror mode over atomic/old to atomic/new, which takes as long as it takes."""
    command = Command("advance", "moved", "atomic/new", "why not")
    return asyncio.create_task(ask(stage.records, stage.clock, command, timeout_seconds=200))


def test_the_next_step_waits_for_work_in_flight() -> None:
    """While one process still works under the old epoch, no later epoch comes."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        subject, _ = await stage.member()
        state = subject.enter("moved")
        asking = asked_for_two_steps(stage)
        await stage.clock.advance(40)
        assert stage.state().phase is Phase.ATOMIC_OLD
        subject.leave(state)
        outcome = await stage.clock.drive(outcome_of(asking))
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
        asking = asked_for_two_steps(stage)
        refused_since: float | None = None
        while stage.state().phase is not Phase.ATOMIC_NEW:
            await stage.clock.advance(0.1)
            try:
                subject.current("moved")
            except LeaseExpired:
                refused_since = refused_since or stage.clock.monotonic_seconds()
        assert refused_since is not None
        assert stage.clock.monotonic_seconds() - refused_since >= 12
        assert (await stage.clock.drive(outcome_of(asking))).status == "done"

    on_stage(go)


def test_a_process_that_joins_in_the_middle_is_waited_for() -> None:
    """Who registers while a state is acknowledged must acknowledge it as well."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        subject, _ = await stage.member()
        first = subject.enter("moved")
        asking = asked_for_two_steps(stage)
        await stage.clock.advance(1)
        late, _ = await stage.member("proxy-2")
        assert late.current("moved").phase is Phase.ATOMIC_OLD
        subject.leave(first)
        assert (await stage.clock.drive(outcome_of(asking))).status == "done"
        assert late.current("moved").phase is Phase.ATOMIC_NEW

    on_stage(go)
