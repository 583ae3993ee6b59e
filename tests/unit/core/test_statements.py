"""What a PartiQL statement touches, as far as an allow list must know it."""

import pytest

from dualwrite.core.statements import statement_of


@pytest.mark.parametrize(
    ("text", "permission", "tables"),
    [
        ('SELECT * FROM "a-b"', "PartiQLSelect", {"a-b"}),
        ("select a from Tasks where b = 1", "PartiQLSelect", {"Tasks"}),
        ('SELECT * FROM "a"."by-owner" WHERE x = \'FROM "c"\'', "PartiQLSelect", {"a"}),
        ('SELECT "from" FROM /* FROM c */ "a" -- FROM d', "PartiQLSelect", {"a"}),
        ("INSERT INTO \"a\" VALUE {'k': 'it''s FROM b'}", "PartiQLInsert", {"a"}),
        ('\n update "a" SET x=1 WHERE k=1 RETURNING ALL NEW *', "PartiQLUpdate", {"a"}),
        ('DELETE FROM "a""b" WHERE k=1', "PartiQLDelete", {'a"b'}),
        ('EXISTS(SELECT * FROM "a" WHERE k=1)', "PartiQLSelect", {"a"}),
        ('SELECT * FROM "a" WHERE EXISTS(SELECT * FROM "b")', "PartiQLSelect", {"a", "b"}),
        ("SELECT 1", "PartiQLSelect", set()),
        ('SELECT * FROM "a", "b"', "PartiQLSelect", set()),
        ('SELECT * FROM "a"."by-owner", b', "PartiQLSelect", set()),
        ("SELECT * FROM 'b' WHERE EXISTS(SELECT * FROM \"a\")", "PartiQLSelect", set()),
        ("SELECT * FROM (x)", "PartiQLSelect", set()),
        ("SELECT * FROM", "PartiQLSelect", set()),
    ],
)
def test_verb_and_tables(text: str, permission: str, tables: set[str]) -> None:
    """Texts and comments hide no table and make none."""
    statement = statement_of(text)
    assert statement is not None
    assert (statement.permission, statement.tables) == (permission, tables)
    assert statement.reads is (permission == "PartiQLSelect")


@pytest.mark.parametrize("text", ["", "  ", "DROP TABLE a", "-- SELECT", "SELECT * FROM a `x`"])
def test_what_cannot_be_told(text: str) -> None:
    """Then it may be anything."""
    assert statement_of(text) is None
