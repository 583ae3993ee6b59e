"""The application's data access through boto3: its client and its resource."""

from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from examples.ai_coordination_engine.stores import (
    HASHES,
    RANGES,
    Change,
    Design,
    Find,
    Ref,
    Store,
    Values,
    whole,
)

BATCH_TRIES_MAX = 10
"""How often a batch read asks again for what was left unprocessed."""


class ClientStore(Store):
    """boto3's client: typed values on the wire, expressions as text."""

    sdk = "boto3-client"

    def __init__(self, design: Design, endpoint_url: str, timeout_seconds: float) -> None:
        super().__init__(design)
        self._open(
            {
                "endpoint_url": endpoint_url,
                "region_name": "us-east-1",
                "aws_access_key_id": "test",
                "aws_secret_access_key": "test",
                "config": Config(
                    retries={"total_max_attempts": 1},
                    connect_timeout=timeout_seconds,
                    read_timeout=timeout_seconds,
                ),
            }
        )

    def _open(self, options: dict[str, Any]) -> None:
        self._client = boto3.session.Session().client("dynamodb", **options)
        self._to = TypeSerializer().serialize
        self._from = TypeDeserializer().deserialize

    def _call(self, operation: str, table: str, **request: Any) -> Any:
        return getattr(self._client, operation)(TableName=self.design.names[table], **request)

    def _encode(self, values: Mapping[str, Any]) -> Values:
        return {name: self._to(value) for name, value in values.items()}

    def _decode(self, values: Mapping[str, Any] | None) -> Values | None:
        if values is None:
            return None
        return {name: self._from(value) for name, value in values.items()}

    def write(self, change: Change) -> Values | None:
        request = self._request(change)
        if change.returns != "NONE":
            request["ReturnValues"] = change.returns
        reply = self._call(f"{change.kind}_item", change.ref.table, **request)
        return self._decode(reply.get("Attributes"))

    def _request(self, change: Change) -> dict[str, Any]:
        names: dict[str, str] = {}
        values: Values = {}
        request: dict[str, Any] = {}
        if change.kind == "put":
            request["Item"] = self._encode(whole(self.design, change))
        else:
            request["Key"] = self._encode(self.design.key(change.ref))
        if change.kind == "update":
            request["UpdateExpression"] = _update_text(change, names, values)
        if change.condition:
            request["ConditionExpression"] = _condition_text(change, names, values)
        if names:
            request["ExpressionAttributeNames"] = names
        if values:
            request["ExpressionAttributeValues"] = self._encode(values)
        return request

    def get(self, ref: Ref, consistent: bool) -> Values | None:
        key = self._encode(self.design.key(ref))
        reply = self._call("get_item", ref.table, Key=key, ConsistentRead=consistent)
        return self._decode(reply.get("Item"))

    def _query(self, find: Find) -> dict[str, Any]:
        name, value = self.design.hash_of(find)
        names, values = {"#h": name}, {":h": value}
        key = "#h = :h"
        if find.index:
            names["#r"], values[":r"] = find.index.removesuffix("-index"), find.index_value
            key += " AND #r = :r"
        request: dict[str, Any] = {"KeyConditionExpression": key}
        if find.index:
            request["IndexName"] = find.index
        filters = find.filters + self.design.tenant_filter(find.table, find.tenant)
        if filters:
            texts = [_filter_text(i, part, names, values) for i, part in enumerate(filters)]
            request["FilterExpression"] = " AND ".join(texts)
        request["ExpressionAttributeNames"] = names
        request["ExpressionAttributeValues"] = self._encode(values)
        request["ConsistentRead"] = find.consistent
        return request

    def query(self, find: Find) -> list[Values]:
        rows: list[Values] = []
        request = self._query(find)
        while True:
            reply = self._call("query", find.table, **request)
            rows += [self._decode(item) or {} for item in reply["Items"]]
            if "LastEvaluatedKey" not in reply:
                return rows
            request["ExclusiveStartKey"] = reply["LastEvaluatedKey"]

    def count(self, find: Find) -> int:
        reply = self._call("query", find.table, Select="COUNT", **self._query(find))
        total: int = reply["Count"]
        return total

    def scan(self, table: str, limit: int) -> list[Values]:
        reply = self._call("scan", table, Limit=limit)
        rows = [self._decode(item) or {} for item in reply["Items"]]
        if "LastEvaluatedKey" in reply:
            start = reply["LastEvaluatedKey"]
            reply = self._call("scan", table, Limit=limit, ExclusiveStartKey=start)
            rows += [self._decode(item) or {} for item in reply["Items"]]
        return rows

    def batch_get(self, refs: Sequence[Ref], consistent: bool) -> list[Values]:
        wanted: dict[str, Any] = {}
        for ref in refs:
            entry = wanted.setdefault(
                self.design.names[ref.table], {"Keys": [], "ConsistentRead": consistent}
            )
            entry["Keys"].append(self._encode(self.design.key(ref)))
        rows: list[Values] = []
        for _ in range(BATCH_TRIES_MAX):
            reply = self._bulk("batch_get_item", RequestItems=wanted)
            rows += [row for items in reply["Responses"].values() for row in items]
            wanted = reply.get("UnprocessedKeys", {})
            if not wanted:
                return [self._decode(row) or {} for row in rows]
        raise BotoCoreError()

    def _bulk(self, operation: str, **request: Any) -> Any:
        return getattr(self._client, operation)(**request)

    def batch_write(self, changes: Sequence[Change]) -> list[Ref]:
        requests: dict[str, Any] = {}
        for change in changes:
            request = self._request(change)
            kind = "PutRequest" if change.kind == "put" else "DeleteRequest"
            requests.setdefault(self.design.names[change.ref.table], []).append({kind: request})
        reply = self._bulk("batch_write_item", RequestItems=requests)
        left = {
            (name, str(self._keys_of(entry)))
            for name, entries in reply.get("UnprocessedItems", {}).items()
            for entry in entries
        }
        return [
            change.ref
            for change in changes
            if (
                self.design.names[change.ref.table],
                str(sorted(self.design.key(change.ref).values())),
            )
            in left
        ]

    def _keys_of(self, entry: Mapping[str, Any]) -> list[str]:
        item = entry.get("PutRequest", {}).get("Item") or entry["DeleteRequest"]["Key"]
        values = self._decode(item) or {}
        wanted = {*HASHES.values(), *RANGES.values(), "partition_key"}
        return sorted(str(value) for name, value in values.items() if name in wanted)

    def transact_get(self, refs: Sequence[Ref]) -> list[Values | None]:
        actions = [
            {
                "Get": {
                    "TableName": self.design.names[ref.table],
                    "Key": self._encode(self.design.key(ref)),
                }
            }
            for ref in refs
        ]
        reply = self._bulk("transact_get_items", TransactItems=actions)
        return [self._decode(answer.get("Item")) for answer in reply["Responses"]]

    def transact_write(self, changes: Sequence[Change]) -> None:
        actions = [
            {
                change.kind.capitalize(): {
                    "TableName": self.design.names[change.ref.table],
                    **self._request(change),
                }
            }
            for change in changes
        ]
        self._bulk("transact_write_items", TransactItems=actions)


