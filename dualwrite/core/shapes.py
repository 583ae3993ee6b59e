"""The members of item operations and of what stands in them, and their JSON types.

Whatever reads a request body relies on them; DynamoDB checks them before all else, too. A member
that its operation does not have means nothing, whatever it means in another one.
"""

from collections.abc import Mapping
from typing import Any

from dualwrite.core.booleans import boolean
from dualwrite.core.constraints import lacks, violated, violations
from dualwrite.core.errors import ClientError

_TYPES: Mapping[str, type] = {
    "Action": str,
    "AttributeUpdates": dict,
    "AttributeValueList": list,
    "AttributesToGet": list,
    "ClientRequestToken": str,
    "ComparisonOperator": str,
    "ConditionCheck": dict,
    "ConditionExpression": str,
    "ConditionalOperator": str,
    "ConsistentRead": bool,
    "Delete": dict,
    "DeleteRequest": dict,
    "ExclusiveStartKey": dict,
    "Exists": bool,
    "Expected": dict,
    "ExpressionAttributeNames": dict,
    "ExpressionAttributeValues": dict,
    "FilterExpression": str,
    "Get": dict,
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
    "Put": dict,
    "PutRequest": dict,
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
    "Update": dict,
    "UpdateExpression": str,
    "Value": dict,
}
"""Of all members that any of the structures has: a name has one type."""
_TEXTS = ("AttributesToGet", "ExpressionAttributeNames")
"""Members that hold texts only."""
_MAPS: Mapping[str, str] = {
    "AttributeUpdates": "AttributeValueUpdate",
    "Expected": "ExpectedAttributeValue",
    **dict.fromkeys(("KeyConditions", "QueryFilter", "ScanFilter"), "Condition"),
}
"""The structures that the legacy parameters map names to."""

_PLACEHOLDERS = ("ExpressionAttributeNames", "ExpressionAttributeValues")
_CONDITION = ("ConditionExpression", *_PLACEHOLDERS, "ReturnValuesOnConditionCheckFailure")
_MEASURED = ("ReturnConsumedCapacity", "ReturnItemCollectionMetrics")
_WRITE = (
    "TableName", "Expected", "ConditionalOperator", "ReturnValues", *_CONDITION, *_MEASURED,
)  # fmt: skip
_SHOWN = ("ProjectionExpression", "ExpressionAttributeNames")
_READ = (*_SHOWN, "AttributesToGet", "ConsistentRead")
_SEARCH = (
    *_READ, "TableName", "IndexName", "Select", "Limit", "ConditionalOperator",
    "ExclusiveStartKey", "FilterExpression", "ExpressionAttributeValues", "ReturnConsumedCapacity",
)  # fmt: skip
_STATEMENT = ("Statement", "Parameters", "ReturnValuesOnConditionCheckFailure")
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "PutItem": ("Item", *_WRITE),
    "UpdateItem": ("Key", "UpdateExpression", "AttributeUpdates", *_WRITE),
    "DeleteItem": ("Key", *_WRITE),
    "GetItem": ("TableName", "Key", "ReturnConsumedCapacity", *_READ),
    "Query": (*_SEARCH, "KeyConditionExpression", "KeyConditions", "QueryFilter",
              "ScanIndexForward"),
    "Scan": (*_SEARCH, "ScanFilter", "Segment", "TotalSegments"),
    "BatchWriteItem": ("RequestItems", *_MEASURED),
    "WriteRequest": ("PutRequest", "DeleteRequest"),
    "PutRequest": ("Item",),
    "DeleteRequest": ("Key",),
    "BatchGetItem": ("RequestItems", "ReturnConsumedCapacity"),
    "KeysAndAttributes": ("Keys", *_READ),
    "TransactWriteItems": ("TransactItems", "ClientRequestToken", *_MEASURED),
    "TransactWriteItem": ("Put", "Update", "Delete", "ConditionCheck"),
    "Put": ("TableName", "Item", *_CONDITION),
    "Update": ("TableName", "Key", "UpdateExpression", *_CONDITION),
    "Delete": ("TableName", "Key", *_CONDITION),
    "ConditionCheck": ("TableName", "Key", *_CONDITION),
    "TransactGetItems": ("TransactItems", "ReturnConsumedCapacity"),
    "TransactGetItem": ("Get",),
    "Get": ("TableName", "Key", *_SHOWN),
    "ExecuteStatement": (*_STATEMENT, "ConsistentRead", "NextToken", "Limit",
                         "ReturnConsumedCapacity"),
    "BatchExecuteStatement": ("Statements", "ReturnConsumedCapacity"),
    "BatchStatementRequest": (*_STATEMENT, "ConsistentRead"),
    "ExecuteTransaction": ("TransactStatements", "ClientRequestToken", "ReturnConsumedCapacity"),
    "ParameterizedStatement": _STATEMENT,
    "AttributeValueUpdate": ("Action", "Value"),
    "ExpectedAttributeValue": ("Value", "Exists", "ComparisonOperator", "AttributeValueList"),
    "Condition": ("AttributeValueList", "ComparisonOperator"),
}  # fmt: skip
"""What each operation has, and each structure inside one, by its name in AWS's model."""
_SHAPES = {kind: {name: _TYPES[name] for name in names} for kind, names in MEMBERS.items()}


def shaped(body: Any, kind: str) -> dict[str, Any]:
    """The body of an operation, or of a structure inside one, without what counts for nothing:
    members that it does not have, and nulls. Raises ClientError in DynamoDB's words."""
    if not isinstance(body, dict):
        raise serialization("Unexpected token: a structure is expected")
    members: Mapping[str, Any] = _SHAPES[kind]
    given: dict[str, Any] = body
    idle = wrong = False
    for name, value in body.items():
        wanted = members.get(name)
        if wanted is None or value is None:
            idle = True
            continue
        if type(value) is not wanted:
            body[name] = _converted(name, value, wanted)
        if name in _MAPS:
            _check_structures(name, value)
        elif name in _TEXTS:
            texts = value.values() if isinstance(value, dict) else value
            if not all(isinstance(text, str) for text in texts):
                raise serialization(f"Unexpected value type in payload: {name}")
        wrong |= violated(name, value)
    if idle:
        given = {
            name: value for name, value in body.items() if name in members and value is not None
        }
    if wrong or lacks(kind, given):
        raise violations(kind, given)
    return given


def _converted(name: str, content: Any, wanted: type) -> bool:
    """A boolean that came as a text; nothing else may come as what it is not."""
    meant = boolean(content) if wanted is bool else None
    if meant is None:
        raise serialization(f"Unexpected value type in payload: {name}")
    return meant


def _check_structures(name: str, structures: Mapping[str, Any]) -> None:
    members = _SHAPES[_MAPS[name]]
    for structure in structures.values():
        if structure is None:
            continue
        if not isinstance(structure, dict):
            raise serialization(f"Unexpected value type in payload: {name}")
        for part, content in structure.items():
            wanted = members.get(part)
            if content is not None and wanted is not None and type(content) is not wanted:
                structure[part] = _converted(name, content, wanted)


def serialization(message: str) -> ClientError:
    """The error for JSON of another shape than the operation's."""
    return ClientError("SerializationException", message)
