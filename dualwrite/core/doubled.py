"""Members that are given twice in one JSON object: we go by the last of them, an engine may go by
the first, so a request where that could be another table is refused."""

import json
import re
from typing import Any

from dualwrite.core.shapes import serialization

_ESCAPED_ASCII = re.compile(rb"\\u00[0-7]")


def may_hide(raw: bytes) -> bool:
    """Whether a JSON escape in ``raw`` could hide a name: those of tables and members are ASCII,
    and only this form stands for that (RFC 8259, 7). Clients escape all text beyond it, too."""
    return b"\\u" in raw and _ESCAPED_ASCII.search(raw) is not None


def refuse_doubled(raw: bytes, names: tuple[str, ...]) -> None:
    """Raises ClientError where any object of ``raw``, which is JSON, holds a member twice.

    Looked at closely only where one of ``names`` stands in it more than once, or could behind an
    escape: that is rare, and takes ten times as long as parsing it.
    """
    if not may_hide(raw) and all(raw.count(b'"%b"' % name.encode()) <= 1 for name in names):
        return
    try:
        json.loads(raw, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise serialization("A member is given twice") from None


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError
