"""A member works only under a live lease, and acknowledges only what it has drained."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dualwrite.control.member import Member
from dualwrite.core.errors import LeaseExpired, StateConflict, Unreachable
from dualwrite.core.phases import Phase
from dualwrite.core.records import MEMBER, STATE
from tests.fakes.clock import VirtualClock
from tests.fakes.records import Fault, MemoryRecords
from tests.unit.control.scene import acks, member, put_state


@asynccontextmanager
async def running(subject: Member, clock: VirtualClock) -> AsyncIterator["asyncio.Task[None]"]:
    """The member, started, with its loops under way."""
    await clock.drive(subject.start())
    task = asyncio.create_task(subject.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_before_it_is_registered_nothing_may_be_done() -> None:
    """No lease, no work."""

    async def go() -> None:
        with pytest.raises(LeaseExpired):
            member(MemoryRecords(), VirtualClock()).enter("moved")

    asyncio.run(go())


def test_a_started_member_knows_the_state_and_may_work() -> None:
    """After start the newest state holds, and a table nobody wrote a state for is off."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        put_state(records, 4, Phase.MIRROR_OLD)
        subject = member(records, clock)
        await clock.drive(subject.start())
        state = subject.enter("moved")
        assert (state.epoch, state.phase) == (4, Phase.MIRROR_OLD)
        assert subject.current("also").phase is Phase.OFF

    asyncio.run(go())


def test_it_registers_before_it_reads_the_states() -> None:
    """A controller that does not see it yet has changed the state before it read."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        await clock.drive(member(records, clock).start())
        kinds = [kind for _, kind, _ in records.calls]
        assert kinds == [MEMBER, STATE]

    asyncio.run(go())


def test_a_new_state_holds_at_once_and_is_acknowledged_when_the_old_work_is_over() -> None:
    """New work begins under the new epoch while old work holds the acknowledgement back."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        put_state(records, 1, Phase.OFF)
        subject = member(records, clock)
        async with running(subject, clock):
            begun = [subject.enter("moved"), subject.enter("moved")]
            put_state(records, 2, Phase.MIRROR_OLD)
            await clock.advance(5)
            assert acks(records) == 1
            newer = subject.enter("moved")
            assert newer.epoch == 2
            subject.leave(begun[0])
            await clock.advance(5)
            assert acks(records) == 1
            subject.leave(begun[1])
            await clock.advance(0.2)
            assert acks(records) == 2
            subject.leave(newer)

    asyncio.run(go())


def test_tables_are_acknowledged_one_by_one() -> None:
    """Work on one table does not hold back another's epoch."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        put_state(records, 1, Phase.OFF)
        put_state(records, 1, Phase.OFF, "also")
        subject = member(records, clock)
        async with running(subject, clock):
            subject.enter("moved")
            put_state(records, 2, Phase.MIRROR_OLD)
            put_state(records, 2, Phase.MIRROR_OLD, "also")
            await clock.advance(1)
            assert (acks(records), acks(records, table="also")) == (1, 2)

    asyncio.run(go())


def test_work_from_two_epochs_ago_holds_both_acknowledgements() -> None:
    """Nothing is acknowledged over the head of older work."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        put_state(records, 1, Phase.OFF)
        subject = member(records, clock)
        async with running(subject, clock):
            oldest = subject.enter("moved")
            put_state(records, 2, Phase.MIRROR_OLD)
            await clock.advance(1)
            older = subject.enter("moved")
            put_state(records, 3, Phase.ATOMIC_OLD)
            await clock.advance(1)
            subject.leave(older)
            await clock.advance(1)
            assert acks(records) == 1
            subject.leave(oldest)
            await clock.advance(1)
            assert acks(records) == 3

    asyncio.run(go())


def test_a_lease_is_renewed_as_long_as_the_process_runs() -> None:
    """Hours later it still works."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        subject = member(records, clock, poll_seconds=0.5)
        async with running(subject, clock):
            await clock.advance(600)
            subject.enter("moved")

    asyncio.run(go())


def test_without_the_engine_the_lease_runs_out_and_comes_back_with_it() -> None:
    """It refuses to work once its lease is over, and works again under what holds then."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        put_state(records, 1, Phase.OFF)
        subject = member(records, clock)

        async def down(operation: str, kind: str, name: str) -> Fault | None:
            return Fault.UNREACHABLE

        async with running(subject, clock):
            await clock.advance(1)
            records.hook = down
            await clock.advance(3.1)
            with pytest.raises(LeaseExpired):
                subject.enter("moved")
            with pytest.raises(LeaseExpired):
                subject.current("moved")
            put_state(records, 2, Phase.MIRROR_OLD)
            records.hook = None
            await clock.advance(1)
            assert subject.enter("moved").epoch == 2

    asyncio.run(go())


def test_a_renewed_lease_counts_only_after_the_states_were_read_again() -> None:
    """Between a lapse and a fresh look at the states it still refuses."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        put_state(records, 1, Phase.OFF)
        subject = member(records, clock)

        async def states_unreadable(operation: str, kind: str, name: str) -> Fault | None:
            return Fault.UNREACHABLE if kind == STATE else None

        async with running(subject, clock):
            clock.freeze(60)
            records.hook = states_unreadable
            before = len(records.calls)
            await clock.advance(10)
            assert ("write", MEMBER, "proxy-1") in records.calls[before:]
            with pytest.raises(LeaseExpired):
                subject.enter("moved")

    asyncio.run(go())


def test_frozen_past_its_lease_it_refuses_the_moment_it_wakes() -> None:
    """Before any of its loops has run, ``enter`` looks at the clock."""

    async def go() -> None:
        clock = VirtualClock()
        subject = member(MemoryRecords(), clock)
        async with running(subject, clock):
            clock.freeze(3.0)
            with pytest.raises(LeaseExpired):
                subject.enter("moved")

    asyncio.run(go())


def test_a_lease_counts_from_before_the_renewal_was_sent() -> None:
    """An answer that was long under way gives no more time than its request asked."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        subject = member(records, clock)

        async def slow(operation: str, kind: str, name: str) -> Fault | None:
            await clock.sleep(1.0)
            return None

        records.hook = slow
        await clock.drive(subject.start())
        # One second for the record, one for the states.
        assert subject.lease_left_seconds() == pytest.approx(1.0)

    asyncio.run(go())


