"""The members of requests, and their types."""

import pytest
from botocore.loaders import Loader

from dualwrite.core.errors import ClientError
from dualwrite.core.shapes import MEMBERS, shaped


def test_the_members_are_those_of_the_model_of_aws() -> None:
    """Each operation has the members that the SDK's model of DynamoDB gives it, and so has each
    structure inside one."""
    model = Loader().load_service_model("dynamodb", "service-2")
    for kind, members in MEMBERS.items():
        operation = model["operations"].get(kind)
        shape = kind if operation is None else operation["input"]["shape"]
        assert sorted(members) == sorted(model["shapes"][shape]["members"]), kind


@pytest.mark.parametrize("kind", MEMBERS)
def test_what_a_structure_does_not_have_is_left_out(kind: str) -> None:
    """Members of others, whatever their values, and nulls."""
    required = {"Item": {}, "Key": {}}
    own = {name: value for name, value in required.items() if name in MEMBERS[kind]}
    strange = {"Unheard": 1, "ShardIterator": {}, "Keys": 1, "Item": 1, "Limit": "x", "Action": 1}
    strange = {name: value for name, value in strange.items() if name not in MEMBERS[kind]}
    nulls = {name: None for name in MEMBERS[kind] if name not in own}
    assert shaped({**own, **strange, **nulls}, kind) == own


def test_a_body_of_known_members_is_not_copied() -> None:
    """What nearly every request is."""
    body = {"TableName": "t", "Key": {}}
    assert shaped(body, "GetItem") is body


def test_what_legacy_structures_do_not_have_has_any_type() -> None:
    """But their own members have one."""
    condition = {"ComparisonOperator": "NULL"}
    body = {"ScanFilter": {"a": {**condition, "Exists": "x"}}}
    assert shaped(body, "Scan") == body
    with pytest.raises(ClientError, match="SerializationException"):
        shaped({"ScanFilter": {"a": {**condition, "AttributeValueList": "x"}}}, "Scan")


@pytest.mark.parametrize(("text", "meant"), [("true", True), ("Yes", True), ("0", False)])
def test_a_boolean_may_come_as_a_text(text: str, meant: bool) -> None:
    """DynamoDB reads it, in a body and in its structures; whoever reads them finds a boolean."""
    assert shaped({"TableName": "t", "Key": {}, "ConsistentRead": text}, "GetItem") == {
        "TableName": "t", "Key": {}, "ConsistentRead": meant,
    }  # fmt: skip
    body = {"TableName": "t", "Key": {}, "Expected": {"a": {"Exists": text}}}
    assert shaped(body, "DeleteItem")["Expected"] == {"a": {"Exists": meant}}


@pytest.mark.parametrize("other", ["on", "", 1, 0, [], {}])
def test_nothing_else_is_a_boolean(other: object) -> None:
    """Numbers are none, as AWS has it, whatever engines make of them."""
    with pytest.raises(ClientError, match="ConsistentRead"):
        shaped({"TableName": "t", "Key": {}, "ConsistentRead": other}, "GetItem")
