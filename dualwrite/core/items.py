"""Keys, canonical form and equality of DynamoDB-JSON items.

An item stays as it came off the wire, ``{"name": {"S": "x"}}``, and is never turned into Python
values and back: numbers keep their 38 digits and binary its base64.
"""

from base64 import b64decode, b64encode
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

import orjson

AttributeValue = dict[str, Any]
"""One typed value of DynamoDB JSON, e.g. ``{"S": "x"}``."""
Item = dict[str, AttributeValue]
"""A whole or projected item; treated as immutable."""
Key = dict[str, AttributeValue]
"""Just the key attributes of an item."""

STAMP = "dw_stamp"
"""The write stamp the service adds to each item, on both sides."""
OTHER = "dw_other"
"""What the other dialect sees under derived names, hidden as one map."""
PAGE = "dw_page"
"""Marks a page key that is pinned to the side which is not the client's own."""
HIDDEN = frozenset({STAMP, OTHER})
HIDDEN_PREFIX = "dw_"
"""What names that are kept for the service begin with."""

HASH_BYTES_MAX = 2048
"""AWS: a hash key holds 1 to 2048 bytes."""
RANGE_BYTES_MAX = 1024
"""AWS: a range key holds 1 to 1024 bytes."""
UTF8_BYTES_MAX = 4
"""The most that one character takes."""
ITEM_BYTES_MAX = 400 * 1024
"""AWS: "the maximum item size in DynamoDB is 400 KB"."""
TRANSACTION_ACTIONS_MAX = 100
"""AWS, "Quotas", transactions: at most 100 unique items."""
TRANSACTION_BYTES_MAX = 4 * 1024 * 1024
"""The same: at most 4 MB of data."""

_NUMBERS = Context(prec=60)


@dataclass(frozen=True, slots=True)
class KeyAttribute:
    """Name and scalar type (S, N or B) of one key attribute."""

    name: str
    type: str = "S"


