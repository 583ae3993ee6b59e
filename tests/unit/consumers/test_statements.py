"""PartiQL texts: names and values cannot be taken for anything else."""

from consumers.statements import annotate, insert
from dualwrite.core.items import OTHER, STAMP
from dualwrite.core.stamps import FLOOR
from tests.consumer_harness import a_migration, note

NOTES = a_migration("").by_name["notes"]


def test_a_copy_is_an_insert_with_parameters() -> None:
    """Quotes in names are doubled; values never stand in the text."""
    item = {"note_id": {"S": "x' or 1"}, 'a"b': {"S": "1"}, "it's": {"N": "1"}}
    statement = insert(NOTES, item)
    assert statement["Statement"] == (
        "INSERT INTO \"notes-v2\" VALUE {'note_id': ?, 'a\"b': ?, 'it''s': ?}"
    )
    assert statement["Parameters"] == list(item.values())


def test_an_annotation_holds_only_for_the_item_that_was_seen() -> None:
    """Its key, its stamp (or none), and all that the map was made from stand in the condition."""
    fresh = annotate(NOTES, note(1), {"a": {"S": "b"}})
    assert fresh["Statement"] == (
        f'UPDATE "notes" SET "{OTHER}" = ? SET "{STAMP}" = ? '
        f'WHERE "endpoint_id" = ? AND "note_id" = ? AND "{STAMP}" IS MISSING'
    )
    assert fresh["Parameters"] == [
        {"M": {"a": {"S": "b"}}}, {"S": FLOOR}, {"S": "acme-prod"}, {"S": "n00001"}
    ]  # fmt: skip
    stamped = annotate(NOTES, note(1) | {STAMP: {"S": "s"}}, {})
    assert stamped["Statement"].endswith(f'AND "{STAMP}" = ?')
    assert f'SET "{STAMP}"' not in stamped["Statement"]
