"""There is one controller; whoever succeeds it goes on where it was killed."""

import asyncio
from random import Random

import pytest

from dualwrite.control.commands import ask
from dualwrite.control.controller import Controller
from dualwrite.core.errors import StateConflict
from dualwrite.core.phases import Phase
from dualwrite.core.records import (
    MEMBER,
    Command,
)
from tests.fakes.records import Fault, Line
from tests.unit.control.scene import MIGRATION, put_state
from tests.unit.control.stage import Stage, on_stage, outcome_of


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


@pytest.mark.parametrize("seed", range(5))
def test_a_lost_answer_does_not_begin_the_watch_anew(seed: int) -> None:
    """Nor end it: whatever becomes of its questions and of its takes after the first answer, a
    successor controls soon after lease and request life of its predecessor are over."""

    async def go(stage: Stage) -> None:
        random = Random(seed)
        line = Line(stage.records)
        stage.controller(line)
        await stage.clock.advance(1)
        line.cut = True
        began = stage.clock.monotonic_seconds()
        heir = stage.controller()
        await stage.clock.advance(1)

        async def flaky(operation: str, kind: str, name: str) -> Fault | None:
            return random.choice([None, *Fault])

        stage.records.hook = flaky

        def controls() -> bool:
            [record] = stage.records.seen(MEMBER)
            return bool(record.value["process"] == "controller-2" and record.value["counter"] > 1)

        await stage.clock.until(lambda: heir.done() or controls())
        assert not heir.done(), heir.exception()
        assert stage.clock.monotonic_seconds() - began < 15 + 10

    on_stage(go)


def test_who_lives_is_left_in_charge_through_lost_answers() -> None:
    """The counter of a living controller moves between two answers, however many are lost."""

    async def go(stage: Stage) -> None:
        first = stage.controller()
        await stage.clock.advance(1)
        second = stage.controller()
        await stage.clock.advance(0)
        asked = 0

        async def sparse(operation: str, kind: str, name: str) -> Fault | None:
            nonlocal asked
            asked += operation == "read"
            return Fault.LOST_ANSWER if operation == "read" and asked % 10 else None

        stage.records.hook = sparse
        await stage.clock.until(second.done)
        assert "running already" in str(second.exception())
        assert not first.done()

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
            stage.sizes,
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
        outcome = await stage.clock.drive(outcome_of(asking))
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
        outcome = await stage.clock.drive(outcome_of(asking))
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
        outcome = await stage.clock.drive(outcome_of(asking))
        assert outcome.status == "done", outcome.message

    on_stage(go)


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
