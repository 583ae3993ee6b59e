"""The fault plan is the seed's, and never takes both proxies."""

from random import Random

from verifier.rehearsal.faults import plan

STEPS = ("off", "mirror/old", "flip")
PROXIES, CONSUMERS = ("proxy-1", "proxy-2"), ("consumer-1", "consumer-2")


def test_the_same_seed_kills_the_same_processes_at_the_same_moments() -> None:
    """A rehearsal can be repeated by its seed; another seed chooses otherwise in the end."""
    plans = [plan(Random(seed), STEPS, PROXIES, CONSUMERS, 2.0) for seed in range(30)]
    again = [plan(Random(seed), STEPS, PROXIES, CONSUMERS, 2.0) for seed in range(30)]
    assert plans == again
    assert {fault.step for faults in plans for fault in faults} == set(STEPS)
    assert {fault.victim for faults in plans for fault in faults} == {*PROXIES, *CONSUMERS}


def test_one_proxy_and_one_consumer_die() -> None:
    """An application that has no proxy left has no database, so one always stays."""
    for seed in range(30):
        first, second = plan(Random(seed), STEPS, PROXIES, CONSUMERS, 2.0)
        assert first.victim in PROXIES
        assert second.victim in CONSUMERS
        assert 0.0 <= first.delay_seconds <= 3.0
