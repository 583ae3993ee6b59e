"""Checks attribute values as they come from a client, before anything is evaluated on them.

The wording is that of AWS as the tests of dynalite and ScyllaDB Alternator recorded it there;
DynamoDB Local words numbers differently ("A value provided cannot be converted into a number").
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from dualwrite.core.booleans import boolean
from dualwrite.core.errors import ClientError, ValidationError
from dualwrite.core.expressions.values import DIGITS_MAX, EXPONENT_MAX, EXPONENT_MIN
from dualwrite.core.items import canonical_binary, canonical_number

NAME_BYTES_MAX = 65535
"""Seen on AWS by the tests of ScyllaDB Alternator; the documents say 64 KB."""
NESTED_TOO_DEEP = (
    "Nesting Levels have exceeded supported limits: "
    "Attributes in the item have nested levels beyond supported limit"
)
DEPTH_MAX = 32
"""AWS: "nested attributes up to 32 levels deep"."""

_TYPES = frozenset({"S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"})
_SHORT_INTEGER = re.compile(r"-?[0-9]{1,38}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?0*[0-9]{1,9})?")
_DIGITS_WORDING = f"Attempting to store more than {DIGITS_MAX} significant digits in a Number"
_INVALID = "One or more parameter values were invalid: "


def check_name(name: str) -> None:
    """The name of an attribute, wherever it stands. Raises ValidationError in DynamoDB's words."""
    if not name:
        raise ValidationError("Empty attribute name")
    if len(name) > NAME_BYTES_MAX // 4 and len(name.encode()) > NAME_BYTES_MAX:
        raise ValidationError(
            f"Attribute name is too large, must be less than {NAME_BYTES_MAX + 1} bytes"
        )


def check_item(item: Any) -> None:
    """Every name and value of an item. Raises ClientError in DynamoDB's words."""
    if not isinstance(item, dict):
        raise _serialization("Start of structure or map found where not expected.")
    if _is_plain_map(item, 1):
        return
    for name, value in item.items():
        check_name(name)
        check_value(value)


def _is_plain_map(members: dict[str, Any], depth: int) -> bool:
    """Whether names and values are surely right, by a quick look; almost all are. False: look
    closely."""
    return "" not in members and _are_plain(members.values(), depth)


def _are_plain(values: Iterable[Any], depth: int) -> bool:
    if depth > DEPTH_MAX:
        return False
    for value in values:
        if type(value) is not dict or len(value) != 1:
            return False
        for kind, content in value.items():
            if kind == "S":
                plain = type(content) is str
            elif kind == "N":
                plain = type(content) is str and _SHORT_INTEGER.fullmatch(content) is not None
            elif kind == "M":
                plain = type(content) is dict and _is_plain_map(content, depth + 1)
            elif kind == "L":
                plain = type(content) is list and _are_plain(content, depth + 1)
            elif kind == "BOOL":
                plain = type(content) is bool
            else:
                plain = kind == "NULL" and content is True
            if not plain:
                return False
    return True


def check_value(value: Any, depth: int = 1) -> None:
    """One typed value and all within it, whose nulls are taken out of it, and whose texts that mean
    booleans become such. Raises ClientError in DynamoDB's words."""
    if not isinstance(value, dict):
        raise _serialization("Unexpected value type in payload")
    for kind in [kind for kind in value if value[kind] is None]:
        del value[kind]  # as not given, for whoever reads the value after this counts on one member
    kinds = [kind for kind in value if kind in _TYPES]
    if not kinds:
        raise ValidationError(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
        )
    for kind in kinds:
        if kind in ("BOOL", "NULL") and (meant := boolean(value[kind])) is not None:
            value[kind] = meant
        _check_content(kind, value[kind], depth)
    if len(value) > 1:
        raise ValidationError(
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes"
        )


def _check_content(kind: str, content: Any, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise ValidationError(NESTED_TOO_DEEP)
    match kind:
        case "S":
            _text(content)
        case "N":
            _check_number(_text(content))
        case "B":
            _check_binary(_text(content))
        case "BOOL":
            if not isinstance(content, bool):
                raise _serialization("Unexpected token received from parser")
        case "NULL":
            if content is not True:
                raise ValidationError(
                    _INVALID + "Null attribute value types must have the value of true"
                )
        case "M":
            _check_map(content, depth)
        case "L":
            for member in _list(content):
                check_value(member, depth + 1)
        case _:
            _check_set(kind, _list(content))


def _check_map(content: Any, depth: int) -> None:
    if not isinstance(content, Mapping):
        raise _serialization("Unexpected value type in payload")
    for name, inner in content.items():
        check_name(name)
        check_value(inner, depth + 1)


def _check_set(kind: str, content: list[Any]) -> None:
    texts = [_text(member) for member in content]
    if not texts:
        wording = {
            "SS": "An string set  may not be empty",
            "NS": "An number set  may not be empty",
            "BS": "Binary sets should not be empty",
        }
        raise ValidationError(_INVALID + wording[kind])
    if kind == "NS":
        for text in texts:
            _check_number(text)
        if len({canonical_number(text) for text in texts}) < len(texts):
            raise ValidationError("Input collection contains duplicates")
        return
    members = set(texts)
    if kind == "BS":
        for text in texts:
            _check_binary(text)
        members = set(map(canonical_binary, texts))
    if len(members) < len(texts):
        of_type = "of type BS " if kind == "BS" else " "
        listed = ", ".join(texts)
        raise ValidationError(f"{_INVALID}Input collection [{listed}]{of_type}contains duplicates.")


def _check_number(text: str) -> None:
    if _SHORT_INTEGER.fullmatch(text):
        return
    if not _NUMBER.fullmatch(text):
        detail = f": {text}" if text else ""
        raise ValidationError(f"The parameter cannot be converted to a numeric value{detail}")
    number = Decimal(text)
    if number.is_zero():
        return
    if number.adjusted() > EXPONENT_MAX:
        raise ValidationError(
            "Number overflow. Attempting to store a number with magnitude larger than "
            "supported range"
        )
    if number.adjusted() < EXPONENT_MIN:
        raise ValidationError(
            "Number underflow. Attempting to store a number with magnitude smaller than "
            "supported range"
        )
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if len(digits) > DIGITS_MAX:
        raise ValidationError(_DIGITS_WORDING)


def _check_binary(text: str) -> None:
    try:
        b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _serialization("Base64 encoded length is expected a multiple of 4 bytes") from None


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise _serialization("Unexpected value type in payload")
    return content


def _list(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise _serialization("Unexpected value type in payload")
    return content


def _serialization(message: str) -> ClientError:
    return ClientError("SerializationException", message)
