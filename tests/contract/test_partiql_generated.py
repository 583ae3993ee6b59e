"""Conditions of statements, made at random, decide here as they do on DynamoDB Local."""

from collections.abc import Iterator
from random import Random

import pytest

from dualwrite.core.errors import ValidationError
from dualwrite.core.items import Item, KeyAttribute, KeySchema
from dualwrite.core.partiql import Select, bound, parse_statement, plan_of
from tests.engines_local import EngineSays, LocalDynamo

CONDITIONS = 150
"""For each seed; about three milliseconds each."""
KEYS = KeySchema(KeyAttribute("pk"))
ITEM: Item = {
    "pk": {"S": "a"}, "v": {"N": "1"}, "z": {"NULL": True}, "b": {"BOOL": True},
    "l": {"L": [{"S": "x"}, {"N": "2"}]}, "ss": {"SS": ["a", "b"]}, "t": {"S": "text"},
    "m": {"M": {"a-b": {"N": "1"}, "x": {"M": {"y": {"S": "t"}}}}},
}  # fmt: skip
PATHS = ("v", "z", "b", "l", "m", "ss", "t", "nope", "l[0]", "l[7]", "m.x.y", "m['a-b']", "t.x")
LITERALS = ("1", "-1", "1.0", "'x'", "'text'", "true", "NULL", "['x',2]", "<<'a','b'>>",
            "{'y':'t'}", "'N'", "''")  # fmt: skip


@pytest.fixture
def local(dynamodb_local: int) -> Iterator[LocalDynamo]:
    found = LocalDynamo(dynamodb_local, "generatedpartiql")
    try:
        found.call("CreateTable", {
            "TableName": "plain", "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]})  # fmt: skip
    except EngineSays as error:
        if error.code != "ResourceInUseException":
            raise
    found.call("PutItem", {"TableName": "plain", "Item": ITEM})
    yield found
    found.close()


def operand(random: Random) -> str:
    path = random.choice(PATHS)
    return random.choice((path, path, random.choice(LITERALS), f"size({path})"))


def condition(random: Random, depth: int = 0) -> str:
    """A condition of any kind, wrong ones among them."""
    one, other = operand(random), operand(random)
    turned = random.choice(("", "NOT "))
    if depth < 2 and random.random() < 0.35:
        inner = condition(random, depth + 1)
        word = random.choice(("AND", "OR"))
        return random.choice((f"NOT {inner}", f"({inner} {word} {condition(random, depth + 1)})"))
    return random.choice((
        f"{one} {random.choice(('=', '<>', '!=', '<', '<=', '>', '>='))} {other}",
        f"{one} {turned}BETWEEN {other} AND {operand(random)}",
        f"{one} {turned}IN [{other},{operand(random)}]",
        f"{one} IS {turned}{random.choice(('NULL', 'MISSING'))}",
        f"{random.choice(('begins_with', 'contains', 'attribute_type'))}({one},{other})",
    ))  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
def test_conditions_decide_as_the_engine_does(local: LocalDynamo, seed: int) -> None:
    """True, false, or refused: the same for each of them."""
    random, different = Random(seed), []
    for _ in range(CONDITIONS):
        where = condition(random)
        text = f"SELECT v FROM plain WHERE pk='a' AND {where}"
        try:
            theirs = str(bool(local.call("ExecuteStatement", {"Statement": text})["Items"]))
        except EngineSays as error:
            theirs = error.code
        if decided(text) != theirs:
            different.append((where, theirs))
    assert different == []


def decided(text: str) -> str:
    try:
        statement = parse_statement(text)
        assert isinstance(statement.parsed, Select)
        return str(plan_of(statement.parsed, bound((), 0), KEYS).admits(ITEM))
    except ValidationError as error:
        return error.code
