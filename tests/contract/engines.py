"""The engines of the contract suite, and the one table of where an engine is known to be wrong.

A case in the table is a strict expected failure: the day the engine is right, the suite says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.engines_chosen import EngineName

FOREIGN = frozenset(
    f"{case}-dialect"
    for case in (
        "mirror/old-new", "atomic/old-new", "atomic/new-old", "mirror/new-old", "done-old",
    )
)  # fmt: skip
"""The cases in which a client speaks the dialect of the side that does not lead."""
ATOMIC = frozenset(
    f"atomic/{lead}-{word}-dialect" for lead in ("old", "new") for word in ("old", "new")
)
SINGLE_WRITES = frozenset(
    f"{phase}-{word}-dialect"
    for phase in ("mirror/old", "mirror/new", "done")
    for word in ("old", "new")
)
BOTH_SIDED = frozenset(
    f"{mode}/{lead}-{word}-dialect"
    for mode in ("mirror", "atomic")
    for lead in ("old", "new")
    for word in ("old", "new")
)
UNMANAGED = frozenset(f"unmanaged-{word}-dialect" for word in ("old", "new"))


@dataclass(frozen=True)
class Wrong:
    """A test that an engine fails by its own fault, and in which cases."""

    engine: EngineName
    test: str
    reason: str
    cases: frozenset[str]
    parameters: frozenset[str] = frozenset()
    """Of the test itself, as its name shows them; empty for all."""


KNOWN_WRONG = (
    Wrong(
        EngineName.MINISTACK, "test_the_shape_of_consumed_capacity",
        "it tells no capacity of transactions",
        UNMANAGED, frozenset({"TOTAL", "INDEXES"}),
    ),
    Wrong(
        EngineName.DYNOXIDE, "test_update_returns_what_a_plain_table_returns",
        "the old item of an update that makes one is its key, not nothing",
        FOREIGN | ATOMIC, frozenset({"ALL_OLD"}),
    ),
    Wrong(
        EngineName.DYNOXIDE, "test_attribute_updates",
        "the old item of an update that makes one is its key, not nothing",
        FOREIGN | ATOMIC, frozenset({"ALL_OLD"}),
    ),
    Wrong(
        EngineName.DYNOXIDE, "test_no_path_leads_into_a_key",
        "it takes a path behind a key in a filter for the key",
        BOTH_SIDED | {"done-new-dialect"},
    ),
    Wrong(
        EngineName.DYNOXIDE, "test_the_length_of_a_name",
        "it counts what a placeholder stands for into the length of a filter",
        BOTH_SIDED | {"done-new-dialect"}, frozenset({"65536"}),
    ),
    Wrong(
        EngineName.DYNOXIDE, "test_the_length_of_a_name",
        "it counts what a placeholder stands for into the length of a filter",
        ATOMIC | {"mirror/old-new-dialect", "mirror/new-new-dialect", "done-new-dialect"},
        frozenset({"65535"}),
    ),
    Wrong(
        EngineName.DYNOXIDE, "test_key_conditions_and_filters",
        "it refuses a QueryFilter that DynamoDB takes",
        FOREIGN,
    ),
    Wrong(
        EngineName.DYNOXIDE, "test_transactions_apply_all_or_nothing",
        "TransactGetItems adds the key to what was asked for",
        FOREIGN,
    ),
    Wrong(
        EngineName.DYNOXIDE, "test_what_a_read_may_ask_for",
        "TransactGetItems adds the key to what was asked for",
        FOREIGN,
    ),
    Wrong(
        EngineName.DYNOXIDE, "test_a_bad_text_is_told_before_what_it_leaves_unused",
        "a wrong text inside a transaction is told in words of its own",
        frozenset({"atomic/old-old-dialect", "atomic/new-new-dialect"}),
    ),
    Wrong(
        EngineName.DYNOXIDE, "test_item_collection_metrics_speak_the_dialect",
        "the size of a collection is told to the byte, hidden attributes and all",
        SINGLE_WRITES,
    ),
)  # fmt: skip

SAME_WORDS: Mapping[EngineName, bool] = {
    EngineName.MINISTACK: True,
    EngineName.DYNAMODB_LOCAL: False,
    EngineName.DYNOXIDE: False,
}
"""Whether an engine's error messages are DynamoDB's own, as the proxy's are; codes always are."""


def expect_known_wrong(item: pytest.Function) -> None:
    """Mark a test of the table for the engine that it runs on."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    for wrong in KNOWN_WRONG:
        named = {str(value) for value in parameters.values()}
        if (
            wrong.test == item.originalname
            and wrong.engine in named
            and wrong.cases & named
            and (not wrong.parameters or wrong.parameters & named)
        ):
            reason = f"{wrong.engine}: {wrong.reason}"
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason))
