"""Commands take tables along the square, one audited step at a time."""

import pytest

from dualwrite.control.commands import ask
from dualwrite.core.phases import Phase, TableState
from dualwrite.core.records import (
    BARRIER,
    MEMBER,
    STATE,
    Command,
)
from tests.unit.control.scene import put_state
from tests.unit.control.stage import Stage, on_stage


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


def test_a_flip_that_is_repeated_does_not_go_back() -> None:
    """Who did not see its end asks again, and new leads all the same."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.ATOMIC_OLD)
        stage.controller()
        await stage.member()
        assert (await stage.asked("flip")).status == "done"
        again = await stage.asked("flip")
        assert (again.status, again.message) == ("done", "nothing had to be done")
        assert stage.phases() == ("atomic/new", "atomic/new", "mirror/old")

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
        again = await stage.asked("rollback")
        assert (again.status, again.message) == ("done", "nothing had to be done")
        assert stage.phases() == ("atomic/old", "atomic/old", "mirror/old")
        assert (await stage.asked("flip", "moved")).status == "done"
        assert stage.phases() == ("atomic/new", "atomic/old", "mirror/old")

    on_stage(go)


@pytest.mark.parametrize(
    ("verb", "argument", "phase", "words"),
    [
        ("flip", "", Phase.OFF, "both written"),
        ("flip", "", Phase.DONE, "both written"),
        ("rollback", "", Phase.DONE, "would lose"),
        ("advance", "mirror/old", Phase.MIRROR_NEW, "by rollback only"),
        ("advance", "off", Phase.DONE, "cannot go"),
        ("advance", "sideways", Phase.OFF, "no phase"),
        ("advance", "", Phase.DONE, "already done"),
        ("reads", "101", Phase.MIRROR_OLD, "percentage"),
        ("reads", "5", Phase.OFF, "two tables"),
        ("verify", "", Phase.OFF, "is off"),
        ("verify", "", Phase.DONE, "is done"),
        ("backfill-start", "", Phase.ATOMIC_OLD, "is atomic/old"),
        ("backfill-start", "segments=0", Phase.MIRROR_OLD, "segments=1"),
        ("backfill-change", "", Phase.MIRROR_OLD, "nothing is told"),
        ("backfill-change", "segments=2", Phase.MIRROR_OLD, "no backfill"),
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
