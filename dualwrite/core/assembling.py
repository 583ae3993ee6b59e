"""The expressions of one action while it is put together: the client's own, and what is set, asked
and named beside them."""

import re
from dataclasses import dataclass, field
from typing import Any

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import Placeholders, placeholders_in
from dualwrite.core.items import Item
from dualwrite.core.requests import Wish

Action = dict[str, Any]
"""Members of one write that a single call and a transaction share."""

_SET = re.compile(r"(?<![#:.\w])SET(?=[\s#])", re.IGNORECASE)
_OR = re.compile(r"\bOR\b", re.IGNORECASE)


@dataclass(slots=True)
class Expressions:
    """Owns its names and values."""

    names: dict[str, str] = field(default_factory=dict)
    values: Item = field(default_factory=dict)
    condition: str | None = None
    update: str | None = None
    pool: Placeholders = field(default_factory=Placeholders)
    """Placeholders of what is written anew in the other dialect's words."""

    def take(self, wish: Wish, text: str) -> None:
        """Take over what ``text`` uses of the client's names and values: one too many is refused,
        and not every text of a request ends up in the same action."""
        used = placeholders_in(text)
        self.names.update({name: text for name, text in wish.names.items() if name in used})
        self.values.update({name: value for name, value in wish.values.items() if name in used})

    def require(self, clause: str) -> None:
        self.condition = clause if self.condition is None else f"{self.condition} AND {clause}"

    def set(self, clause: str) -> None:
        if not self.update:
            self.update = f"SET {clause}"
            return
        found = _SET.search(self.update)
        if found is None:
            self.update = f"SET {clause} {self.update}"
        else:
            self.update = f"{self.update[: found.end()]} {clause},{self.update[found.end() :]}"

    def into(self, action: Action) -> Action:
        if self.condition is not None:
            action["ConditionExpression"] = self.condition
        if self.update is not None:
            action["UpdateExpression"] = self.update
        if names := {**self.names, **self.pool.names}:
            action["ExpressionAttributeNames"] = names
        if values := {**self.values, **self.pool.values}:
            action["ExpressionAttributeValues"] = values
        return action


def conjunct(text: str) -> str:
    """``text`` in parentheses where an OR in it would otherwise escape what is ANDed to it.

    Parentheses around parentheses would be refused by DynamoDB as redundant. Raises
    ValidationError.
    """
    if not _OR.search(text):
        return text
    depth, enclosed = 0, text.lstrip().startswith("(")
    for position, character in enumerate(text.rstrip()):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if depth == 0 and character == ")" and position + 1 < len(text.rstrip()):
            enclosed = False
    if depth != 0:
        raise ValidationError("Invalid ConditionExpression: Syntax error; unbalanced parentheses")
    return text if enclosed else f"({text})"
