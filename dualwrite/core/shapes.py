"""The JSON types and fixed choices of the parameters that item operations share.

Whatever reads a request body relies on them; DynamoDB checks them before all else, too.
"""

from collections.abc import Mapping
from typing import Any

from dualwrite.core.constraints import lacks, violated, violations
from dualwrite.core.errors import ClientError

_TYPES: Mapping[str, type] = {
    "AttributeUpdates": dict,
    "AttributesToGet": list,
    "ClientRequestToken": str,
    "ConditionExpression": str,
    "ConditionalOperator": str,
    "ConsistentRead": bool,
    "ExclusiveStartKey": dict,
    "Expected": dict,
    "ExpressionAttributeNames": dict,
    "ExpressionAttributeValues": dict,
    "FilterExpression": str,
    "IndexName": str,
    "Item": dict,
    "Key": dict,
    "KeyConditionExpression": str,
    "KeyConditions": dict,
    "Keys": list,
    "Limit": int,
    "NextToken": str,
    "Parameters": list,
    "ProjectionExpression": str,
    "QueryFilter": dict,
    "RequestItems": dict,
    "ReturnConsumedCapacity": str,
    "ReturnItemCollectionMetrics": str,
    "ReturnValues": str,
    "ReturnValuesOnConditionCheckFailure": str,
    "ScanFilter": dict,
    "ScanIndexForward": bool,
    "Segment": int,
    "Select": str,
    "Statement": str,
    "Statements": list,
    "TableName": str,
    "TotalSegments": int,
    "TransactItems": list,
    "TransactStatements": list,
    "UpdateExpression": str,
}
_TEXTS = ("AttributesToGet", "ExpressionAttributeNames")
"""Parameters that hold texts only."""
_STRUCTURES: Mapping[str, type] = {
    "Action": str,
    "AttributeValueList": list,
    "ComparisonOperator": str,
    "Exists": bool,
    "Value": dict,
}
"""The members of the structures that the legacy parameters map names to."""
_MAPS = frozenset({"AttributeUpdates", "Expected", "KeyConditions", "QueryFilter", "ScanFilter"})


def shaped(body: Any, operation: str = "") -> dict[str, Any]:
    """The body of an operation, or of one member of a batch or transaction, without its nulls,
    which mean "not given". Raises ClientError in DynamoDB's words."""
    if not isinstance(body, dict):
        raise serialization("Unexpected token: a structure is expected")
    given: dict[str, Any] = body
    nulls = wrong = False
    for name, value in body.items():
        if value is None:
            nulls = True
            continue
        wanted = _TYPES.get(name)
        if wanted is not None and type(value) is not wanted:
            raise serialization(f"Unexpected value type in payload: {name}")
        if name in _MAPS:
            _check_structures(name, value)
        elif name in _TEXTS:
            texts = value.values() if isinstance(value, dict) else value
            if not all(isinstance(text, str) for text in texts):
                raise serialization(f"Unexpected value type in payload: {name}")
        wrong |= violated(name, value)
    if nulls:
        given = {name: value for name, value in body.items() if value is not None}
    if wrong or lacks(operation, given):
        raise violations(operation, given)
    return given


def _check_structures(name: str, members: Mapping[str, Any]) -> None:
    for structure in members.values():
        if structure is None:
            continue
        if not isinstance(structure, dict):
            raise serialization(f"Unexpected value type in payload: {name}")
        for part, content in structure.items():
            wanted = _STRUCTURES.get(part)
            if content is not None and wanted is not None and type(content) is not wanted:
                raise serialization(f"Unexpected value type in payload: {name}")


def serialization(message: str) -> ClientError:
    """The error for JSON of another shape than the operation's."""
    return ClientError("SerializationException", message)
