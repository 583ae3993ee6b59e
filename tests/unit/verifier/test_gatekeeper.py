"""The gatekeeper judges by what the records say now."""

import asyncio
from dataclasses import replace

import pytest

from dualwrite.control.gatekeeper import GateKeeper
from dualwrite.core.phases import Phase, TableState
from dualwrite.core.records import MEMBER, POISON, Member, Repair, dump
from tests.fakes.clock import VirtualClock
from tests.fakes.records import Fault, MemoryRecords
from tests.fakes.verifying import boards, migration
from verifier.gatekeeper import Gates

OFF = TableState("boards", 1, Phase.OFF)


def test_a_move_is_judged_by_its_gates() -> None:
    """One verdict a gate: open, closed, or unknown where the evidence cannot be read."""

    async def go() -> None:
        records = MemoryRecords()
        gates: GateKeeper = Gates(records, replace(migration(), digest="s1"), VirtualClock())

        async def judged() -> dict[str, str]:
            found = await gates.judge(boards(), OFF, Phase.MIRROR_OLD)
            return {verdict.gate: verdict.verdict for verdict in found}

        assert await judged() == {"acknowledged": "open", "one_spec": "open"}

        records.put(MEMBER, "p1", dump(Member("proxy", 1, 1, 3.0, {"boards": 0}, spec="s1")))
        assert await judged() == {"acknowledged": "closed", "one_spec": "open"}

        records.put(MEMBER, "p1", dump(Member("proxy", 1, 1, 3.0, {"boards": 1}, spec="s0")))
        assert await judged() == {"acknowledged": "open", "one_spec": "closed"}

        async def fail(operation: str, kind: str, name: str) -> Fault:
            return Fault.UNREACHABLE

        records.hook = fail
        assert await judged() == {"acknowledged": "unknown", "one_spec": "unknown"}

    asyncio.run(go())


def test_reads_are_judged_where_the_follower_would_serve_more() -> None:
    """More reads from new are judged, fewer are always allowed."""

    async def go() -> None:
        gates = Gates(MemoryRecords(), migration(), VirtualClock())
        mirrored = replace(OFF, phase=Phase.MIRROR_OLD, read_share=25)
        judged = await gates.judge_reads(boards(), mirrored, 100)
        assert any(verdict.verdict != "open" for verdict in judged)
        assert await gates.judge_reads(boards(), mirrored, 0) == ()

    asyncio.run(go())


def test_poison_is_read_where_a_gate_asks_for_it() -> None:
    """The list may be long, and most gates only ask whether anything waits."""

    async def go() -> None:
        records = MemoryRecords()
        records.put(POISON, "boards/a", dump(Repair("boards", "a", "old", "gave up")))
        gates = Gates(records, migration(), VirtualClock())
        mirrored = replace(OFF, phase=Phase.MIRROR_OLD)
        await gates.judge_reads(boards(), mirrored, 100)
        await gates.judge_copy(boards(), mirrored)
        await gates.judge(boards(), mirrored, Phase.OFF)
        assert all(kind != POISON for _, kind, _ in records.calls)
        found = await gates.judge(boards(), mirrored, Phase.ATOMIC_OLD)
        [verdict] = [one for one in found if one.gate == "untransformable_accepted"]
        assert (verdict.verdict, "1 keys" in verdict.reason) == ("closed", True)

    asyncio.run(go())


def test_what_is_not_on_the_square_is_not_judged() -> None:
    """An illegal move and a foreign table are errors of the caller."""

    async def go() -> None:
        gates = Gates(MemoryRecords(), migration(), VirtualClock())
        with pytest.raises(KeyError):
            await gates.judge(boards(), OFF, Phase.DONE)
        with pytest.raises(KeyError):
            await gates.judge(replace(boards(), name="strange"), OFF, Phase.MIRROR_OLD)

    asyncio.run(go())
