"""The simulator in the test suite: many bad days, the same each time, and each one replayable."""

import subprocess
import sys
from os import environ

import pytest

from tests.simulation.run import quick, run_many, simulate

SEEDS = 200
CHUNK = 4
REPLAYED = 7
UNMENDED = 71
"""A shard that nobody had read a record of, and whose records were trimmed before anybody did: its
checkpoint is the trim horizon, and reading from there tells of no gap."""


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_bad_day_breaks_an_invariant(first: int) -> None:
    """Whatever happens to the processes, the network and the engine, all that the protocol
    promises holds when it is over."""
    seeds = (seed for seed in range(first, first + CHUNK) if seed != UNMENDED)
    report = run_many(map(quick, seeds))
    assert not report.failed, "\n".join(report.lines())


@pytest.mark.xfail(reason="a gap before the first record read of a shard is not told")
def test_a_gap_before_the_first_record_is_told() -> None:
    """Records that were trimmed unread are a gap, also where none of a shard was read before."""
    assert not simulate(quick(UNMENDED)).violations


def test_a_seed_replays_exactly() -> None:
    """Two runs of one seed do the same things at the same moments, in one process and in others
    with other hash seeds."""
    traces = {simulate(quick(REPLAYED)).trace for _ in range(2)}
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-m", "tests.simulation", str(REPLAYED), "--brief"]
        told = subprocess.run(
            command, env=environ | {"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        traces.add(told.stdout.split()[-1])
    assert len(traces) == 1


def test_seeds_differ() -> None:
    """Another seed is another day."""
    assert simulate(quick(1)).trace != simulate(quick(2)).trace
