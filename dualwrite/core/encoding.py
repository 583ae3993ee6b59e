"""What goes to an engine as JSON, as deep as JSON is written here."""

from typing import Any

import orjson

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions.wellformed import NESTED_TOO_DEEP


def in_json(request: Any, option: int = 0) -> bytes:
    """The bytes of a request, or of a part of one. Raises ValidationError for what orjson does not
    write: it stops at 254 levels, and no engine takes more than 32 levels of an item."""
    try:
        return orjson.dumps(request, option=option)
    except orjson.JSONEncodeError as error:
        raise ValidationError(NESTED_TOO_DEEP) from error
