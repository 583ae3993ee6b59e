"""Which tables a PartiQL statement names, and whether it changes anything: just enough for the
allow lists of callers. What it cannot tell, it says it cannot."""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \w+ | \S""", re.VERBOSE | re.DOTALL
)
_BEFORE_A_TABLE = frozenset({"FROM", "INTO", "UPDATE"})
VERBS = {
    "SELECT": "PartiQLSelect",
    "EXISTS": "PartiQLSelect",
    "INSERT": "PartiQLInsert",
    "UPDATE": "PartiQLUpdate",
    "DELETE": "PartiQLDelete",
}
"""The permission that AWS asks for, by the statement's first word."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What one statement does, and to what; ``tables`` is empty where that cannot be told."""

    permission: str
    tables: frozenset[str]

    @property
    def reads(self) -> bool:
        return self.permission == VERBS["SELECT"]


def statement_of(text: str) -> Statement | None:
    """None: it begins with no verb that is known."""
    tokens = [token for token in _TOKEN.findall(text) if not token.startswith(("--", "/*"))]
    if not tokens or tokens[0].upper() not in VERBS or "`" in tokens:
        return None
    tables = {
        _table(tokens[place + 1 :])
        for place, token in enumerate(tokens)
        if token.upper() in _BEFORE_A_TABLE
    }
    told = frozenset[str]() if "" in tables else frozenset(tables)
    return Statement(VERBS[tokens[0].upper()], told)


def _table(tokens: list[str]) -> str:
    """The table that stands first, with its index; empty where there is none, or several."""
    if not tokens:
        return ""
    end = 1
    while tokens[end : end + 1] == ["."]:
        end += 2
    return "" if tokens[end : end + 1] == [","] else _name(tokens[0])


def _name(token: str) -> str:
    """A table's name from its token; empty for what is none."""
    if token.startswith('"'):
        return token[1:-1].replace('""', '"')
    return token if token[:1].isalnum() or token.startswith("_") else ""
