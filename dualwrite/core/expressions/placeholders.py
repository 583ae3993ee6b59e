"""Checks ExpressionAttributeNames and ExpressionAttributeValues of a whole request."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions.syntax import CACHED_TEXTS
from dualwrite.core.expressions.tokens import tokenise
from dualwrite.core.expressions.wellformed import check_name, check_value
from dualwrite.core.items import AttributeValue

_NAME = re.compile(r"#[A-Za-z0-9_]+")
_VALUE = re.compile(r":[A-Za-z0-9_]+")


def check_placeholders(
    names: Mapping[str, str] | None, values: Mapping[str, AttributeValue] | None
) -> None:
    """The form of both maps and of the values, which DynamoDB checks before any expression.

    Raises ClientError in DynamoDB's words. The parsers rely on it: what they get is well-formed.
    """
    if names is not None:
        if not names:
            raise ValidationError("ExpressionAttributeNames must not be empty")
        for key, name in names.items():
            _check_key("ExpressionAttributeNames", _NAME, key)
            try:
                check_name(name)
            except ValidationError as error:
                raise ValidationError(
                    f"ExpressionAttributeNames contains invalid value: {error.message} "
                    f"for key {key}"
                ) from None
    if values is not None:
        if not values:
            raise ValidationError("ExpressionAttributeValues must not be empty")
        for key, value in values.items():
            _check_key("ExpressionAttributeValues", _VALUE, key)
            try:
                check_value(value)
            except ValidationError as error:
                raise ValidationError(
                    f"ExpressionAttributeValues contains invalid value: {error.message} "
                    f"for key {key}"
                ) from None


def check_unused(
    expressions: Iterable[str | None],
    names: Mapping[str, str] | None,
    values: Mapping[str, AttributeValue] | None,
) -> None:
    """Every placeholder of the request stands in one of its expressions' texts (None: absent).

    Call it once all of them are parsed. Raises ValidationError in DynamoDB's words.
    """
    if not names and not values:
        return
    used = frozenset[str]().union(*(placeholders_in(text) for text in expressions if text))
    for parameter, given in (
        ("ExpressionAttributeNames", names),
        ("ExpressionAttributeValues", values),
    ):
        unused = [key for key in given or () if key not in used]
        if unused:
            raise ValidationError(
                f"Value provided in {parameter} unused in expressions: "
                "keys: {" + ", ".join(unused) + "}"
            )


@lru_cache(maxsize=CACHED_TEXTS)
def placeholders_in(text: str) -> frozenset[str]:
    """The #names and :values that stand in the text of an expression."""
    return frozenset(token.text for token in tokenise(text, "") if token.kind in {"name", "value"})


def _check_key(parameter: str, form: re.Pattern[str], key: str) -> None:
    if not form.fullmatch(key):
        raise ValidationError(f'{parameter} contains invalid key: Syntax error; key: "{key}"')
