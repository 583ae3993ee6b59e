"""Commands are taken in order, once, or withdrawn."""

import pytest

from dualwrite.control.commands import GATES_KEPT_MAX
from dualwrite.core.phases import Phase
from dualwrite.core.records import (
    COMMAND,
    Command,
    dump,
    load,
)
from tests.unit.control.scene import put_state
from tests.unit.control.stage import Stage, on_stage


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


def test_a_refusal_by_very_many_gates_fits_into_its_record() -> None:
    """A control table's item takes 400 KB, and a migration may have hundreds of tables."""

    async def go(stage: Stage) -> None:
        stage.gates.times = 5_000
        stage.gates.close("moved", "mirror/old")
        stage.controller()
        outcome = await stage.asked("advance", "moved")
        assert outcome.status == "refused"
        assert len(outcome.gates) == GATES_KEPT_MAX
        assert "5000 gates are not open" in outcome.message

    on_stage(go)


@pytest.mark.parametrize(("hours", "phase"), [(0.9, "mirror/old"), (1.1, "off")])
def test_what_a_dead_asker_left_behind_is_not_begun_the_next_day(hours: float, phase: str) -> None:
    """An asker that was killed could not withdraw its command. A controller that starts after the
    time that it would have waited, and an hour for clocks that differ, says so and does nothing."""

    async def go(stage: Stage) -> None:
        command = Command("advance", "moved", "", "x", "x", stage.clock.wall_ms(), 60.0)
        stage.records.put(COMMAND, "1-x", dump(command))
        await stage.clock.advance(hours * 3600)
        stage.controller()
        await stage.clock.advance(5)
        assert stage.state().phase.value == phase
        [left] = stage.records.seen(COMMAND)
        assert load(Command, left.value).status == ("done" if phase == "mirror/old" else "failed")

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
