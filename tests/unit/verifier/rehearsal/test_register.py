"""The register explains every honest history and no dishonest one."""

import pytest

from tests.unit.verifier.rehearsal.stories import entry, read, refused
from verifier.rehearsal.history import AFTER, BEFORE, Entry, Seen
from verifier.rehearsal.register import FLOATING_MAX, Fault, Register

ABSENT = Seen(False)
LOADED = Seen(True)


def judged(initial: Seen, entries: list[Entry], final: Seen) -> list[Fault]:
    register = Register(initial)
    register.follow(entries)
    found = [finding.fault for finding in register.findings]
    last = register.judge(final)
    return found + ([last.fault] if last else [])


@pytest.mark.parametrize(
    ("initial", "entries", "final"),
    [
        pytest.param(ABSENT, [], ABSENT, id="nothing happened"),
        pytest.param(ABSENT, [entry(1, "put")], Seen(True, "t1", 1), id="a put"),
        pytest.param(
            ABSENT, [entry(1, "put"), entry(2, "update")], Seen(True, "t2", 2), id="an update"
        ),
        pytest.param(LOADED, [entry(1, "update")], Seen(True, "t1", 1), id="of the data set"),
        pytest.param(ABSENT, [entry(1, "update")], Seen(True, "t1", 1), id="an upsert"),
        pytest.param(LOADED, [entry(1, "delete")], ABSENT, id="a delete"),
        pytest.param(
            LOADED, [entry(1, "delete"), entry(2, "put")], Seen(True, "t2", 1), id="put again"
        ),
        pytest.param(ABSENT, [entry(1, "put", "unknown")], ABSENT, id="unknown, not applied"),
        pytest.param(
            ABSENT, [entry(1, "put", "unknown")], Seen(True, "t1", 1), id="unknown, applied"
        ),
        pytest.param(
            ABSENT,
            [entry(1, "put", "unknown"), entry(2, "put")],
            Seen(True, "t1", 1),
            id="an unknown write arrived after a later one",
        ),
        pytest.param(
            ABSENT,
            [entry(1, "put"), entry(2, "update", "unknown"), entry(3, "update")],
            Seen(True, "t3", 3),
            id="an unknown update was applied in its place",
        ),
        pytest.param(
            ABSENT,
            [entry(1, "put"), entry(2, "update", "unknown"), entry(3, "update")],
            Seen(True, "t3", 2),
            id="and this one was not",
        ),
        pytest.param(
            LOADED, [entry(1, "delete", "unknown")], LOADED, id="an unknown delete, not applied"
        ),
        pytest.param(
            ABSENT,
            [entry(1, "put", "unknown"), refused(2, "put", "absent")],
            Seen(True, "t1", 1),
            id="a refusal proves that the unknown write was applied",
        ),
        pytest.param(
            ABSENT,
            [entry(1, "put"), entry(2, "update", "refused", code="ThrottlingException")],
            Seen(True, "t1", 1),
            id="a throttled write was not applied",
        ),
        pytest.param(
            ABSENT,
            [
                entry(1, "put", seen=ABSENT, seen_when=BEFORE),
                entry(2, "update", seen=Seen(True, "t2", 2), seen_when=AFTER),
                entry(3, "update", seen=Seen(True, "t2", 2), seen_when=BEFORE),
                read(4, Seen(True, "t3", 3)),
            ],
            Seen(True, "t3", 3),
            id="all return values agree",
        ),
    ],
)
def test_an_honest_history_is_explained(initial: Seen, entries: list[Entry], final: Seen) -> None:
    """No fault is found where every answer and the final state fit one order of events."""
    assert judged(initial, entries, final) == []


