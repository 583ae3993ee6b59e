"""The contiguous prefix of applied records."""

from random import Random

from consumers.prefix import Prefix


def test_a_checkpoint_never_passes_an_unapplied_record() -> None:
    """Whatever the order in which records are done, the checkpoint stands before the first that
    is not."""
    random = Random(7)
    for _ in range(200):
        prefix = Prefix("TRIM_HORIZON")
        marks = [mark for n in range(1, 30) if (mark := prefix.add(str(n), n)) is not None]
        for mark in random.sample(marks, len(marks)):
            mark.done = True
            prefix.advance()
            first_open = next((one for one in marks if not one.done), None)
            expected = len(marks) if first_open is None else int(first_open.sequence) - 1
            assert prefix.checkpoint == (str(expected) if expected else "TRIM_HORIZON")
            assert prefix.applied == expected


def test_sequence_numbers_are_compared_as_integers() -> None:
    """10 comes after 9, and what was fetched before is not fetched again."""
    prefix = Prefix("8")
    assert prefix.add("8", 0) is None
    assert prefix.add("9", 0) is not None
    assert prefix.add("10", 0) is not None
    assert prefix.add("9", 0) is None
    assert prefix.position == "10"
    assert prefix.checkpoint == "8"


def test_no_order_holds_across_a_gap() -> None:
    """After a gap the numbers may start anew, and what was fetched before it is still owed."""
    prefix = Prefix("100")
    owed = prefix.add("101", 0)
    assert owed is not None
    prefix.restart("TRIM_HORIZON")
    assert prefix.position == "TRIM_HORIZON"
    assert prefix.checkpoint == "100"
    fresh = prefix.add("5", 0)
    assert fresh is not None
    fresh.done = True
    prefix.advance()
    assert prefix.checkpoint == "100"
    owed.done = True
    prefix.advance()
    assert prefix.checkpoint == "5"
