"""Statements as the calls that they stand for, in the dialect of the table they name."""

from collections.abc import Iterator

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    And,
    Attribute,
    Comparison,
    Condition,
    Function,
    Literal,
    Or,
    Placeholders,
    Update,
    render,
)
from dualwrite.core.items import AttributeValue, Item, Key, KeyAttribute, KeySchema, canonical
from dualwrite.core.key_values import Misfit
from dualwrite.core.partiql.ast import Change, Exists, Insert, Node, Remove, Select
from dualwrite.core.partiql.bind import Binder
from dualwrite.core.requests import Body, Verb

_NO_KEY = "Where clause does not contain a mandatory equality on all key attributes"


def mutation(
    parsed: Insert | Change | Remove | Exists, binder: Binder, schema: KeySchema
) -> tuple[Verb, Body]:
    """The write that a statement is, without its table's name; raises ValidationError."""
    match parsed:
        case Insert(_, item):
            return Verb.PUT, _insert(binder.members(item), schema)
        case Change(_, actions, where, returning):
            key, rest = located(where, binder, schema)
            present = Function("attribute_exists", (Attribute((schema.hash.name,)),))
            body = _body(key, all_parts(present, rest), returning, binder.update(actions))
            return Verb.UPDATE, body
        case Remove(_, where, returning):
            key, rest = located(where, binder, schema)
            absent = Function("attribute_not_exists", (Attribute((schema.hash.name,)),))
            # A row that is not there is deleted already, whatever is asked of it.
            condition = None if rest is None else any_parts(absent, rest)
            return Verb.DELETE, _body(key, condition, returning)
        case Exists(select):
            key, rest = _one_key(select.where, binder, schema)
            if len(key) < len(schema.names) or rest is None:
                raise ValidationError(
                    "EXISTS() must contain a single item read with additional condition"
                )
            present = Function("attribute_exists", (Attribute((schema.hash.name,)),))
            return Verb.CHECK, _body(key, all_parts(present, rest))
    raise AssertionError(f"{parsed} is no write")


def _insert(item: Item, schema: KeySchema) -> Body:
    for attribute in schema.attributes:
        if attribute.name not in item:
            raise Misfit(f"Key attribute should be present in the item: Key {attribute.name}")
        check_type(attribute, item[attribute.name])
    return {
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#0)",
        "ExpressionAttributeNames": {"#0": schema.hash.name},
    }


def _body(
    key: Key, condition: Condition | None, returning: str = "NONE", update: Update | None = None
) -> Body:
    pool = Placeholders()
    body: Body = {"Key": key}
    if condition is not None:
        body["ConditionExpression"] = render(condition, pool)
    if update is not None:
        body["UpdateExpression"] = render(update, pool)
    if returning != "NONE":
        body["ReturnValues"] = returning
    if pool.names:
        body["ExpressionAttributeNames"] = pool.names
    if pool.values:
        body["ExpressionAttributeValues"] = pool.values
    return body


def all_parts(*conditions: Condition | None) -> Condition:
    """All of them hold."""
    parts = [part for given in conditions if given for part in conjuncts(given)]
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def any_parts(first: Condition, other: Condition) -> Condition:
    """One of them holds."""
    return Or((first, *(other.parts if isinstance(other, Or) else (other,))))


# -- keys ------------------------------------------------------------------------------------------


def conjuncts(condition: Condition) -> tuple[Condition, ...]:
    return condition.parts if isinstance(condition, And) else (condition,)


def located(where: Node | None, binder: Binder, schema: KeySchema) -> tuple[Key, Condition | None]:
    """The one key that a WHERE asks for and what else it asks; raises ValidationError: a
    Misfit where that is no one key of the table."""
    key, rest = _one_key(where, binder, schema)
    if len(key) < len(schema.names):
        raise Misfit(_NO_KEY)
    for part in conjuncts(rest) if rest is not None else ():
        name, value = equality(part)
        if name in key and value is not None:
            raise Misfit(
                f"Multiple conditions on same key {name}. Only single item Update/Insert/Delete "
                "are supported"
            )
    return key, rest


def _one_key(where: Node | None, binder: Binder, schema: KeySchema) -> tuple[Key, Condition | None]:
    return ({}, None) if where is None else key_and_rest(binder.condition(where), schema)


def key_and_rest(condition: Condition, schema: KeySchema) -> tuple[Key, Condition | None]:
    """What a condition says of key attributes by equality, once each, and the rest of it."""
    key: Key = {}
    rest: list[Condition] = []
    attributes = {attribute.name: attribute for attribute in schema.attributes}
    for part in conjuncts(condition):
        name, value = equality(part)
        if name in attributes and name not in key and value is not None:
            check_type(attributes[name], value)
            key[name] = value
        elif name not in key or value is None or canonical(value) != canonical(key[name]):
            rest.append(part)
    return key, all_parts(*rest) if rest else None


def equality(part: Condition) -> tuple[str, AttributeValue | None]:
    """The top-level attribute and the value that a condition says are equal."""
    if isinstance(part, Comparison) and part.operator == "=":
        for attribute, literal in ((part.left, part.right), (part.right, part.left)):
            if (
                isinstance(attribute, Attribute)
                and isinstance(literal, Literal)
                and len(attribute.path) == 1
            ):
                return str(attribute.path[0]), literal.value
    return "", None


def check_type(attribute: KeyAttribute, value: AttributeValue) -> None:
    """What finds a key has the key's type; raises Misfit."""
    if attribute.type not in value:
        raise Misfit(
            "Key attribute's data type should match its data type in table's schema: "
            f"Key {attribute.name}"
        )


def single_read(parsed: Select, binder: Binder, schema: KeySchema) -> Key | None:
    """The key of a SELECT that asks for one item and nothing else; None for another one."""
    if parsed.index is not None or parsed.where is None:
        return None
    key, rest = key_and_rest(binder.condition(parsed.where), schema)
    return key if rest is None and len(key) == len(schema.names) else None


# -- names -----------------------------------------------------------------------------------------


def names_of(parsed: Insert | Change | Remove | Select | Exists) -> Iterator[str]:
    """Every attribute name that a statement mentions, nested ones too."""
    match parsed:
        case Insert(_, item):
            yield from item.names
        case Change(_, actions, where, _):
            for path, value in actions:
                yield from (step for step in path if isinstance(step, str))
                yield from _names_in(value)
            yield from _names_in(where)
        case Remove(_, where, _):
            yield from _names_in(where)
        case Select(_, _, paths, where, order):
            for path in paths:
                yield from (step for step in path if isinstance(step, str))
            yield from _names_in(where)
            yield from (name for name, _ in order)
        case Exists(select):
            yield from names_of(select)


def _names_in(node: Node | None) -> Iterator[str]:
    if node is None:
        return
    yield from (step for step in node.path if isinstance(step, str))
    for inner in node.args:
        yield from _names_in(inner)
