"""What the workload's clients asked and what they were told: one JSON line an item touched.

A line is written after the call has ended, so a client that is alive has none in flight in the
file. Keys are in the words of the old dialect, whatever dialect the client spoke. Times are
CLOCK_MONOTONIC seconds, which all processes of one machine share.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from io import BufferedWriter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

PUT, UPDATE, DELETE, READ = "put", "update", "delete", "read"
ADD, CLAIM = "add", "claim"
LOOK, VIOLATION = "look", "violation"
"""Kinds. The first four are on keys with one writer, ADD and CLAIM on keys with many; a LOOK is a
read that no rule holds for, a VIOLATION an answer that no plain table gives, told in ``note``."""

ACKED, REFUSED, UNKNOWN = "acked", "refused", "unknown"
"""Outcomes. UNKNOWN is a time-out, a lost connection or a 5xx: it may have been applied."""

BEFORE, AFTER = "before", "after"
"""When ``seen`` was seen: before a write (ALL_OLD), or after it (ALL_NEW); a read is BEFORE."""

TAG, REVISION = "work_tag", "revision"
"""Attributes of the workload's items: the last write's own tag, and the count of writes since the
item was put (1 for the put itself)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One item as a client saw it, as far as the judge cares."""

    present: bool
    tag: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One item touched by one call."""

    worker: str
    number: int
    """Rises in a worker; the entries of one key with one writer are in this order."""
    operation: str
    """The wire's name, e.g. ``PutItem``."""
    table: str
    """Logical name."""
    key: Mapping[str, str]
    kind: str
    outcome: str
    started: float
    ended: float
    dialect: str = "old"
    sdk: str = ""
    tenant: str = ""
    """The old id of the tenant whose row it is."""
    tag: str = ""
    field: str = ""
    """The counter of an ADD, the attribute of a CLAIM."""
    delta: int = 0
    condition: str = ""
    """"" for none, "absent", "present", or "tag=" and a tag."""
    group: str = ""
    """The transaction it was part of."""
    seen: Seen | None = None
    seen_when: str = BEFORE
    code: str = ""
    """The error's code where there was one."""
    endpoint: int = 0
    note: str = ""

    @property
    def writes(self) -> bool:
        return self.kind not in (READ, LOOK, VIOLATION)


def encode(entry: Entry) -> bytes:
    """One line, without what is at its default."""
    data = {name: value for name, value in asdict(entry).items() if value not in ("", 0, None)}
    return orjson.dumps(data) + b"\n"


def decode(line: bytes) -> Entry:
    """The inverse of ``encode``; raises ValueError."""
    data: dict[str, Any] = {"number": 0, "started": 0.0, "ended": 0.0}
    data |= {"key": {}, "table": "", "operation": ""}
    data |= orjson.loads(line)
    seen = data.pop("seen", None)
    return Entry(**data, seen=Seen(**seen) if seen is not None else None)


class Recorder:
    """Appends entries to a file; ``flush`` is called often, and at the end."""

    def __init__(self, path: Path) -> None:
        self._file: BufferedWriter = path.open("ab")

    def add(self, entries: Iterable[Entry]) -> None:
        """Safe from many threads: a buffered binary file locks each write."""
        self._file.write(b"".join(encode(entry) for entry in entries))

    def flush(self) -> None:
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


class Tail:
    """Follows a growing history file; each ``read`` gives the whole lines that are new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[Entry]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [decode(line) for line in whole.splitlines()]


def load(path: Path) -> list[Entry]:
    """All entries of a finished history file."""
    return Tail(path).read()
