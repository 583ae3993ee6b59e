"""The JSON types and fixed choices of the parameters that item operations share.

Whatever reads a request body relies on them; DynamoDB checks them before all else, too.
"""

from collections.abc import Mapping
from typing import Any

from dualwrite.core.errors import ClientError, ValidationError

_TYPES: Mapping[str, type] = {
    "AttributesToGet": list,
    "ClientRequestToken": str,
    "ConditionExpression": str,
    "ConsistentRead": bool,
    "ExclusiveStartKey": dict,
    "ExpressionAttributeNames": dict,
    "ExpressionAttributeValues": dict,
    "FilterExpression": str,
    "IndexName": str,
    "Item": dict,
    "Key": dict,
    "KeyConditionExpression": str,
    "Keys": list,
    "Limit": int,
    "ProjectionExpression": str,
    "RequestItems": dict,
    "ReturnConsumedCapacity": str,
    "ReturnItemCollectionMetrics": str,
    "ReturnValues": str,
    "ReturnValuesOnConditionCheckFailure": str,
    "ScanIndexForward": bool,
    "Segment": int,
    "Select": str,
    "TableName": str,
    "TotalSegments": int,
    "TransactItems": list,
    "UpdateExpression": str,
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "ReturnConsumedCapacity": ("INDEXES", "TOTAL", "NONE"),
    "ReturnItemCollectionMetrics": ("SIZE", "NONE"),
    "ReturnValues": ("ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"),
    "ReturnValuesOnConditionCheckFailure": ("ALL_OLD", "NONE"),
    "Select": ("SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"),
}
_TEXTS = ("AttributesToGet", "ExpressionAttributeNames")
"""Parameters that hold texts only."""


def shaped(body: Any) -> dict[str, Any]:
    """The body of an operation, or of one member of a batch or transaction, without its nulls,
    which mean "not given". Raises ClientError in DynamoDB's words."""
    if not isinstance(body, dict):
        raise serialization("Unexpected token: a structure is expected")
    nulls = False
    for name, value in body.items():
        if value is None:
            nulls = True
            continue
        wanted = _TYPES.get(name)
        if wanted is not None and type(value) is not wanted:
            raise serialization(f"Unexpected value type in payload: {name}")
        choices = _CHOICES.get(name)
        if choices is not None and value not in choices:
            raise ValidationError(
                f"1 validation error detected: Value '{value}' at "
                f"'{name[0].lower()}{name[1:]}' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(choices)}]"
            )
        if name in _TEXTS:
            texts = value.values() if isinstance(value, dict) else value
            if not all(isinstance(text, str) for text in texts):
                raise serialization(f"Unexpected value type in payload: {name}")
    if nulls:
        return {name: value for name, value in body.items() if value is not None}
    return body


def serialization(message: str) -> ClientError:
    """The error for JSON of another shape than the operation's."""
    return ClientError("SerializationException", message)