@pytest.mark.parametrize(
    ("initial", "entries", "final", "fault"),
    [
        pytest.param(ABSENT, [entry(1, "put")], ABSENT, Fault.LOST, id="a put is gone"),
        pytest.param(
            ABSENT,
            [entry(1, "put"), entry(2, "update")],
            Seen(True, "t1", 1),
            Fault.LOST,
            id="the last update is gone",
        ),
        pytest.param(LOADED, [entry(1, "update")], LOADED, Fault.LOST, id="the data set is back"),
        pytest.param(LOADED, [entry(1, "delete")], LOADED, Fault.RESURRECTED, id="back again"),
        pytest.param(
            ABSENT,
            [entry(1, "put"), entry(2, "delete")],
            Seen(True, "t1", 1),
            Fault.RESURRECTED,
            id="an old copy came back",
        ),
        pytest.param(
            ABSENT,
            [entry(1, "put"), entry(2, "update")],
            Seen(True, "t2", 3),
            Fault.MISAPPLIED,
            id="an update was applied twice",
        ),
        pytest.param(
            ABSENT,
            [entry(1, "put"), entry(2, "update"), entry(3, "update")],
            Seen(True, "t3", 2),
            Fault.MISAPPLIED,
            id="an update was overwritten by one that had not seen it",
        ),
        pytest.param(
            ABSENT,
            [entry(1, "put", "refused", code="ThrottlingException")],
            Seen(True, "t1", 1),
            Fault.RESURRECTED,
            id="what was refused is there",
        ),
        pytest.param(
            LOADED,
            [entry(1, "put", condition="absent")],
            Seen(True, "t1", 1),
            Fault.MISJUDGED,
            id="a condition that did not hold was accepted",
        ),
        pytest.param(
            ABSENT,
            [entry(1, "put"), refused(2, "update", "present")],
            Seen(True, "t1", 1),
            Fault.MISJUDGED,
            id="a condition that held was refused",
        ),
        pytest.param(
            ABSENT,
            [entry(1, "put"), entry(2, "update"), read(3, Seen(True, "t1", 1))],
            Seen(True, "t2", 2),
            Fault.STALE_READ,
            id="a consistent read went to the follower",
        ),
        pytest.param(
            ABSENT,
            [entry(1, "put"), entry(2, "update", seen=Seen(True, "t1", 1), seen_when=AFTER)],
            Seen(True, "t2", 2),
            Fault.WRONG_RETURN,
            id="ALL_NEW showed the old image",
        ),
        pytest.param(
            ABSENT,
            [entry(1, "put"), entry(2, "delete", seen=ABSENT, seen_when=BEFORE)],
            ABSENT,
            Fault.WRONG_RETURN,
            id="ALL_OLD showed nothing",
        ),
    ],
)
def test_a_lie_is_caught(initial: Seen, entries: list[Entry], final: Seen, fault: Fault) -> None:
    """Each kind of fault is found, by its name, and nothing else is."""
    assert judged(initial, entries, final) == [fault]


def test_a_read_between_unknown_writes_narrows_what_may_be() -> None:
    """What a consistent read has shown cannot be unseen by the final state."""
    entries = [entry(1, "put"), entry(2, "update", "unknown"), read(3, Seen(True, "t2", 2))]
    assert judged(ABSENT, entries, Seen(True, "t2", 2)) == []
    assert judged(ABSENT, entries, Seen(True, "t1", 1)) == [Fault.LOST]


def test_too_many_unknown_outcomes_are_judged_by_tags() -> None:
    """A key with many unknown writes is still judged: what nobody wrote cannot be there."""
    unknown = [entry(number, "put", "unknown") for number in range(1, FLOATING_MAX + 3)]
    entries = [*unknown, entry(90, "put")]
    assert judged(ABSENT, entries, Seen(True, "t90", 1)) == []
    assert judged(ABSENT, entries, Seen(True, "t3", 1)) == []
    assert judged(ABSENT, entries, Seen(True, "t77", 1)) == [Fault.LOST]
    assert judged(ABSENT, entries, ABSENT) == [Fault.LOST]
    gone = [*unknown, entry(90, "delete")]
    assert judged(ABSENT, gone, ABSENT) == []
