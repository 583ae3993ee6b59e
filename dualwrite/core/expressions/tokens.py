"""Cuts the text of an expression into tokens, with one compiled pattern."""

import re
from dataclasses import dataclass
from typing import NoReturn

from dualwrite.core.errors import ValidationError

TEXT_BYTES_MAX = 4096
"""AWS: "the maximum length of any expression string is 4 KB"."""

END = "<EOF>"

_TOKEN = re.compile(
    r"""
    (?P<word>[A-Za-z][A-Za-z0-9_]*)
    | (?P<name>\#[A-Za-z0-9_]+)
    | (?P<value>:[A-Za-z0-9_]+)
    | (?P<index>0|[1-9][0-9]*)
    | (?P<symbol><>|<=|>=|[=<>(),.\[\]+-])
    | (?P<space>[ \t\n\r]+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is word, name (#x), value (:x), index, symbol, other or end."""

    kind: str
    text: str
    start: int
    end: int


def invalid(kind: str, detail: str) -> ValidationError:
    """DynamoDB's error about one expression; ``kind`` is the parameter that held it."""
    return ValidationError(f"Invalid {kind}: {detail}")


def tokenise(text: str, kind: str) -> tuple[Token, ...]:
    """All tokens of ``text``, with one of kind end at the end."""
    if not text:
        raise invalid(kind, "The expression can not be empty;")
    size = len(text.encode())
    if size > TEXT_BYTES_MAX:
        raise invalid(
            kind,
            f"Expression size has exceeded the maximum allowed size; expression size: {size}",
        )
    tokens = [
        Token(match.lastgroup or "other", match.group(), match.start(), match.end())
        for match in _TOKEN.finditer(text)
        if match.lastgroup != "space"
    ]
    return (*tokens, Token("end", END, len(text), len(text)))


class Cursor:
    """Reads tokens from left to right; knows how DynamoDB words a syntax error."""

    def __init__(self, text: str, kind: str) -> None:
        self.kind = kind
        self._text = text
        self._tokens = tokenise(text, kind)
        self._at = 0

    @property
    def token(self) -> Token:
        return self._tokens[self._at]

    @property
    def following(self) -> Token:
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    @property
    def position(self) -> int:
        """How many tokens were taken."""
        return self._at

    def take(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def is_symbol(self, text: str) -> bool:
        return self.token.kind == "symbol" and self.token.text == text

    def accept(self, symbol: str) -> bool:
        """Take the symbol if it stands here."""
        if self.is_symbol(symbol):
            self._at += 1
            return True
        return False

    def expect(self, symbol: str) -> None:
        if not self.accept(symbol):
            self.fail()

    def keyword(self) -> str:
        """The word that stands here, in capitals; empty for anything else."""
        return self.token.text.upper() if self.token.kind == "word" else ""

    def accept_keyword(self, word: str) -> bool:
        if self.keyword() == word:
            self._at += 1
            return True
        return False

    def fail(self) -> NoReturn:
        """The token here is not what the grammar allows."""
        bad = self.token
        before = self._tokens[self._at - 1] if self._at else None
        start = before.start if before else (0 if bad.kind == "end" else bad.start)
        after = self.following
        near = self._text[start : after.end]
        raise invalid(self.kind, f'Syntax error; token: "{bad.text}", near: "{near}"')
