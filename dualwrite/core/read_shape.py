"""What a read asks to see of each item, checked as DynamoDB checks it, whichever side serves it."""

from collections.abc import Mapping
from dataclasses import dataclass

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    Condition,
    Projection,
    check_filter,
    check_key_paths,
    check_placeholders,
    check_unused,
    holds,
    parse_condition,
    parse_projection,
    project,
)
from dualwrite.core.items import AttributeValue, Item, KeySchema
from dualwrite.core.legacy import check_mixture, filter_meant, projection_meant
from dualwrite.core.requests import Body, refuse_hidden
from dualwrite.core.spec import TableSide

_EXPRESSIONS = ("ProjectionExpression", "FilterExpression", "KeyConditionExpression")


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


def shape_of(operation: str, body: Body, side: TableSide, query: KeySchema | None = None) -> Shape:
    """The shape of a read whose body is ``shaped``, of a table as the client knows it; ``query``:
    the keys that a Query goes by, which its filter may not name. Raises ClientError."""
    refuse_hidden(body)
    check_mixture(operation, body)
    legacy = "QueryFilter" if operation == "Query" else "ScanFilter"
    condition = filter_meant(body, legacy)
    projection = projection_meant(body)
    names, values = body.get("ExpressionAttributeNames"), body.get("ExpressionAttributeValues")
    check_placeholders(names, values)
    if "ProjectionExpression" in body:
        projection = parse_projection(body["ProjectionExpression"], names)
    if "FilterExpression" in body:
        text = body["FilterExpression"]
        condition = parse_condition(text, names, values, kind="FilterExpression")
        legacy = "Filter Expression"
    for expression in (condition, projection):
        if expression is not None:
            check_key_paths(expression, side.keys, side.index_keys)
    if condition is not None and query is not None:
        check_filter(condition, query, legacy)
    check_unused([body.get(part) for part in _EXPRESSIONS], names, values)
    _check_select(body, projection)
    return Shape(condition, projection, body.get("Select") == "COUNT")


def _check_select(body: Body, projection: Projection | None) -> None:
    select, named = body.get("Select"), "AttributesToGet"
    if "ProjectionExpression" in body:
        named = "ProjectionExpression"
    if select == "SPECIFIC_ATTRIBUTES" and projection is None:
        raise ValidationError(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get "
            "SPECIFIC_ATTRIBUTES"
        )
    if select == "ALL_PROJECTED_ATTRIBUTES" and "IndexName" not in body:
        raise ValidationError(
            "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
        )
    if select not in (None, "SPECIFIC_ATTRIBUTES") and projection is not None:
        what = "only the Count" if select == "COUNT" else select
        raise ValidationError(f"Cannot specify the {named} when choosing to get {what}")


def check_segment(body: Body) -> None:
    """Segment and TotalSegments come together, the first below the second. Raises
    ValidationError."""
    segment, total = body.get("Segment"), body.get("TotalSegments")
    if total is None and segment is not None:
        raise ValidationError(
            "The TotalSegments parameter is required but was not present in the request when "
            "Segment parameter is present"
        )
    if total is not None and segment is None:
        raise ValidationError(
            "The Segment parameter is required but was not present in the request when parameter "
            "TotalSegments is present"
        )
    if segment is not None and segment >= total:
        raise ValidationError(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {total}"
        )
