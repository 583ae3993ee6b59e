"""The application's data access through its PynamoDB models."""

from collections.abc import Sequence
from functools import reduce
from operator import and_
from typing import Any

from pynamodb.attributes import MapAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import DoesNotExist
from pynamodb.transactions import TransactGet, TransactWrite

from examples.ai_coordination_engine.models import MODELS, bound
from examples.ai_coordination_engine.stores import (
    RANGES,
    Change,
    Design,
    Find,
    Ref,
    Store,
    Values,
    whole,
)


class PynamoStore(Store):
    """PynamoDB: models, its own expression builders and its own loops over batches."""

    sdk = "pynamodb"

    def __init__(self, design: Design, endpoint_url: str, timeout_seconds: float) -> None:
        super().__init__(design)
        self._models: dict[str, Any] = {
            table: bound(pair[design.new], design.names[table], endpoint_url, timeout_seconds)
            for table, pair in MODELS.items()
        }
        self._connection = Connection(
            region="us-east-1",
            host=endpoint_url,
            read_timeout_seconds=timeout_seconds,
            connect_timeout_seconds=timeout_seconds,
            max_retry_attempts=0,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def _key(self, ref: Ref) -> tuple[str, str]:
        hash_value, range_value = self.design.key(ref).values()
        return hash_value, range_value

    def _row(self, change: Change) -> Any:
        model = self._models[change.ref.table]
        if change.kind == "put":
            return model(**whole(self.design, change))
        return model(*self._key(change.ref))

    def _condition(self, change: Change) -> Any:
        model = self._models[change.ref.table]
        word, _, argument = change.condition.partition(":")
        key = getattr(model, RANGES[change.ref.table])
        if not word:
            return None
        if word.startswith("tag="):
            return model.work_tag == change.condition.removeprefix("tag=")
        if word == "positive":
            return getattr(model, argument) > 0
        if word == "free":
            return key.exists() & model.claimed_by.does_not_exist()
        return key.exists() if word == "present" else key.does_not_exist()

    def _actions(self, change: Change) -> list[Any]:
        model = self._models[change.ref.table]
        actions = [getattr(model, name).set(value) for name, value in change.values.items()]
        adds = (change.adds or {}).items()
        return actions + [getattr(model, name).add(delta) for name, delta in adds]

    def write(self, change: Change) -> Values | None:
        row, condition = self._row(change), self._condition(change)
        if change.kind == "put":
            row.save(condition=condition)
        elif change.kind == "delete":
            row.delete(condition=condition)
        else:
            row.update(actions=self._actions(change), condition=condition)
            return _values(row)
        return None

    def get(self, ref: Ref, consistent: bool) -> Values | None:
        try:
            row = self._models[ref.table].get(*self._key(ref), consistent_read=consistent)
        except DoesNotExist:
            return None
        return _values(row)

    def _find(self, find: Find) -> dict[str, Any]:
        model = self._models[find.table]
        request: dict[str, Any] = {"consistent_read": find.consistent}
        if find.index:
            request["index_name"] = find.index
            name = find.index.removesuffix("-index")
            request["range_key_condition"] = getattr(model, name) == find.index_value
        filters = find.filters + self.design.tenant_filter(find.table, find.tenant)
        if filters:
            request["filter_condition"] = reduce(and_, [_filter(model, *part) for part in filters])
        return request

    def query(self, find: Find) -> list[Values]:
        rows = self._models[find.table].query(self.design.hash_of(find)[1], **self._find(find))
        return [_values(row) for row in rows]

    def count(self, find: Find) -> int:
        model = self._models[find.table]
        total: int = model.count(self.design.hash_of(find)[1], **self._find(find))
        return total

    def scan(self, table: str, limit: int) -> list[Values]:
        rows = self._models[table].scan(page_size=limit, limit=2 * limit)
        return [_values(row) for row in rows]

    def batch_get(self, refs: Sequence[Ref], consistent: bool) -> list[Values]:
        rows: list[Values] = []
        for table in {ref.table for ref in refs}:
            keys = [self._key(ref) for ref in refs if ref.table == table]
            found = self._models[table].batch_get(keys, consistent_read=consistent)
            rows += [_values(row) for row in found]
        return rows

    def batch_write(self, changes: Sequence[Change]) -> list[Ref]:
        [table] = {change.ref.table for change in changes}
        with self._models[table].batch_write() as batch:
            for change in changes:
                (batch.save if change.kind == "put" else batch.delete)(self._row(change))
        return []

    def transact_get(self, refs: Sequence[Ref]) -> list[Values | None]:
        with TransactGet(connection=self._connection) as transaction:
            futures = [transaction.get(self._models[ref.table], *self._key(ref)) for ref in refs]
        rows: list[Values | None] = []
        for future in futures:
            try:
                rows.append(_values(future.get()))
            except DoesNotExist:
                rows.append(None)
        return rows

    def transact_write(self, changes: Sequence[Change]) -> None:
        with TransactWrite(connection=self._connection) as transaction:
            for change in changes:
                row, condition = self._row(change), self._condition(change)
                if change.kind == "put":
                    transaction.save(row, condition=condition)
                elif change.kind == "delete":
                    transaction.delete(row, condition=condition)
                else:
                    transaction.update(row, actions=self._actions(change), condition=condition)


def _filter(model: Any, name: str, operator: str, value: Any) -> Any:
    attribute = getattr(model, name)
    if operator == "in":
        return attribute.is_in(*value)
    return attribute.contains(value) if operator == "contains" else attribute == value


def _values(row: Any) -> Values:
    return {
        name: value.as_dict() if isinstance(value, MapAttribute) else value
        for name, value in row.attribute_values.items()
    }
