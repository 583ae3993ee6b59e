"""Wire bodies: which tables they name, and what is wrong with them in DynamoDB's words."""

from dataclasses import replace
from typing import Any

import pytest

from dualwrite.core.errors import ValidationError
from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.phases import Side
from dualwrite.core.requests import Verb, refuse_hidden, wish
from dualwrite.core.spec import IndexSpec
from tests.proxy_harness import a_migration

NOTES = a_migration("r-").by_name["notes"]


@pytest.mark.parametrize(
    ("verb", "body", "text"),
    [
        (Verb.PUT, {}, "Value null at 'item'"),
        (Verb.PUT, {"Item": {"note_id": {"S": "n"}}}, "Missing the key endpoint_id"),
        (Verb.PUT, {"Item": {"endpoint_id": {"N": "1"}, "note_id": {"S": "n"}}},
         "Type mismatch for key endpoint_id expected: S actual: N"),
        (Verb.PUT, {"Item": {"endpoint_id": {"S": ""}, "note_id": {"S": "n"}}},
         "cannot contain an empty string value. Key: endpoint_id"),
        (Verb.DELETE, {"Key": {"endpoint_id": {"S": "e"}}}, "does not match the schema"),
        (Verb.UPDATE, {"Key": {"endpoint_id": {"S": "e"}, "x": {"S": "n"}}},
         "does not match the schema"),
        (Verb.PUT, {"Item": {"endpoint_id": {"S": "e" * 2049}, "note_id": {"S": "n"}}},
         "Size of hashkey has exceeded the maximum size limit of2048 bytes"),
        (Verb.DELETE, {"Key": {"endpoint_id": {"S": "e"}, "note_id": {"S": "é" * 513}}},
         "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_refused_in_dynamodbs_words(
    verb: Verb, body: dict[str, Any], text: str
) -> None:
    """The mapped key cannot be made of a wrong one, so the proxy says what the engine would."""
    with pytest.raises(ValidationError, match=r".*") as caught:
        wish(verb, NOTES, Side.OLD, body)
    assert text in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        {"Item": {"dw_stamp": {"S": "x"}}},
        {"ExpressionAttributeNames": {"#a": "dw_other"}},
        {"ExpressionAttributeValues": {":dw_stamp": {"S": "x"}}},
        {"ConditionExpression": "attribute_exists(dw_other.x)"},
        {"AttributesToGet": ["dw_stamp"]},
    ],
)
def test_hidden_names_are_found_wherever_they_stand(body: dict[str, Any]) -> None:
    """Nobody but the service names its attributes, or its placeholders."""
    with pytest.raises(ValidationError):
        refuse_hidden(body)


def test_names_that_only_contain_the_prefix_are_the_clients() -> None:
    """add_dw_x is nobody's but the client's."""
    refuse_hidden({"ConditionExpression": "attribute_exists(add_dw_x)", "Item": {"add_dw_x": {}}})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"N": "1"}, "Type mismatch for Index Key place Expected: S Actual: N IndexName: by-place"),
        ({"S": ""}, "IndexName: by-place, IndexKey: place"),
        ({"S": "p" * 1025}, "has exceeded the size limit of 1024 bytes"),
    ],
)
def test_a_legacy_update_gives_an_index_key_only_what_it_can_hold(
    value: dict[str, str], text: str
) -> None:
    """It becomes an expression, of which an engine says something else, or nothing on a side
    without the index."""
    index = IndexSpec("by-place", KeySchema(KeyAttribute("endpoint_id"), KeyAttribute("place")))
    notes = replace(NOTES, old=replace(NOTES.old, indexes=(index,)))
    key = {name: {"S": "k"} for name in NOTES.old.keys.names}
    body = {"Key": key, "AttributeUpdates": {"place": {"Action": "PUT", "Value": value}}}
    with pytest.raises(ValidationError) as caught:
        wish(Verb.UPDATE, notes, Side.OLD, body, "UpdateItem")
    assert text in caught.value.message
    body = {"Key": key, "AttributeUpdates": {"place": {"Action": "PUT", "Value": {"S": "here"}}}}
    assert wish(Verb.UPDATE, notes, Side.OLD, body, "UpdateItem").key == key
