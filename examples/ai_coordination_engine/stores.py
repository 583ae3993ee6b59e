"""Data access as the application's parts see it, whatever they use DynamoDB with: the boto3 client,
the boto3 resource or PynamoDB. Each of these names an ``endpoint_url`` and nothing else.

A store speaks one dialect: the old design's table names, keys and tenant attribute, or the new
one's. None of them retries: a lost answer is the caller's to judge.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Values = dict[str, Any]
"""A row as Python values."""

HASHES = {
    "coordinations": "endpoint_id",
    "tasks": "coordination_uuid",
    "task_schedules": "task_uuid",
    "sessions": "coordination_uuid",
    "session_agents": "session_uuid",
    "session_runs": "session_uuid",
}
RANGES = {
    "coordinations": "coordination_uuid",
    "tasks": "task_uuid",
    "task_schedules": "schedule_uuid",
    "sessions": "session_uuid",
    "session_agents": "session_agent_uuid",
    "session_runs": "run_uuid",
}
"""Key attributes, old design."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant in both designs."""

    old_id: str
    endpoint_id: str
    part_id: str

    @property
    def partition_key(self) -> str:
        return f"{self.endpoint_id}#{self.part_id}"


@dataclass(frozen=True, slots=True)
class Ref:
    """One row, free of dialect."""

    table: str
    tenant: Tenant
    hash: str
    """For a coordination the tenant's old id."""
    range: str

    @property
    def old_key(self) -> dict[str, str]:
        return {HASHES[self.table]: self.hash, RANGES[self.table]: self.range}


@dataclass(frozen=True, slots=True)
class Find:
    """A Query of one partition."""

    table: str
    tenant: Tenant
    hash: str
    index: str = ""
    """A local index; its range attribute is in its name (``user_id-index``)."""
    index_value: str = ""
    filters: tuple[tuple[str, str, Any], ...] = ()
    """(attribute, "=" or "contains" or "in", value)."""
    consistent: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One write: a Put of ``values``, an Update, or a Delete."""

    kind: str
    ref: Ref
    values: Values
    """Put: the row without key and tenant. Update: what to SET."""
    adds: Mapping[str, int] | None = None
    condition: str = ""
    """"", "absent", "present", "tag=...", "free" (no claimed_by) or "positive:NAME"."""
    returns: str = "NONE"


@dataclass(frozen=True, slots=True)
class Design:
    """The words of one dialect."""

    new: bool
    names: Mapping[str, str]
    """Logical -> physical table names."""

    def key(self, ref: Ref) -> dict[str, str]:
        if self.new and ref.table == "coordinations":
            return {
                "partition_key": ref.tenant.partition_key,
                "coordination_uuid": ref.range,
            }
        return ref.old_key

    def hash_of(self, find: Find) -> tuple[str, str]:
        """Name and value of the hash key that a Query asks for."""
        if self.new and find.table == "coordinations":
            return "partition_key", find.tenant.partition_key
        return HASHES[find.table], find.hash

    def scope(self, table: str, tenant: Tenant) -> dict[str, str]:
        """What the application writes into each row of a tenant, its key aside."""
        if self.new:
            return {
                "partition_key": tenant.partition_key,
                "endpoint_id": tenant.endpoint_id,
                "part_id": tenant.part_id,
            }
        return {} if table == "session_agents" else {"endpoint_id": tenant.old_id}

    def tenant_filter(self, table: str, tenant: Tenant) -> tuple[tuple[str, str, Any], ...]:
        """How a list keeps to its tenant."""
        if table == "coordinations":
            return ()
        if self.new:
            return (("partition_key", "=", tenant.partition_key),)
        return () if table == "session_agents" else (("endpoint_id", "=", tenant.old_id),)


class Store(ABC):
    """One SDK at one endpoint in one dialect. Errors are the SDK's own."""

    sdk: str

    def __init__(self, design: Design) -> None:
        self.design = design

    @abstractmethod
    def write(self, change: Change) -> Values | None:
        """A single PutItem, UpdateItem or DeleteItem; what it returned, if asked to."""

    @abstractmethod
    def get(self, ref: Ref, consistent: bool) -> Values | None: ...

    @abstractmethod
    def query(self, find: Find) -> list[Values]: ...

    @abstractmethod
    def count(self, find: Find) -> int: ...

    @abstractmethod
    def scan(self, table: str, limit: int) -> list[Values]:
        """Two pages of ``limit`` rows each, read one after the other."""

    @abstractmethod
    def batch_get(self, refs: Sequence[Ref], consistent: bool) -> list[Values]: ...

    @abstractmethod
    def batch_write(self, changes: Sequence[Change]) -> list[Ref]:
        """Puts and Deletes; the rows that were left unprocessed."""

    @abstractmethod
    def transact_get(self, refs: Sequence[Ref]) -> list[Values | None]: ...

    @abstractmethod
    def transact_write(self, changes: Sequence[Change]) -> None: ...


def whole(design: Design, change: Change) -> Values:
    """The row that a Put writes: key, tenant and values."""
    scope = design.scope(change.ref.table, change.ref.tenant)
    return scope | design.key(change.ref) | change.values
