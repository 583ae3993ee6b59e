"""Refusals in DynamoDB's words."""

from typing import Any

from dualwrite.core.errors import Refused

CONDITION_FAILED = "ConditionalCheckFailedException"


def refused(code: str, message: str = "", **fields: Any) -> Refused:
    return Refused(code, message, 400, fields)


def invalid(message: str) -> Refused:
    return refused("ValidationException", message)


def condition_failed(item: dict[str, Any] | None) -> Refused:
    """``item``: what ReturnValuesOnConditionCheckFailure asked to be shown."""
    fields = {"Item": item} if item else {}
    return refused(CONDITION_FAILED, "The conditional request failed", **fields)


def missing_table() -> Refused:
    return refused("ResourceNotFoundException", "Requested resource not found")
