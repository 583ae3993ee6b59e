"""A client's ClientRequestToken: bound to its request until ten minutes after it was applied.

The binding is a record in the control table, written by the very transaction that carries the
request out, under the condition that no other one stands there. So the two are one: what was
applied has its record, and a repetition is cancelled by it, through whichever proxy it comes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson

from dualwrite.core.encoding import in_json
from dualwrite.core.errors import ClientError, ValidationError
from dualwrite.core.items import AttributeValue, Key
from dualwrite.core.phases import TableState

TOKEN_LENGTH_MAX = 36
"""AWS: a ClientRequestToken has 1 to 36 characters."""
REMEMBERED_SECONDS = 600
"""AWS: a token is valid for ten minutes after the first request that used it was completed."""
EXPIRES = "expires"
"""The record's end in seconds since 1970, which is what DynamoDB's time to live goes by."""

_KIND = "token#"
_EPOCHS = "epochs"


class Standing(StrEnum):
    """What a token is bound to, as seen by one request that carries it."""

    FREE = "free"
    SAME = "same"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Claim:
    """One request's claim of its token; digests, so that no item's contents are kept."""

    token: str
    request: str

    def key(self) -> Key:
        """Each token is a partition of its own, so that none is hot."""
        return {"pk": {"S": _KIND + self.token}, "sk": {"S": "-"}}

    @property
    def upstream_token(self) -> str:
        """A token for DynamoDB itself that is the same whenever this request is sent."""
        return sha256((self.token + self.request).encode()).hexdigest()[:TOKEN_LENGTH_MAX]

    def put(self, control_table: str, now_ms: int, states: Iterable[TableState]) -> dict[str, Any]:
        """The Put that binds the token to a request begun under these states, unless it is bound
        already and not yet forgotten."""
        now_seconds = now_ms // 1000
        item = {
            **self.key(),
            "request": {"S": self.request},
            _EPOCHS: {"M": {state.table: {"N": str(state.epoch)} for state in states}},
            EXPIRES: {"N": str(now_seconds + REMEMBERED_SECONDS)},
        }
        return {
            "TableName": control_table,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(pk) OR #expires <= :now",
            "ExpressionAttributeNames": {"#expires": EXPIRES},
            "ExpressionAttributeValues": {":now": {"N": str(now_seconds)}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def judge(self, record: Mapping[str, AttributeValue] | None, now_ms: int) -> Standing:
        """What the record that stands under the token says of this request."""
        if not record or int(record[EXPIRES]["N"]) <= now_ms // 1000:
            return Standing.FREE
        return Standing.SAME if record["request"]["S"] == self.request else Standing.OTHER


def begun_under(record: Mapping[str, AttributeValue]) -> dict[str, int]:
    """The epochs, by table, under which the request that left this record was begun."""
    epochs = record.get(_EPOCHS, {"M": {}})["M"]
    return {table: int(epoch["N"]) for table, epoch in epochs.items()}


def claim_of(token: str | None, request: Any) -> Claim | None:
    """The claim of a request that came with ``token``; ``request``: the JSON that it is bound to,
    the order of whose members does not count. Raises ValidationError."""
    if token is None:
        return None
    if not token or len(token) > TOKEN_LENGTH_MAX:
        bound = (
            f"less than or equal to {TOKEN_LENGTH_MAX}" if token else "greater than or equal to 1"
        )
        raise ValidationError(
            f"1 validation error detected: Value '{token}' at 'clientRequestToken' failed to "
            f"satisfy constraint: Member must have length {bound}"
        )
    text = in_json(request, orjson.OPT_SORT_KEYS)
    return Claim(sha256(token.encode()).hexdigest(), sha256(text).hexdigest())


def mismatch() -> ClientError:
    """The token stands for another request."""
    return ClientError(
        "IdempotentParameterMismatchException",
        "Specified idempotent token was used with different request parameters within the "
        "idempotency window",
    )
