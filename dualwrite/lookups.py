"""Runs a pure decision that may ask for parent rows until it has all its answers."""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from dualwrite.core.derivation import Answers, Missing, Question
from dualwrite.core.ports import Parents
from dualwrite.core.spec_checks.lookups import LOOKUPS_MAX

T = TypeVar("T")
Given = TypeVarTuple("Given")

QUESTIONS_MAX = LOOKUPS_MAX + 1
"""A row is decided once more after its last look-up."""


async def answered(
    parents: Parents, decide: "Callable[[*Given, Answers], T | Question]", *given: *Given
) -> T:
    """Call ``decide(*given, answers)`` with ever more answers until it asks no further question."""
    answers: dict[Question, str | Missing] = {}
    for _ in range(QUESTIONS_MAX):
        decision = decide(*given, answers)
        if not isinstance(decision, Question):
            return decision
        answers[decision] = await parents.answer(decision)
    raise AssertionError("a row asked for more parents than its spec declares")
