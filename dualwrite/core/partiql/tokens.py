"""Cuts the text of a PartiQL statement into tokens, with one compiled pattern."""

import re
from dataclasses import dataclass

from dualwrite.core.errors import ValidationError

STATEMENT_LENGTH_MAX = 8192
"""AWS: a Statement has 1 to 8192 characters."""

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<symbol><<|>>|<=|>=|<>|!=|[=<>()\[\]{},.:?*+;@-])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is word, quoted, string, number, symbol, other or end; ``text`` has no quotes."""

    kind: str
    text: str


def malformed(detail: str) -> ValidationError:
    """DynamoDB's error about a text that is no statement."""
    return ValidationError(f"Statement wasn't well formed, can't be processed: {detail}")


def tokenise(text: str) -> tuple[Token, ...]:
    """All tokens of ``text``, with one of kind end at the end; raises ValidationError."""
    if len(text) > STATEMENT_LENGTH_MAX:
        raise ValidationError(
            "1 validation error detected: Value at 'statement' failed to satisfy constraint: "
            f"Member must have length less than or equal to {STATEMENT_LENGTH_MAX}"
        )
    tokens = []
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup or "other", match.group()
        if kind == "space":
            continue
        if kind in ("string", "quoted"):
            mark = found[0]
            found = found[1:-1].replace(mark * 2, mark)
        tokens.append(Token(kind, found))
    return (*tokens, Token("end", "end of statement"))


class Cursor:
    """Reads tokens from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = tokenise(text)
        self._at = 0

    @property
    def token(self) -> Token:
        return self._tokens[self._at]

    @property
    def following(self) -> Token:
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def take(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def is_symbol(self, text: str) -> bool:
        return self.token.kind == "symbol" and self.token.text == text

    def accept(self, symbol: str) -> bool:
        """Take the symbol if it stands here."""
        if not self.is_symbol(symbol):
            return False
        self._at += 1
        return True

    def expect(self, symbol: str) -> None:
        if not self.accept(symbol):
            raise self.unexpected()

    def keyword(self) -> str:
        """The word that stands here, in capitals; empty for anything else."""
        return self.token.text.upper() if self.token.kind == "word" else ""

    def accept_keyword(self, *words: str) -> bool:
        """Take all of the words if they stand here, one after the other."""
        ahead = self._tokens[self._at : self._at + len(words)]
        if [token.text.upper() for token in ahead if token.kind == "word"] != list(words):
            return False
        self._at += len(words)
        return True

    def expect_keyword(self, *words: str) -> None:
        if not self.accept_keyword(*words):
            raise self.unexpected()

    def unexpected(self) -> ValidationError:
        """The token here is not what the grammar allows."""
        return malformed(f"unexpected token: {self.token.text}")
