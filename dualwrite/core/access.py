"""What a caller may do, and on which tables."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from dualwrite.core.doubled import refuse_doubled
from dualwrite.core.errors import ClientError
from dualwrite.core.operations import OPERATIONS, Operation, Right
from dualwrite.core.shapes import serialization
from dualwrite.core.statements import statement_of

ALL_TABLES = "*"
ACCOUNT = "000000000000"
"""Stands in refusals for the account, which the proxy does not know."""
REMEMBERED_MAX = 1024
SHOWN_MAX = 1024
"""Characters of a client's own words that a refusal repeats."""
_STATEMENTS = frozenset({"Statement", "Statements", "TransactStatements"})
_MEMBERS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
"""Members of a transaction, with the permission that AWS asks for each."""
_NAMING_WITHIN: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("TransactItems",): ("TableName", *_MEMBERS),
    ("Statements",): ("Statement",),
    ("TransactStatements",): ("Statement",),
    ("TableCreationParameters",): ("TableName",),
}
"""What names a table further within the member that a request has for them."""


@dataclass(frozen=True, slots=True)
class Use:
    """One table that a request touches; None: it cannot be told which, so it may be any."""

    table: str | None
    permission: str
    right: Right


@dataclass(frozen=True)
class Access:
    """What one key may do. ``patterns``: table names or ARNs, with ``*`` for any characters and
    ``?`` for one. ``twins`` gives a managed table's other physical name: it is the same data, so
    whoever may use one dialect may use the other."""

    patterns: tuple[str, ...]
    rights: frozenset[Right]
    twins: Mapping[str, str] = field(default_factory=dict, repr=False)
    _remembered: dict[str, bool] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def everything(self) -> bool:
        """Whether there is nothing to ask: all rights on all tables."""
        return ALL_TABLES in self.patterns and self.rights == frozenset(Right)

    def check(self, operation: str, body: bytes, *, user: str, region: str) -> None:
        """Raise ClientError unless a request may be served."""
        rule = OPERATIONS[operation]
        if rule.harmless:
            return
        by_text = not _STATEMENTS.isdisjoint(rule.fields)
        if ALL_TABLES in self.patterns and not by_text:
            uses: Iterable[Use] = (Use(None, operation, rule.right),)
        else:
            uses = _uses(operation, rule, body)
        for use in uses:
            if use.right not in self.rights or not self._allows(use.table):
                raise _denied(use, user, region)

    def _allows(self, table: str | None) -> bool:
        if ALL_TABLES in self.patterns:
            return True
        if table is None:
            return False
        allowed = self._remembered.get(table)
        if allowed is None:
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()
            allowed = self._remembered[table] = self._matches(table)
        return allowed

    def _matches(self, table: str) -> bool:
        name = name_in(table)
        if name is None:
            return False
        twin = self.twins.get(name)
        return any(
            _matches(pattern, table, name) or (twin is not None and _matches(pattern, twin, twin))
            for pattern in self.patterns
        )


def name_in(table: str) -> str | None:
    """A table's name, where it was given an ARN of the table, or of an index, a stream, a backup,
    an export or an import of it; None for another ARN."""
    if not table.startswith("arn:"):
        return table
    _, found, rest = table.partition("table/")
    return rest.partition("/")[0] if found else None


def _matches(pattern: str, table: str, name: str) -> bool:
    """An ARN in the list is compared with a whole ARN, so that it can tell accounts and Regions
    apart, and by its name with a bare name."""
    if pattern.startswith("arn:"):
        if table.startswith("arn:"):
            end = table.index("table/") + len("table/") + len(name)
            return _like(pattern, table[:end])
        pattern = name_in(pattern) or ""
    return _like(pattern, name)


def _like(pattern: str, text: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


# -- what a request touches --------------------------------------------------------------------


def _uses(operation: str, rule: Operation, raw: bytes) -> Iterator[Use]:
    """Everything a request touches; at least one. Raises ClientError for what is no JSON object."""
    body = _parsed(raw, rule.fields)
    told = False
    for part in rule.fields:
        value = body.get(part)
        if value is None:
            continue
        for use in _uses_in(operation, rule.right, part, value):
            told = True
            yield use
    if not told:
        yield Use(None, operation, rule.right)


def _uses_in(operation: str, right: Right, part: str, value: Any) -> Iterator[Use]:
    match part, value:
        case "RequestItems", dict():
            for table in value:
                yield Use(table, operation, right)
        case "TransactItems", list():
            yield from _transaction(operation, right, value)
        case "TableCreationParameters", dict():
            yield Use(_text(value.get("TableName")), operation, right)
        case "ShardIterator", str():
            # DynamoDB's iterators hold the ARN of their stream.
            _, arn, rest = value.partition("arn:")
            yield Use(arn + rest if arn else None, operation, right)
        case "Statement", _:
            yield from _statement(operation, value)
        case "Statements" | "TransactStatements", list():
            for each in value:
                text = each.get("Statement") if isinstance(each, dict) else None
                yield from _statement(operation, text)
        case _:
            yield Use(_text(value), operation, right)


def _transaction(operation: str, right: Right, members: list[Any]) -> Iterator[Use]:
    for member in members:
        for verb, target in member.items() if isinstance(member, dict) else ():
            if target is not None:
                table = _text(target.get("TableName")) if isinstance(target, dict) else None
                yield Use(table, _MEMBERS.get(verb, operation), right)


def _statement(operation: str, text: Any) -> Iterator[Use]:
    statement = statement_of(text) if isinstance(text, str) else None
    if statement is None:
        yield Use(None, operation, Right.WRITE)
        return
    right = Right.READ if statement.reads else Right.WRITE
    for table in statement.tables or (None,):
        yield Use(table, statement.permission, right)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _parsed(raw: bytes, fields: tuple[str, ...]) -> dict[str, Any]:
    """The body. Raises ClientError where it is no object, or may name another table than it seems
    to."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise serialization("Start of structure or map found where not expected") from None
    if not isinstance(body, dict):
        raise serialization("Unexpected token: a structure is expected")
    refuse_doubled(raw, (*fields, *_NAMING_WITHIN.get(fields, ())))
    return body


def _denied(use: Use, user: str, region: str) -> ClientError:
    table = (use.table or ALL_TABLES)[:SHOWN_MAX]
    resource = (
        table if table.startswith("arn:") else f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/{table}"
    )
    action = f"dynamodb:{use.permission}"
    return ClientError(
        "AccessDeniedException",
        f"User: arn:aws:iam::{ACCOUNT}:user/{user} is not authorized to perform: {action} on "
        f"resource: {resource} because no identity-based policy allows the {action} action",
    )
