"""A client that fails over between endpoints and writes down what it was told.

No call is ever sent twice: one that ends in a time-out, a lost connection or a 5xx is written down
as *unknown*, and the next call goes to the other endpoint.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError
from pynamodb.exceptions import AttributeDeserializationError, PynamoDBException

from examples.ai_coordination_engine.stores import Change, Find, Ref, Store, Values
from verifier.rehearsal.history import (
    ACKED,
    AFTER,
    BEFORE,
    LOOK,
    READ,
    REFUSED,
    REVISION,
    TAG,
    UNKNOWN,
    VIOLATION,
    Entry,
    Recorder,
    Seen,
)

T = TypeVar("T")
NOT_SENT = "EndpointConnectionError"
HIDDEN_PREFIX = "dw_"


@dataclass(frozen=True, slots=True)
class Answer:
    """How one call ended."""

    outcome: str
    code: str = ""
    values: Values | None = None

    @property
    def acked(self) -> bool:
        return self.outcome == ACKED


class Pace:
    """So many writes a second, evenly; what was missed for over a second is not made up for."""

    def __init__(self, writes_per_second: float) -> None:
        self._seconds_each = 1.0 / writes_per_second
        self._next = time.monotonic()

    def spend(self, writes: int) -> None:
        """Wait until these writes may be sent."""
        now = time.monotonic()
        self._next = max(self._next, now - 1.0)
        if self._next > now:
            time.sleep(self._next - now)
        self._next += writes * self._seconds_each


class Client:
    """One thread's way to the database."""

    def __init__(
        self, worker: str, stores: Sequence[Store], recorder: Recorder, pace: Pace, first: int = 0
    ) -> None:
        self.worker = worker
        self._stores = stores
        self._recorder = recorder
        self._pace = pace
        self._number = 0
        self._at = first % len(stores)
        self.dialect = "new" if stores[0].design.new else "old"

    @property
    def sdk(self) -> str:
        return self._stores[0].sdk

    # -- writes ------------------------------------------------------------------------------

    def put(self, ref: Ref, values: Values, condition: str = "") -> Answer:
        """PutItem under a new tag."""
        return self._one("PutItem", Change("put", ref, values, condition=condition))

    def update(
        self, ref: Ref, values: Values, condition: str = "", returns: str = "NONE"
    ) -> Answer:
        """UpdateItem under a new tag; counts the row's revision up by an atomic ADD."""
        adds = {REVISION: 1}
        change = Change("update", ref, values, adds, condition, self._returns(returns))
        return self._one("UpdateItem", change)

    def delete(self, ref: Ref, condition: str = "", returns: str = "NONE") -> Answer:
        """DeleteItem."""
        asked = "NONE" if self.sdk == "pynamodb" else returns
        return self._one("DeleteItem", Change("delete", ref, {}, None, condition, asked))

    def add(self, ref: Ref, name: str, delta: int, condition: str = "") -> Answer:
        """An atomic ADD on a counter that many write."""
        change = Change("update", ref, {}, {name: delta}, condition, self._returns("NONE"))
        entry = replace(self._entry("UpdateItem", change), kind="add", field=name, delta=delta)
        entry = replace(entry, condition="", tag="")
        return self._send([entry], lambda store: store.write(change))

    def claim(self, ref: Ref) -> Answer:
        """Take a row that nobody holds: at most one of all who ask may win."""
        entry = self._entry("UpdateItem", Change("update", ref, {}))
        change = Change("update", ref, {"claimed_by": entry.tag}, condition="free")
        entry = replace(entry, kind="claim", field="claimed_by", condition="")
        return self._send([entry], lambda store: store.write(change))

    def batch(self, changes: Sequence[Change]) -> Answer:
        """BatchWriteItem of Puts and Deletes of one table."""
        marked, entries = self._mark("BatchWriteItem", changes, "")
        left: list[Ref] = []

        def send(store: Store) -> None:
            left.extend(store.batch_write(marked))

        return self._send(entries, send, left)

    def transact(self, changes: Sequence[Change]) -> Answer:
        """TransactWriteItems."""
        group = f"{self.worker}-{self._number + 1}"
        marked, entries = self._mark("TransactWriteItems", changes, group)
        return self._send(entries, lambda store: store.transact_write(marked))

    def _returns(self, wanted: str) -> str:
        return "ALL_NEW" if self.sdk == "pynamodb" else wanted

    def _mark(
        self, operation: str, changes: Sequence[Change], group: str
    ) -> tuple[list[Change], list[Entry]]:
        entries, marked = [], []
        for change in changes:
            entry = replace(self._entry(operation, change), group=group)
            adds = {REVISION: 1} if change.kind == "update" else None
            marked.append(replace(change, values=_tagged(change, entry.tag), adds=adds))
            entries.append(entry)
        return marked, entries

    def _one(self, operation: str, change: Change) -> Answer:
        entry = self._entry(operation, change)
        tagged = replace(change, values=_tagged(change, entry.tag))
        return self._send([entry], lambda store: store.write(tagged), returns=change.returns)

    def _entry(self, operation: str, change: Change) -> Entry:
        self._number += 1
        return Entry(
            worker=self.worker,
            number=self._number,
            operation=operation,
            table=change.ref.table,
            key=change.ref.old_key,
            kind=change.kind,
            outcome=UNKNOWN,
            started=0.0,
            ended=0.0,
            dialect=self.dialect,
            sdk=self.sdk,
            tenant=change.ref.tenant.old_id,
            tag="" if change.kind == "delete" else f"{self.worker}-{self._number}",
            condition=change.condition,
        )

    def _send(
        self,
        entries: list[Entry],
        send: Callable[[Store], Values | None],
        left: Sequence[Ref] = (),
        returns: str = "NONE",
    ) -> Answer:
        self._pace.spend(len(entries))
        started = time.monotonic()
        endpoint = self._at
        answer = self._try(send)
        told = replace(
            entries[0],
            outcome=answer.outcome,
            code=answer.code,
            started=started,
            ended=time.monotonic(),
            endpoint=endpoint,
        )
        unwritten = [ref.old_key for ref in left]
        lines = [
            replace(
                entry,
                outcome=REFUSED if entry.key in unwritten else told.outcome,
                code="Unprocessed" if entry.key in unwritten else told.code,
                started=told.started,
                ended=told.ended,
                endpoint=endpoint,
            )
            for entry in entries
        ]
        if answer.acked and returns in ("ALL_NEW", "ALL_OLD") and not entries[0].field:
            when = AFTER if returns == "ALL_NEW" else BEFORE
            lines[0] = replace(lines[0], seen=_seen(answer.values), seen_when=when)
        self._recorder.add(lines)
        self._check_hidden(entries[0].operation, [answer.values])
        return answer

    def _try(self, send: Callable[[Store], T]) -> Answer:
        try:
            values = send(self._stores[self._at])
        except (ClientError, BotoCoreError, PynamoDBException) as error:
            outcome, code = classify(error)
            if outcome == UNKNOWN or code == NOT_SENT:
                self._fail_over()
            return Answer(outcome, code)
        return Answer(ACKED, values=values if isinstance(values, dict) else None)

    def _fail_over(self) -> None:
        self._at = (self._at + 1) % len(self._stores)

    # -- reads -------------------------------------------------------------------------------

    def read_own(self, ref: Ref) -> None:
        """A consistent read of a row that only this thread writes; the judge checks it."""
        started = time.monotonic()
        rows = self.ask(lambda store: [store.get(ref, True)])
        if rows is not None:
            self._recorder.add([self._read_entry("GetItem", ref, rows[0], started)])
            self._check_hidden("GetItem", rows)

    def read_own_together(self, refs: Sequence[Ref], transaction: bool) -> None:
        """The same for many rows: a consistent BatchGetItem, or TransactGetItems."""
        started = time.monotonic()
        operation = "TransactGetItems" if transaction else "BatchGetItem"
        rows: list[Values | None] | None
        if transaction:
            rows = self.ask(lambda store: store.transact_get(refs))
        else:
            rows = self.ask(lambda store: self._in_order(refs, store.batch_get(refs, True)))
        if rows is None:
            return
        self._recorder.add(
            [
                self._read_entry(operation, ref, row, started)
                for ref, row in zip(refs, rows, strict=True)
            ]
        )
        self._check_hidden(operation, rows)

    def _in_order(self, refs: Sequence[Ref], rows: Sequence[Values]) -> list[Values | None]:
        held = {
            tuple(row.get(name) for name in self._stores[0].design.key(ref)): row
            for ref in refs
            for row in rows
        }
        return [held.get(tuple(self._stores[0].design.key(ref).values())) for ref in refs]

    def _read_entry(self, operation: str, ref: Ref, row: Values | None, started: float) -> Entry:
        entry = self._entry(operation, Change("delete", ref, {}))
        return replace(
            entry,
            kind=READ,
            outcome=ACKED,
            started=started,
            ended=time.monotonic(),
            endpoint=self._at,
            seen=_seen(row),
        )

    def ask(self, read: Callable[[Store], T]) -> T | None:
        """A read that may be repeated, at the other endpoint; None where there is no answer."""
        for _ in self._stores:
            try:
                return read(self._stores[self._at])
            except AttributeDeserializationError:
                return None  # a legacy row of another type: the models always raised on those
            except (ClientError, BotoCoreError, PynamoDBException) as error:
                outcome, code = classify(error)
                if outcome == REFUSED and code != NOT_SENT:
                    self._refused_read(code)
                    return None
                self._fail_over()
        return None

    def _refused_read(self, code: str) -> None:
        if code not in ("ProvisionedThroughputExceededException", "ThrottlingException"):
            self.violation(f"a read was refused with {code}")

    def get(self, ref: Ref) -> Values | None:
        """An eventually consistent read."""
        started = time.monotonic()
        row = self.ask(lambda store: store.get(ref, False))
        self._looked("GetItem", ref.table, [row] if row else [], started)
        return row

    def find(self, find: Find) -> list[Values] | None:
        """A Query with all its pages."""
        started = time.monotonic()
        rows = self.ask(lambda store: store.query(find))
        self._looked("Query", find.table, rows or [], started)
        return rows

    def count(self, find: Find) -> int | None:
        """A Query with Select COUNT."""
        started = time.monotonic()
        total = self.ask(lambda store: store.count(find))
        self._looked("Query", find.table, [], started)
        return total

    def scan(self, table: str, limit: int) -> None:
        """Two pages of a Scan."""
        started = time.monotonic()
        rows = self.ask(lambda store: store.scan(table, limit))
        self._looked("Scan", table, rows or [], started)

    def _looked(
        self, operation: str, table: str, rows: Sequence[Values | None], started: float
    ) -> None:
        self._number += 1
        self._recorder.add(
            [
                Entry(
                    worker=self.worker,
                    number=self._number,
                    operation=operation,
                    table=table,
                    key={},
                    kind=LOOK,
                    outcome=ACKED,
                    started=started,
                    ended=time.monotonic(),
                    dialect=self.dialect,
                    sdk=self.sdk,
                    endpoint=self._at,
                )
            ]
        )
        self._check_hidden(operation, rows)

    # -- what no plain table does --------------------------------------------------------------

    def violation(self, note: str) -> None:
        """Write down an answer that a plain table does not give."""
        now = time.monotonic()
        self._number += 1
        self._recorder.add(
            [
                Entry(
                    worker=self.worker,
                    number=self._number,
                    operation="",
                    table="",
                    key={},
                    kind=VIOLATION,
                    outcome=ACKED,
                    started=now,
                    ended=now,
                    dialect=self.dialect,
                    sdk=self.sdk,
                    note=note,
                )
            ]
        )

    def _check_hidden(self, operation: str, rows: Sequence[Values | None]) -> None:
        if any(name.startswith(HIDDEN_PREFIX) for row in rows if row for name in row):
            self.violation(f"{operation} showed a hidden attribute")


def classify(error: Exception) -> tuple[str, str]:
    """Outcome and code of an SDK's error."""
    cause: Any = error
    while isinstance(cause, PynamoDBException) and cause.cause is not None:
        cause = cause.cause
    if isinstance(cause, ClientError):
        code = str(cause.response.get("Error", {}).get("Code", ""))
        status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status is None:  # PynamoDB hands on the code alone
            return (REFUSED if code.endswith("Exception") else UNKNOWN), code
        return (UNKNOWN if status >= 500 else REFUSED), code
    if isinstance(cause, EndpointConnectionError):
        return REFUSED, NOT_SENT
    return UNKNOWN, type(cause).__name__


def _tagged(change: Change, tag: str) -> Values:
    if change.kind == "delete":
        return change.values
    marks: Values = {TAG: tag}
    if change.kind == "put":
        marks[REVISION] = 1
    return change.values | marks


def _seen(row: Values | None) -> Seen:
    if not row:
        return Seen(False)
    return Seen(True, str(row.get(TAG) or ""), int(row.get(REVISION) or 0))
