"""What a read asks to see of each item, checked as DynamoDB checks it, whichever side serves it."""

from collections.abc import Mapping
from dataclasses import dataclass

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    Condition,
    Projection,
    check_filter,
    check_placeholders,
    check_unused,
    holds,
    parse_condition,
    parse_projection,
    project,
)
from dualwrite.core.items import AttributeValue, Item, KeySchema
from dualwrite.core.requests import LEGACY_READ, Body, refuse_hidden

_EXPRESSIONS = ("ProjectionExpression", "FilterExpression", "KeyConditionExpression")
_LEGACY = ("AttributesToGet", *LEGACY_READ)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a client wants to see of each item, in its own words."""

    filter: Condition | None
    projection: Projection | None
    count_only: bool

    def admits(self, item: Mapping[str, AttributeValue]) -> bool:
        return self.filter is None or holds(self.filter, item)

    def cut(self, item: Item) -> Item:
        return item if self.projection is None else project(self.projection, item)


def shape_of(body: Body, query: KeySchema | None = None) -> Shape:
    """The shape of a read whose body is ``shaped``; ``query``: the keys that a Query goes by,
    which its filter may not name. Raises ClientError."""
    refuse_hidden(body)
    names, values = body.get("ExpressionAttributeNames"), body.get("ExpressionAttributeValues")
    check_placeholders(names, values)
    _refuse_mixture(body)
    projection = _projection(body)
    condition = None
    if "FilterExpression" in body:
        text = body["FilterExpression"]
        condition = parse_condition(text, names, values, kind="FilterExpression")
        if query is not None:
            check_filter(condition, query)
    check_unused([body.get(part) for part in _EXPRESSIONS], names, values)
    _check_select(body.get("Select"), projection, indexed="IndexName" in body)
    return Shape(condition, projection, body.get("Select") == "COUNT")


def _projection(body: Body) -> Projection | None:
    """ProjectionExpression, or its legacy twin."""
    if "ProjectionExpression" in body:
        return parse_projection(body["ProjectionExpression"], body.get("ExpressionAttributeNames"))
    if "AttributesToGet" in body:
        return Projection(tuple((name,) for name in body["AttributesToGet"]))
    return None


def _refuse_mixture(body: Body) -> None:
    legacy = [name for name in _LEGACY if name in body]
    modern = [name for name in _EXPRESSIONS if name in body]
    if legacy and modern:
        raise ValidationError(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(legacy)}}} "
            f"Expression parameters: {{{', '.join(modern)}}}"
        )


def _check_select(select: str | None, projection: Projection | None, *, indexed: bool) -> None:
    if select == "SPECIFIC_ATTRIBUTES" and projection is None:
        raise ValidationError(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get "
            "SPECIFIC_ATTRIBUTES"
        )
    if select == "ALL_PROJECTED_ATTRIBUTES" and not indexed:
        raise ValidationError(
            "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
        )
    if select not in (None, "SPECIFIC_ATTRIBUTES") and projection is not None:
        what = "only the Count" if select == "COUNT" else select
        raise ValidationError(
            "Cannot specify the AttributesToGet or ProjectionExpression when choosing to get "
            f"{what}"
        )
