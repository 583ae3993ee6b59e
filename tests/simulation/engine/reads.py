"""Query and Scan: pages of one table, consistent or a little old."""

from collections.abc import Mapping
from typing import Any

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    FILTER,
    KEY_CONDITION,
    KeyCondition,
    RangeCondition,
    holds,
    key_condition,
    parse_condition,
    parse_projection,
    project,
)
from dualwrite.core.items import Item
from tests.simulation.engine.errors import invalid
from tests.simulation.engine.tables import HASHES, Place, Table, _ordered
from tests.simulation.engine.writes import check_key

Found = list[tuple[Place, Item]]


def projected(request: Mapping[str, Any], item: Item) -> Item:
    text = request.get("ProjectionExpression")
    if text is None:
        return item
    return project(parse_projection(text, request.get("ExpressionAttributeNames")), item)


def query(table: Table, request: Mapping[str, Any], seconds_ago: float) -> dict[str, Any]:
    """One page of one partition. Raises Refused."""
    try:
        asked = _asked(table, request)
        found = table.partition(asked.hash, seconds_ago)
        if asked.range is not None:
            found = [one for one in found if _in_range(asked.range, one[0][2])]
        if not request.get("ScanIndexForward", True):
            found.reverse()
        return _page(table, request, found)
    except ValidationError as error:
        raise invalid(error.message) from None


def scan(table: Table, request: Mapping[str, Any], seconds_ago: float) -> dict[str, Any]:
    """One page of the table, or of one of its segments. Raises Refused."""
    total, segment = request.get("TotalSegments", 1), request.get("Segment", 0)
    if not 0 <= segment < total:
        raise invalid("The Segment parameter is zero-based and must be less than TotalSegments")
    found = [one for one in table.all(seconds_ago) if one[0][0] * total // HASHES == segment]
    try:
        return _page(table, request, found)
    except ValidationError as error:
        raise invalid(error.message) from None


def _asked(table: Table, request: Mapping[str, Any]) -> KeyCondition:
    condition = parse_condition(
        request["KeyConditionExpression"],
        request.get("ExpressionAttributeNames"),
        request.get("ExpressionAttributeValues"),
        KEY_CONDITION,
    )
    return key_condition(condition, table.keys)


def _in_range(asked: RangeCondition, value: Any) -> bool:
    bounds = [_ordered(bound) for bound in asked.values]
    match asked.operator:
        case "=":
            return bool(value == bounds[0])
        case "<":
            return bool(value < bounds[0])
        case "<=":
            return bool(value <= bounds[0])
        case ">":
            return bool(value > bounds[0])
        case ">=":
            return bool(value >= bounds[0])
        case "BETWEEN":
            return bool(bounds[0] <= value <= bounds[1])
    return bool(value.startswith(bounds[0]))


def _page(table: Table, request: Mapping[str, Any], found: Found) -> dict[str, Any]:
    start = request.get("ExclusiveStartKey")
    if start is not None:
        check_key(start, table.keys)
        after = table.place(start)
        turned = not request.get("ScanIndexForward", True)
        found = [one for one in found if (one[0] < after if turned else one[0] > after)]
    limit = request.get("Limit")
    page = found if limit is None else found[:limit]
    items = [item for _, item in page]
    text = request.get("FilterExpression")
    if text is not None:
        names = request.get("ExpressionAttributeNames")
        values = request.get("ExpressionAttributeValues")
        wanted = parse_condition(text, names, values, FILTER)
        items = [item for item in items if holds(wanted, item)]
    answer: dict[str, Any] = {"Count": len(items), "ScannedCount": len(page)}
    if request.get("Select") != "COUNT":
        answer["Items"] = [projected(request, item) for item in items]
    # A page that ends at its limit cannot know that nothing follows.
    if limit is not None and len(page) == limit:
        last = page[-1][1]
        answer["LastEvaluatedKey"] = {name: last[name] for name in table.keys.names}
    return answer
