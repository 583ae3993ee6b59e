"""The contiguous prefix of a shard's records that are applied; a checkpoint is its end."""

from collections import deque


class Mark:
    """One record that was fetched; ``done`` once its key is clean or queued for repair, ``held``
    while the mutation feed has not told of it."""

    __slots__ = ("created_ms", "done", "held", "sequence", "size_bytes")

    def __init__(self, sequence: str, created_ms: int, size_bytes: int = 0) -> None:
        self.sequence = sequence
        self.created_ms = created_ms
        self.size_bytes = size_bytes
        self.done = False
        self.held = False


class Prefix:
    """Fetched records in order; records may be done out of order, the prefix grows in order."""

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint
        self.position = checkpoint
        """The newest fetched sequence number, where reading goes on."""
        self.fetched = 0
        self.applied = 0
        self.outstanding_bytes = 0
        self._marks: deque[Mark] = deque()
        self._newest = int(checkpoint) if checkpoint.isdigit() else -1

    def add(self, sequence: str, created_ms: int, size_bytes: int = 0) -> Mark | None:
        """Note a fetched record; None for one that was fetched before. Compared as integers."""
        number = int(sequence)
        if number <= self._newest:
            return None
        self._newest = number
        self.position = sequence
        self.fetched += 1
        self.outstanding_bytes += size_bytes
        mark = Mark(sequence, created_ms, size_bytes)
        self._marks.append(mark)
        return mark

    def advance(self) -> None:
        """Move the checkpoint over all records at the front that are done."""
        marks = self._marks
        while marks and marks[0].done and not marks[0].held:
            mark = marks.popleft()
            self.checkpoint = mark.sequence
            self.applied += 1
            self.outstanding_bytes -= mark.size_bytes

    def restart(self, position: str) -> None:
        """Read on from elsewhere after a gap: no order holds across it."""
        self.position = position
        self._newest = -1
        if not self._marks:
            self.checkpoint = position

    @property
    def outstanding(self) -> int:
        return len(self._marks)

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest unapplied record was created; None where all are applied."""
        return self._marks[0].created_ms if self._marks else None
