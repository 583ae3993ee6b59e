"""Booleans that come as texts."""

from dualwrite.core.booleans import boolean


def test_texts_that_dynamodb_reads() -> None:
    """In any case of letters; other texts, and numbers, mean none."""
    assert [boolean(text) for text in ("true", "TRUE", "1", "yes", True)] == [True] * 5
    assert [boolean(text) for text in ("false", "No", "0", False)] == [False] * 4
    assert [boolean(other) for other in ("", "on", "2", 1, 0, None, [], {})] == [None] * 8