def test_lost_answers_cost_neither_the_lease_nor_the_acknowledgement() -> None:
    """Whether or not a renewal arrived, the next one finds its way."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        put_state(records, 1, Phase.OFF)
        subject = member(records, clock)
        faults = [Fault.LOST_ANSWER, None, Fault.LOST_REQUEST, None, None]
        writes = 0

        async def flaky(operation: str, kind: str, name: str) -> Fault | None:
            nonlocal writes
            if operation != "write":
                return None
            writes += 1
            return faults[writes % len(faults)]

        async with running(subject, clock):
            records.hook = flaky
            for epoch in range(2, 40):
                put_state(records, epoch, Phase.OFF)
                await clock.advance(0.7)
                assert subject.enter("moved").epoch == epoch
                subject.leave(subject.current("moved"))
            await clock.advance(3)
            assert acks(records) == 39

    asyncio.run(go())


def test_a_hanging_call_is_given_up_in_time_for_another() -> None:
    """One call that never answers does not cost the lease."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        subject = member(records, clock)
        hanging = {"write": True, "list": True}

        async def hang_once(operation: str, kind: str, name: str) -> Fault | None:
            if hanging.pop(operation, False):
                await clock.sleep(1_000)
            return None

        async with running(subject, clock):
            await clock.advance(0.5)
            records.hook = hang_once
            for _ in range(100):
                await clock.advance(0.1)
                subject.current("moved")
            assert not hanging

    asyncio.run(go())


def test_a_removed_record_is_written_anew() -> None:
    """A process that was taken for dead and is not comes back."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        subject = member(records, clock)
        async with running(subject, clock):
            records.forget(MEMBER, "proxy-1")
            await clock.advance(2)
            assert len(records.seen(MEMBER)) == 1
            subject.enter("moved")

    asyncio.run(go())


def test_two_processes_cannot_share_an_id() -> None:
    """The second one is refused at its start with a text that says what to do."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        await clock.drive(member(records, clock).start())
        with pytest.raises(StateConflict, match="id of its own"):
            await clock.drive(member(records, clock).start())

    asyncio.run(go())


def test_a_state_that_goes_back_ends_the_process() -> None:
    """Whoever puts an old control table back gets no writes under what it says."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        put_state(records, 5, Phase.ATOMIC_NEW)
        subject = member(records, clock)
        async with running(subject, clock) as task:
            put_state(records, 2, Phase.MIRROR_OLD)
            await clock.advance(1)
            with pytest.raises(LeaseExpired, match="went back"):
                subject.enter("moved")
            assert isinstance(task.exception(), StateConflict)

    asyncio.run(go())


def test_stop_refuses_new_work_waits_for_the_old_and_deregisters() -> None:
    """Nobody waits for a process that left in good order."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        subject = member(records, clock)
        async with running(subject, clock) as task:
            state = subject.enter("moved")
            stopping = asyncio.create_task(subject.stop())
            await clock.advance(0.5)
            with pytest.raises(LeaseExpired, match="stopping"):
                subject.enter("moved")
            assert records.seen(MEMBER)
            subject.leave(state)
            await clock.advance(0.5)
            assert stopping.done()
            assert task.done()
            assert not records.seen(MEMBER)

    asyncio.run(go())


def test_a_late_renewal_of_its_own_does_not_keep_a_member_registered() -> None:
    """It may arrive between the look at the record and its removal; the next move need not wait."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        subject = member(records, clock)
        async with running(subject, clock):
            [held] = records.seen(MEMBER)
            late = iter([held])

            async def arrives(operation: str, kind: str, name: str) -> None:
                if operation == "delete" and next(late, None):
                    records.put(MEMBER, held.name, held.value)

            records.hook = arrives
            await clock.drive(subject.stop())
            assert not records.seen(MEMBER)

    asyncio.run(go())


def test_a_member_never_removes_what_is_anothers() -> None:
    """A process that took the name over stays registered."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        subject = member(records, clock)
        async with running(subject, clock):
            [held] = records.seen(MEMBER)

            async def taken_over(operation: str, kind: str, name: str) -> None:
                if operation == "delete":
                    records.put(MEMBER, held.name, {**held.value, "process": "another"})

            records.hook = taken_over
            await clock.drive(subject.stop())
            [left] = records.seen(MEMBER)
            assert left.value["process"] == "another"

    asyncio.run(go())


def test_stop_with_work_in_flight_leaves_the_record_to_run_out() -> None:
    """Work that does not end is waited for by the controller, as for a dead process."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()
        subject = member(records, clock)
        async with running(subject, clock):
            subject.enter("moved")
            await clock.drive(subject.stop())
            assert records.seen(MEMBER)

    asyncio.run(go())


def test_an_unreachable_engine_at_the_start_is_said() -> None:
    """A process that cannot register does not start."""

    async def go() -> None:
        records, clock = MemoryRecords(), VirtualClock()

        async def down(operation: str, kind: str, name: str) -> Fault | None:
            return Fault.UNREACHABLE

        records.hook = down
        with pytest.raises(Unreachable):
            await clock.drive(member(records, clock).start())

    asyncio.run(go())
