"""Parses the text of a PartiQL statement, as much of the language as DynamoDB takes.

What comes out depends on the text only, so it is cached; ``bind`` does the rest per request.

    statement = ( insert | update | delete | select | "EXISTS" "(" select ")" ) [ ";" ]
    insert    = "INSERT" "INTO" table "VALUE" map
    update    = "UPDATE" table { "SET" path "=" sum { "," path "=" sum } | "REMOVE" path }
                [ "WHERE" condition ] [ returning ]
    delete    = "DELETE" "FROM" table [ "WHERE" condition ] [ returning ]
    select    = "SELECT" ( "*" | path { "," path } ) "FROM" table [ "." index ]
                [ "WHERE" condition ] [ "ORDER" "BY" name [ "ASC" | "DESC" ] { "," ... } ]
    returning = "RETURNING" ( "ALL" | "MODIFIED" ) ( "OLD" | "NEW" ) "*"
"""

from functools import lru_cache

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import Path
from dualwrite.core.partiql.ast import (
    Change,
    Exists,
    Insert,
    Node,
    Parsed,
    Remove,
    Returning,
    Select,
    Statement,
)
from dualwrite.core.partiql.expressions import ExpressionParser
from dualwrite.core.partiql.select import check_shown
from dualwrite.core.partiql.tokens import Cursor, malformed, tokenise

CACHED_TEXTS = 1024
"""An application has a fixed, small set of statements; each is at most 8 KB."""

_RETURNING: dict[tuple[str, str], Returning] = {
    ("ALL", "OLD"): "ALL_OLD",
    ("ALL", "NEW"): "ALL_NEW",
    ("MODIFIED", "OLD"): "UPDATED_OLD",
    ("MODIFIED", "NEW"): "UPDATED_NEW",
}


@lru_cache(maxsize=CACHED_TEXTS)
def parse_statement(text: str) -> Statement:
    """The statement; raises ValidationError in DynamoDB's words."""
    parser = _Statements(Cursor(text))
    parsed = parser.statement()
    parser.cursor.accept(";")
    if parser.cursor.token.kind != "end":
        raise parser.cursor.unexpected()
    written = tuple((token.kind, token.text) for token in tokenise(text))
    return Statement(parsed, parser.parameters, written)


class _Statements(ExpressionParser):
    """One rule of the grammar a method."""

    def statement(self) -> Parsed:
        match self.cursor.keyword():
            case "SELECT":
                return self.select()
            case "INSERT":
                return self.insert()
            case "UPDATE":
                return self.update()
            case "DELETE":
                return self.delete()
            case "EXISTS":
                self.cursor.take()
                self.cursor.expect("(")
                select = self.select()
                self.cursor.expect(")")
                return Exists(select)
        raise self.cursor.unexpected()

    def insert(self) -> Insert:
        self.cursor.expect_keyword("INSERT", "INTO")
        table, index = self.target()
        if index is not None:
            raise ValidationError(
                "FROM clause may only contain a single table name in data manipulation statements"
            )
        self.cursor.expect_keyword("VALUE")
        item = self.sum()
        if item.op != "map":
            raise ValidationError(
                "Unsupported format in item expression. Please use struct format {...} to express "
                "item values for insert statement."
            )
        if self.cursor.keyword() == "RETURNING":
            raise ValidationError("RETURNING is not supported in INSERT")
        return Insert(table, item)

    def update(self) -> Change:
        self.cursor.expect_keyword("UPDATE")
        table = self.table_alone()
        actions: list[tuple[Path, Node | None]] = []
        while True:
            if self.cursor.accept_keyword("SET"):
                actions.append(self.assignment())
                while self.cursor.accept(","):
                    actions.append(self.assignment())
            elif self.cursor.accept_keyword("REMOVE"):
                actions.append((self.path(), None))
            else:
                break
        if not actions:
            raise self.cursor.unexpected()
        return Change(table, tuple(actions), self.where(), self.returning())

    def assignment(self) -> tuple[Path, Node]:
        path = self.path()
        self.cursor.expect("=")
        return path, self.sum()

    def delete(self) -> Remove:
        self.cursor.expect_keyword("DELETE", "FROM")
        table, where, returning = self.table_alone(), self.where(), self.returning()
        if returning not in ("NONE", "ALL_OLD"):
            said = next(" ".join(words) for words, each in _RETURNING.items() if each == returning)
            raise ValidationError(
                f"Invalid returning clause: RETURNING {said} *. Only RETURNING ALL OLD * is "
                "allowed in DELETE statements."
            )
        return Remove(table, where, returning)

    def select(self) -> Select:
        self.cursor.expect_keyword("SELECT")
        if self.cursor.keyword() == "VALUE":
            raise ValidationError("Select projection doesn't support value or pivot keywords")
        paths: list[Path] = []
        if not self.cursor.accept("*"):
            paths.append(self.path())
            while self.cursor.accept(","):
                paths.append(self.path())
        if self.cursor.keyword() == "AS":
            raise ValidationError("Aliasing is not supported")
        if paths:
            check_shown(tuple(paths))
        self.cursor.expect_keyword("FROM")
        table, index = self.target()
        if self.cursor.keyword() == "AS" or (
            self.cursor.token.kind in ("word", "quoted")
            and self.cursor.keyword() not in ("WHERE", "ORDER", "LIMIT", "GROUP")
        ):
            raise ValidationError("Aliasing is not supported")
        if self.cursor.is_symbol(","):
            raise ValidationError("Only select from a single table or index is supported.")
        where = self.where()
        order = self.order()
        if self.cursor.keyword() in ("LIMIT", "GROUP", "HAVING", "OFFSET"):
            raise ValidationError(f"Unsupported clause: {self.cursor.keyword()}")
        return Select(table, index, tuple(paths), where, order)

    def target(self) -> tuple[str, str | None]:
        """A table, and perhaps an index of it."""
        name = self.identifier()
        return name, self.identifier() if self.cursor.accept(".") else None

    def table_alone(self) -> str:
        table, index = self.target()
        if index is not None:
            raise ValidationError("This operation is not supported on an index")
        return table

    def where(self) -> Node | None:
        return self.condition() if self.cursor.accept_keyword("WHERE") else None

    def order(self) -> tuple[tuple[str, bool], ...]:
        if not self.cursor.accept_keyword("ORDER", "BY"):
            return ()
        parts = []
        while True:
            name = self.identifier()
            rises = not self.cursor.accept_keyword("DESC")
            if rises:
                self.cursor.accept_keyword("ASC")
            parts.append((name, rises))
            if not self.cursor.accept(","):
                return tuple(parts)

    def returning(self) -> Returning:
        if not self.cursor.accept_keyword("RETURNING"):
            return "NONE"
        which = (self.cursor.take().text.upper(), self.cursor.take().text.upper())
        if which not in _RETURNING:
            raise malformed("RETURNING needs ( MODIFIED | ALL ) ( NEW | OLD )")
        if not self.cursor.accept("*"):
            raise ValidationError(
                "Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause"
            )
        if self.cursor.is_symbol(","):
            raise ValidationError(
                "Invalid syntax with multiple returning elements in RETURNING clause"
            )
        return _RETURNING[which]
