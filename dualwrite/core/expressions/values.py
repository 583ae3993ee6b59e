"""Typed DynamoDB values: how they compare, what lies at a path, and their arithmetic."""

import base64
import re
from collections.abc import Iterable, Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions.ast import Path
from dualwrite.core.items import AttributeValue, canonical, canonical_binary

DIGITS_MAX = 38
"""AWS: "numbers can have up to 38 digits of precision"."""
EXPONENT_MAX = 125
"""AWS: magnitudes up to 9.99...E+125."""
EXPONENT_MIN = -130
"""AWS: and down to 1E-130."""

_EXACT = Context(prec=300, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Wide enough for the exact sum of any two DynamoDB numbers (about 256 digits)."""

_PLAIN = re.compile(r"0|-?[1-9][0-9]{0,37}")
"""Integers that already are in DynamoDB's form: nearly all that ever occur."""


def kind_of(value: AttributeValue) -> tuple[str, Any]:
    """The type tag and the content of a value."""
    [(kind, content)] = value.items()
    return kind, content


def at(value: AttributeValue | None, path: Path) -> AttributeValue | None:
    """What lies under ``value`` at the steps of ``path``; None for nothing."""
    for step in path:
        if value is None:
            return None
        if isinstance(step, int):
            members = value.get("L")
            value = members[step] if members is not None and step < len(members) else None
        else:
            value = value.get("M", {}).get(step)
    return value


def find(item: Mapping[str, AttributeValue], path: Path) -> AttributeValue | None:
    """What an item holds at ``path``; None for nothing."""
    name = path[0]
    assert isinstance(name, str), "a path begins with a name"
    value = item.get(name)
    return value if len(path) == 1 else at(value, path[1:])


def equal(left: AttributeValue, right: AttributeValue) -> bool:
    """Equality as DynamoDB has it: same type, numbers by value, sets unordered."""
    return left == right or canonical(left) == canonical(right)


def compare(left: AttributeValue, right: AttributeValue) -> int | None:
    """-1, 0 or 1; None where the types differ or have no order (only S, N and B do)."""
    kind, one = kind_of(left)
    other = right.get(kind)
    if other is None:
        return None
    match kind:
        case "S":
            # Code points sort as their UTF-8 bytes do, which is DynamoDB's order.
            first_text, second_text = str(one), str(other)
            return (first_text > second_text) - (first_text < second_text)
        case "N":
            first, second = Decimal(one), Decimal(other)
            return (first > second) - (first < second)
        case "B":
            first_bytes, second_bytes = base64.b64decode(one), base64.b64decode(other)
            return (first_bytes > second_bytes) - (first_bytes < second_bytes)
    return None


def length(value: AttributeValue) -> int | None:
    """What ``size`` says: characters, bytes or members; None for a type without a size."""
    kind, content = kind_of(value)
    match kind:
        case "B":
            return len(base64.b64decode(content))
        case "S" | "SS" | "NS" | "BS" | "L" | "M":
            return len(content)
    return None


def plus(left: str, right: str, sign: int = 1) -> str:
    """The exact sum (or difference) in DynamoDB's form; more than 38 digits are an error."""
    one, other = Decimal(left), Decimal(right)
    return number(_EXACT.add(one, other) if sign > 0 else _EXACT.subtract(one, other))


def number(result: Decimal) -> str:
    """A number as DynamoDB stores it; raises ValidationError out of its range."""
    result = _EXACT.normalize(result)
    if result.is_zero():
        return "0"
    if result.adjusted() > EXPONENT_MAX or len(result.as_tuple().digits) > DIGITS_MAX:
        # AWS says overflow for too many digits as well (ScyllaDB Alternator's tests saw it).
        raise ValidationError(
            "Number overflow. Attempting to store a number with magnitude larger than "
            "supported range"
        )
    if result.adjusted() < EXPONENT_MIN:
        raise ValidationError(
            "Number underflow. Attempting to store a number with magnitude smaller than "
            "supported range"
        )
    return format(result, "f")


def normalised(value: AttributeValue) -> AttributeValue:
    """The value with its numbers, bytes and sets in the form in which DynamoDB gives them back."""
    kind, content = kind_of(value)
    match kind:
        case "N":
            return value if _PLAIN.fullmatch(content) else {"N": number(Decimal(content))}
        case "B":
            return {"B": canonical_binary(content)}
        case "SS" | "NS" | "BS":
            return {kind: set_members(kind, content)}
        case "L":
            return {"L": [normalised(member) for member in content]}
        case "M":
            return {"M": {name: normalised(inner) for name, inner in content.items()}}
    return value


def set_members(kind: str, content: Iterable[str]) -> list[str]:
    """A set's members in the form and order in which DynamoDB gives them back."""
    match kind:
        case "NS":
            return sorted((normalised({"N": member})["N"] for member in content), key=Decimal)
        case "BS":
            return sorted(map(canonical_binary, content), key=base64.b64decode)
    return sorted(content)
