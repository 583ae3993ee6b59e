"""Booleans that come as texts: SDKs of languages without types send what they are given, and
DynamoDB reads it."""

from typing import Any

_MEANINGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
"""Those that AWS was seen to read (Dynalite's tests ran against it); engines read some of them."""


def boolean(content: Any) -> bool | None:
    """What is meant; None: it is no boolean."""
    if isinstance(content, str):
        return _MEANINGS.get(content.lower())
    return content if isinstance(content, bool) else None
