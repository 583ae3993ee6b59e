"""The mistakes that prove the checks: each can still be planted."""

import importlib.util
from pathlib import Path

import pytest

from tests.simulation.mutations import FIRST_SEED, MUTATIONS, Mutation, hunted, mutated

FOUND = (
    "a refused guard is told as the client's false condition",
    "a transaction's guard is told as its client's false condition",
    "a repair waits for a clock that is minutes ahead",
)
"""Mistakes that were in the shipped code until the simulator found them. A seed shows one only
until other code changes; planted again, each is found within a few."""
FOUND_WITHIN = 12


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_line_is_there_and_changes(mutation: Mutation) -> None:
    """Whoever rewrites a line that a mutation names hears of it."""
    found = importlib.util.find_spec(mutation.module)
    assert found is not None
    assert found.origin is not None
    text = Path(found.origin).read_text(encoding="utf-8")
    changed = mutated(text, mutation)
    assert changed != text
    compile(changed, found.origin, "exec")


@pytest.mark.parametrize("name", FOUND)
def test_what_was_mended_is_found_again_where_it_comes_back(name: str) -> None:
    """A check, a fault or a workload that no longer reaches it would show here."""
    [mutation] = [one for one in MUTATIONS if one.name == name]
    assert hunted(mutation, range(FIRST_SEED, FIRST_SEED + FOUND_WITHIN))["needed"]