class ResourceStore(ClientStore):
    """boto3's resource: Python values, table objects."""

    sdk = "boto3-resource"

    def _open(self, options: dict[str, Any]) -> None:
        self._resource = boto3.session.Session().resource("dynamodb", **options)
        self._client = self._resource.meta.client
        self._to = self._from = lambda value: value
        self._tables = {
            table: self._resource.Table(name) for table, name in self.design.names.items()
        }

    def _call(self, operation: str, table: str, **request: Any) -> Any:
        return getattr(self._tables[table], operation)(**request)


def _update_text(change: Change, names: dict[str, str], values: Values) -> str:
    sets = []
    for i, (name, value) in enumerate(change.values.items()):
        names[f"#s{i}"], values[f":s{i}"] = name, value
        sets.append(f"#s{i} = :s{i}")
    adds = []
    for i, (name, delta) in enumerate((change.adds or {}).items()):
        names[f"#a{i}"], values[f":a{i}"] = name, delta
        adds.append(f"#a{i} :a{i}")
    parts = [f"SET {', '.join(sets)}"] if sets else []
    parts += [f"ADD {', '.join(adds)}"] if adds else []
    return " ".join(parts)


def _condition_text(change: Change, names: dict[str, str], values: Values) -> str:
    word, _, argument = change.condition.partition(":")
    if word.startswith("tag="):
        names["#c"], values[":c"] = "work_tag", change.condition.removeprefix("tag=")
        return "#c = :c"
    if word == "positive":
        names["#c"], values[":c"] = argument, 0
        return "#c > :c"
    names["#c"] = "claimed_by" if word == "free" else RANGES[change.ref.table]
    exists = f"attribute_exists({RANGES[change.ref.table]}) AND " if word == "free" else ""
    return exists + ("attribute_exists(#c)" if word == "present" else "attribute_not_exists(#c)")


def _filter_text(i: int, part: tuple[str, str, Any], names: dict[str, str], values: Values) -> str:
    name, operator, value = part
    names[f"#f{i}"] = name
    if operator == "in":
        marks = []
        for j, member in enumerate(value):
            values[f":f{i}_{j}"] = member
            marks.append(f":f{i}_{j}")
        return f"#f{i} IN ({', '.join(marks)})"
    values[f":f{i}"] = value
    return f"contains(#f{i}, :f{i})" if operator == "contains" else f"#f{i} = :f{i}"
