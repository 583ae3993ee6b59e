"""The mistakes that prove the checks: each can still be planted."""

import importlib.util
from pathlib import Path

import pytest

from tests.simulation.mutations import MUTATIONS, Mutation, mutated


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
