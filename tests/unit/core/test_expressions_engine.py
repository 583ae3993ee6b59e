"""Our expressions against DynamoDB Local: same texts, same items, same answers."""

import os
import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    KEY_CONDITION,
    Placeholders,
    apply,
    check_unused,
    creates,
    holds,
    key_condition,
    parse_condition,
    parse_projection,
    parse_update,
    project,
    render,
)
from dualwrite.core.items import Item, KeyAttribute, KeySchema, canonical
from tests.engines_local import EngineSays, LocalDynamo
from tests.unit.core.expression_strategies import (
    conditions,
    items,
    projections,
    soups,
    updates,
)

EXAMPLES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "80"))
KEY: Item = {"h": {"S": "k"}}
TABLE = "items"
RANGED = "ranged"
SCHEMA = KeySchema(KeyAttribute("h"), KeyAttribute("r"))
SOUP_NAMES = {"#n": "name"}
SOUP_VALUES = {":v": {"N": "1"}, ":s": {"S": "x"}}

UNEVALUABLE = (
    "The provided expression refers to an attribute that does not exist in the item",
    "An operand in the update expression has an incorrect data type",
    "The document path provided in the update expression is invalid for update",
    "Number overflow. Attempting to store a number with magnitude larger than supported range",
)

against_engine = settings(
    max_examples=EXAMPLES,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
    derandomize="DIFFERENTIAL_EXAMPLES" not in os.environ,
    database=None,
)


@pytest.fixture(scope="module")
def local(dynamodb_local: int) -> Iterator[LocalDynamo]:
    """A database of its own with one table of each key shape."""
    dynamo = LocalDynamo(dynamodb_local, f"expressions{secrets.token_hex(4)}")
    for table, names in ((TABLE, ("h",)), (RANGED, ("h", "r"))):
        keys = zip(names, ("HASH", "RANGE"), strict=False)
        dynamo.call(
            "CreateTable",
            {
                "TableName": table,
                "KeySchema": [{"AttributeName": n, "KeyType": kind} for n, kind in keys],
                "AttributeDefinitions": [
                    {"AttributeName": name, "AttributeType": "S"} for name in names
                ],
                "BillingMode": "PAY_PER_REQUEST",
            },
        )
    yield dynamo
    dynamo.close()


def _plain(message: str) -> str:
    """A message without what DynamoDB Local words otherwise than AWS, or by no rule we know.

    Its parser may skip a stray token before it reports the next one, and of overlapping paths it
    may name one that overlaps with nothing.
    """
    message = re.sub(r"path one: .*", "path one", message)
    message = re.sub(r"Syntax error; token: .*", "Syntax error", message, flags=re.DOTALL)
    message = re.sub(r"(operand type: )\{.*", r"\1{}", message)
    message = re.sub(r"\{B:[^}]*\}", "{B}", message)
    return message.replace(
        "DynamoDB only supports precision up to 38 digits",
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
    )


def _outcome(answer: Callable[[], Any]) -> Any:
    try:
        return answer()
    except (EngineSays, ValidationError) as error:
        if error.code == "ConditionalCheckFailedException":
            return False
        if error.code != "ValidationException":
            raise
        return _plain(error.message)


def _form(item: Item | None) -> Any:
    return canonical({"M": item or {}})


def _request(pool: Placeholders, **more: Any) -> dict[str, Any]:
    request = {"TableName": TABLE, "Key": KEY, **more}
    if pool.names:
        request["ExpressionAttributeNames"] = pool.names
    if pool.values:
        request["ExpressionAttributeValues"] = pool.values
    return request


def _store(local: LocalDynamo, item: Item | None) -> None:
    if item is None:
        local.call("DeleteItem", {"TableName": TABLE, "Key": KEY})
    else:
        local.call("PutItem", {"TableName": TABLE, "Item": KEY | item})


def test_conditions_hold_as_in_the_engine(local: LocalDynamo) -> None:
    """Any condition is true, false or refused (with the same words) here as in the engine."""

    @against_engine
    @given(conditions, items)
    def check(condition: Any, item: Item) -> None:
        pool = Placeholders()
        text = render(condition, pool)
        _store(local, item)

        def theirs() -> Any:
            return local.call("DeleteItem", _request(pool, ConditionExpression=text)) is not None

        def ours() -> Any:
            return holds(parse_condition(text, pool.names, pool.values), KEY | item)

        assert _outcome(ours) == _outcome(theirs), (text, pool.names, pool.values)

    check()


