"""The fault plan is the seed's."""

from random import Random

from verifier.rehearsal.faults import FROZEN_SECONDS, Blow, Fault, plan

STEPS = ("off", "mirror/old", "flip")
PROXIES, CONSUMERS, OTHERS = ("proxy-1", "proxy-2"), ("consumer-1", "consumer-2"), ("controller",)


def planned(seed: int, strikes: int = 2) -> tuple[Fault, ...]:
    return plan(Random(seed), STEPS, (PROXIES, CONSUMERS, OTHERS), 2.0, strikes)


def test_the_same_seed_kills_the_same_processes_at_the_same_moments() -> None:
    """A rehearsal can be repeated by its seed; another seed chooses otherwise in the end."""
    plans = [planned(seed) for seed in range(30)]
    assert plans == [planned(seed) for seed in range(30)]
    assert {fault.step for faults in plans for fault in faults} == set(STEPS)
    assert {fault.victim for faults in plans for fault in faults} == {*PROXIES, *CONSUMERS}


def test_one_proxy_and_one_consumer_die() -> None:
    """What the report of a rehearsal by default tells."""
    for seed in range(30):
        first, second = planned(seed)
        assert first.victim in PROXIES
        assert second.victim in CONSUMERS
        assert first.blow is second.blow is Blow.KILLED
        assert 0.0 <= first.delay_seconds <= 3.0


def test_more_blows_fall_on_all_and_of_both_kinds() -> None:
    """Each process is struck in the end, killed and frozen; fewer than two can be asked for too."""
    faults = planned(1, 100)
    assert len(faults) == 100
    assert {fault.victim for fault in faults} == {*PROXIES, *CONSUMERS, *OTHERS}
    assert {fault.blow for fault in faults} == {Blow.KILLED, Blow.FROZEN}
    shortest, longest = FROZEN_SECONDS
    assert all(
        shortest <= fault.seconds <= longest for fault in faults if fault.blow is Blow.FROZEN
    )
    assert [fault.victim in PROXIES for fault in planned(1, 1)] == [True]
    assert planned(1, 0) == ()
