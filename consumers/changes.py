"""Stream records as the service reads them: hints that a key may be dirty."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dualwrite.core.items import (
    HIDDEN,
    OTHER,
    STAMP,
    Item,
    Key,
    same,
    stamp_of,
    visible,
    with_types,
)

_TTL_PRINCIPAL = "dynamodb.amazonaws.com"
_ROUNDED_MS = {"ddblocal": 59_000}
"""By Region. AWS rounds creation times "down to the closest second"; DynamoDB Local, which calls
its Region so, rounds them down to the minute."""


@dataclass(frozen=True, slots=True)
class Change:
    """One record: the item before and after; None for no item."""

    sequence: str
    created_ms: int
    keys: Key
    old: Item | None
    new: Item | None
    by_ttl: bool = False
    rounded_ms: int = 0
    """By how much more than a second ``created_ms`` may be rounded down."""
    size_bytes: int = 0
    """Keys and images, as the engine counts them."""

    def created_ms_max(self, fetched_ms: int) -> int:
        """When it was created at the latest, as far as one can tell who fetched it then."""
        return min(self.created_ms + self.rounded_ms, max(self.created_ms, fetched_ms))

    @property
    def only_annotates(self) -> bool:
        """Whether nothing changed but that hidden attributes were added."""
        if self.old is None or self.new is None or (STAMP in self.old and OTHER in self.old):
            return False
        for name in HIDDEN:
            if name in self.old and self.old[name] != self.new.get(name):
                return False
        return _visible_is_same(self.old, self.new)

    @property
    def is_bypass(self) -> bool:
        """Whether a leader's item was written by somebody who gives no stamps.

        A removal cannot tell, for a record shows no stamp of the deleter.
        """
        if self.new is None or self.by_ttl:
            return False
        stamp = stamp_of(self.new)
        if self.old is None:
            return stamp is None
        if stamp is not None and stamp != stamp_of(self.old):
            return False
        return not _visible_is_same(self.old, self.new)


def change_of(record: Mapping[str, Any]) -> Change:
    """Read one record of ``GetRecords``."""
    data = record["dynamodb"]
    old, new = data.get("OldImage"), data.get("NewImage")
    identity = record.get("userIdentity") or {}
    principal = identity.get("principalId", identity.get("PrincipalId"))
    return Change(
        data["SequenceNumber"],
        int(float(data.get("ApproximateCreationDateTime", 0)) * 1000),
        data["Keys"],
        None if old is None else with_types(old),
        None if new is None else with_types(new),
        principal == _TTL_PRINCIPAL,
        _ROUNDED_MS.get(record.get("awsRegion", ""), 0),
        data.get("SizeBytes", 0),
    )


def _visible_is_same(old: Item, new: Item) -> bool:
    return same(visible(old), visible(new))