def test_updates_make_the_same_item_as_the_engine(local: LocalDynamo) -> None:
    """Any update gives the same item, or the same refusal, here as in the engine."""

    @against_engine
    @given(updates(), st.none() | items | items | items)
    def check(update: Any, item: Item | None) -> None:
        if not update.paths or (item is None and not creates(update)):
            return
        pool = Placeholders()
        text = render(update, pool)
        _store(local, item)

        def theirs() -> Any:
            request = _request(pool, UpdateExpression=text, ReturnValues="ALL_NEW")
            return _form(local.call("UpdateItem", request)["Attributes"])

        def ours() -> Any:
            before = None if item is None else KEY | item
            return _form(apply(parse_update(text, pool.names, pool.values), before, KEY))

        expected, found = _outcome(theirs), _outcome(ours)
        if {expected, found} <= set(UNEVALUABLE):
            return  # which of several reasons the engine gives first follows no rule we know
        assert found == expected, (text, pool.names, pool.values)

    check()


def test_projections_cut_as_the_engine_does(local: LocalDynamo) -> None:
    """Any projection leaves the same of an item here as in the engine."""

    @against_engine
    @given(projections(), items)
    def check(projection: Any, item: Item) -> None:
        pool = Placeholders()
        text = render(projection, pool)
        _store(local, item)

        def theirs() -> Any:
            return _form(local.call("GetItem", _request(pool, ProjectionExpression=text))["Item"])

        def ours() -> Any:
            return _form(project(parse_projection(text, pool.names), KEY | item))

        assert _outcome(ours) == _outcome(theirs), (text, pool.names)

    check()


def test_texts_are_refused_with_the_same_words_as_in_the_engine(local: LocalDynamo) -> None:
    """What is no expression is refused here with the words the engine has for it."""

    @against_engine
    @given(soups, st.sampled_from(["ConditionExpression", "UpdateExpression"]))
    def check(text: str, kind: str) -> None:
        names = {key: name for key, name in SOUP_NAMES.items() if key in text}
        values = {key: value for key, value in SOUP_VALUES.items() if key in text}
        pool = Placeholders()
        pool.names, pool.values = names, values
        _store(local, {"a": {"N": "1"}})

        def theirs() -> Any:
            operation = "DeleteItem" if kind == "ConditionExpression" else "UpdateItem"
            local.call(operation, _request(pool, **{kind: text}))
            return "fine"

        def ours() -> Any:
            if kind == "ConditionExpression":
                condition = parse_condition(text, names, values)
                check_unused([text], names, values)
                return "fine" if holds(condition, KEY | {"a": {"N": "1"}}) else False
            update = parse_update(text, names, values)
            check_unused([text], names, values)
            apply(update, KEY | {"a": {"N": "1"}}, KEY)
            return "fine"

        assert _outcome(ours) == _outcome(theirs), text

    check()


PARTS = (
    *("h = :a", ":a = h", "r = :a", "r > :b", ":a < r", "r BETWEEN :a AND :b", "h > :a"),
    *("begins_with(r, :a)", "begins_with(:a, r)", "r = :n", "x = :a", "size(r) = :n", "r = h"),
    *("r <> :a", "NOT r = :a", "r IN (:a)", "attribute_exists(r)", "h = :n", ":a = :b", "r = :e"),
)


def test_key_conditions_are_judged_as_in_the_engine(local: LocalDynamo) -> None:
    """A key condition is taken or refused, with the same words, as by the engine."""

    @against_engine
    @given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=3, unique=True))
    def check(parts: list[str]) -> None:
        text = " AND ".join(parts)
        given_values = {":a": {"S": "1"}, ":b": {"S": "2"}, ":n": {"N": "1"}, ":e": {"S": ""}}
        values = {key: value for key, value in given_values.items() if key in text}
        request: dict[str, Any] = {"TableName": RANGED, "KeyConditionExpression": text}
        if values:
            request["ExpressionAttributeValues"] = values

        def theirs() -> Any:
            return local.call("Query", request) is not None

        def ours() -> Any:
            condition = parse_condition(text, None, values, KEY_CONDITION)
            return key_condition(condition, SCHEMA) is not None

        assert _outcome(ours) == _outcome(theirs), text

    check()