@dataclass(frozen=True, slots=True)
class KeySchema:
    """The hash and, where there is one, range attribute of a table or index."""

    hash: KeyAttribute
    range: KeyAttribute | None = None
    more_hashes: tuple[KeyAttribute, ...] = ()
    more_ranges: tuple[KeyAttribute, ...] = ()
    """A global index has up to four attributes of each kind."""

    @property
    def attributes(self) -> tuple[KeyAttribute, ...]:
        if not self.more_hashes and not self.more_ranges:
            return (self.hash,) if self.range is None else (self.hash, self.range)
        return tuple(attribute for attribute, _ in self.roles)

    @property
    def roles(self) -> tuple[tuple[KeyAttribute, str], ...]:
        """Each attribute with its KeyType, in the order of a KeySchema: HASH before RANGE."""
        ranges = () if self.range is None else (self.range, *self.more_ranges)
        return (
            *((attribute, "HASH") for attribute in (self.hash, *self.more_hashes)),
            *((attribute, "RANGE") for attribute in ranges),
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(attribute.name for attribute in self.attributes)

    def bytes_max(self, attribute: KeyAttribute) -> int:
        """How long the value of one of these attributes may be."""
        is_hash = attribute in (self.hash, *self.more_hashes)
        return HASH_BYTES_MAX if is_hash else RANGE_BYTES_MAX


def key_of(item: Mapping[str, AttributeValue], schema: KeySchema) -> Key:
    """The key attributes of ``item``; raises KeyError where one is absent."""
    return {name: item[name] for name in schema.names}


def key_projection(schema: KeySchema) -> dict[str, Any]:
    """The members of a read that wants nothing but keys."""
    names = {f"#k{at}": name for at, name in enumerate(schema.names)}
    return {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}


def key_token(item: Mapping[str, AttributeValue], schema: KeySchema) -> str:
    """One text for one key, equal exactly when DynamoDB takes the keys as equal."""
    parts = []
    for attribute in schema.attributes:
        [(kind, value)] = item[attribute.name].items()
        if kind == "N":
            value = canonical_number(value)
        elif kind == "B":
            value = canonical_binary(value)
        parts.append([kind, value])
    return orjson.dumps(parts).decode()


def key_from_token(token: str, schema: KeySchema) -> Key:
    """The key that ``key_token`` wrote."""
    parts = orjson.loads(token)
    return {
        attribute.name: {kind: value}
        for attribute, (kind, value) in zip(schema.attributes, parts, strict=True)
    }


def exceeds(value: AttributeValue, attribute: KeyAttribute, schema: KeySchema) -> bool:
    """Whether a value, of the attribute's own type, is longer than its place in a key allows."""
    content: str = value[attribute.type]
    if len(content) * UTF8_BYTES_MAX <= RANGE_BYTES_MAX or attribute.type == "N":
        return False  # surely short, as nearly all are: nothing is encoded
    return _value_bytes(value) > schema.bytes_max(attribute)


def canonical_number(text: str) -> str:
    """DynamoDB normalises numbers: 1.2300E2 and 123 are one value."""
    number = _NUMBERS.normalize(Decimal(text))
    return "0" if number.is_zero() else str(number)


def canonical_binary(base64_text: str) -> str:
    """The one text that DynamoDB gives back for these bytes: AR== means what AQ== does."""
    return b64encode(b64decode(base64_text)).decode()


def canonical(value: AttributeValue) -> Hashable:
    """A hashable form, equal exactly when DynamoDB takes the values as equal."""
    [(kind, content)] = value.items()
    match kind:
        case "N":
            return (kind, canonical_number(content))
        case "M":
            return (kind, frozenset((name, canonical(inner)) for name, inner in content.items()))
        case "L":
            return (kind, tuple(canonical(inner) for inner in content))
        case "SS":
            return (kind, frozenset(content))
        case "B":
            return (kind, canonical_binary(content))
        case "BS":
            return (kind, frozenset(map(canonical_binary, content)))
        case "NS":
            return (kind, frozenset(canonical_number(number) for number in content))
        case _:
            return (kind, content)


def same(left: Mapping[str, AttributeValue], right: Mapping[str, AttributeValue]) -> bool:
    """Whether two items are equal as DynamoDB compares: sets unordered, numbers by value."""
    if left == right:
        return True
    if left.keys() != right.keys():
        return False
    return all(
        value == right[name] or canonical(value) == canonical(right[name])
        for name, value in left.items()
    )


def with_types(image: Item) -> Item:
    """An image of a stream record with every value's type: DynamoDB Local words an empty map there
    as a value that has none, and nothing else so. The image itself where it is whole."""
    if all(map(_has_types, image.values())):
        return image
    return {name: _with_type(value) for name, value in image.items()}


def _has_types(value: AttributeValue) -> bool:
    if "M" in value:
        return all(map(_has_types, value["M"].values()))
    if "L" in value:
        return all(map(_has_types, value["L"]))
    return bool(value)


def _with_type(value: AttributeValue) -> AttributeValue:
    if "M" in value:
        return {"M": {name: _with_type(inner) for name, inner in value["M"].items()}}
    if "L" in value:
        return {"L": [_with_type(inner) for inner in value["L"]]}
    return value or {"M": {}}


def visible(item: Mapping[str, AttributeValue]) -> Item:
    """An item without the service's own attributes."""
    return {name: value for name, value in item.items() if name not in HIDDEN}


def without_stamp(item: Mapping[str, AttributeValue]) -> Item:
    return {name: value for name, value in item.items() if name != STAMP}


def stamp_of(item: Mapping[str, AttributeValue] | None) -> str | None:
    """The stamp an item carries, or None for no item or none yet."""
    if item is None:
        return None
    value = item.get(STAMP)
    return None if value is None else value.get("S")


def size_bytes(item: Mapping[str, AttributeValue]) -> int:
    """Item size as AWS counts it ("DynamoDB item sizes and formats"): names plus values."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: AttributeValue) -> int:
    kind: str
    content: Any
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return _text_bytes(content)
        case "N":
            return _number_bytes(content)
        case "B":
            return _binary_bytes(content)
        case "BOOL" | "NULL":
            return 1
        case "M":
            return 3 + sum(
                1 + len(name.encode()) + _value_bytes(inner) for name, inner in content.items()
            )
        case "L":
            return 3 + sum(1 + _value_bytes(inner) for inner in content)
        case "SS":
            return sum(_text_bytes(member) for member in content)
        case "NS":
            return sum(_number_bytes(member) for member in content)
        case "BS":
            return sum(_binary_bytes(member) for member in content)
    raise AssertionError(f"unknown attribute type {kind}")


def _text_bytes(text: str) -> int:
    return len(text.encode())


def _binary_bytes(base64_text: str) -> int:
    return len(base64_text) * 3 // 4 - base64_text[-2:].count("=")


def _number_bytes(text: str) -> int:
    """AWS: about a byte for two significant digits, and one. DynamoDB Local shows the rest: pairs
    are formed from the decimal point on, and a minus takes one more."""
    number = _NUMBERS.create_decimal(text).normalize(_NUMBERS).as_tuple()
    digits = len(number.digits) + int(number.exponent) % 2
    return (digits + 1) // 2 + (2 if number.sign else 1)
