"""``dualwrite check``: whether the real tables are what the spec says, and what to do where not.

Reads schemas only; with ``apply`` it creates what lacks and switches streams on. It never reads or
writes an item of a migrated table, and it never changes a schema that already stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dualwrite.adapters.control_table import ControlTable
from dualwrite.core.control_plane import STREAM_VIEW
from dualwrite.core.errors import EngineError, OutcomeUnknown, Refused
from dualwrite.core.items import KeySchema
from dualwrite.core.phases import Phase, Side, TableState
from dualwrite.core.ports import Clock, Dynamo
from dualwrite.core.records import STATE, load
from dualwrite.core.spec import IndexSpec, MigratedTable, Migration, TableSide
from dualwrite.core.spec_checks import warnings
from dualwrite.starting import tried

ACTIVE_SECONDS_MAX = 120.0
_STREAM = {"StreamEnabled": True, "StreamViewType": STREAM_VIEW}
_CONTROL_KEYS = {"pk": ("HASH", "S"), "sk": ("RANGE", "S")}


LET_GO = "old table"
"""The subject of a finding: its migration is done, and somebody has deleted it."""


class Standing(StrEnum):
    """How one thing stands."""

    OK = "ok"
    MISSING = "missing"
    """``apply`` creates it or switches it on."""
    WRONG = "wrong"
    """It is there, and not what the spec says: a person decides."""
    NOTE = "note"
    """It works; somebody should know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked thing of one physical table."""

    table: str
    subject: str
    """table, old table, keys, stream, control table, design, or the name of an index."""
    standing: Standing
    detail: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, and what ``apply`` did."""

    findings: tuple[Finding, ...]
    applied: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether the processes can be started."""
        return all(finding.standing in (Standing.OK, Standing.NOTE) for finding in self.findings)


class Preflight:
    """Looks at every physical table that the migration names."""

    def __init__(self, dynamo: Dynamo, migration: Migration, clock: Clock) -> None:
        self._dynamo = dynamo
        self._migration = migration
        self._control = migration.control_table
        self._records = ControlTable(dynamo, migration.control_table, clock=clock)
        self._clock = clock

    async def check(self) -> Report:
        """Look, and change nothing. Raises EngineError."""
        findings: list[Finding] = []
        control = control_finding(self._control, await self._describe(self._control))
        done = await self._done() if control.standing is Standing.OK else frozenset()
        for table in self._migration.tables:
            for side in table.sides:
                described = await self._describe(table.side(side).name)
                if described is None and side is Side.OLD and table.name in done:
                    findings.append(_let_go(table))
                else:
                    findings += side_findings(table, side, described)
        findings.append(control)
        findings += [
            Finding("the spec", "design", Standing.NOTE, text) for text in warnings(self._migration)
        ]
        return Report(tuple(findings))

    async def apply(self) -> Report:
        """Create and switch on what lacks; nothing at all where something is wrong. Safe to
        repeat. Raises EngineError."""
        before = await self.check()
        beyond_us = [
            finding
            for finding in before.findings
            if finding.standing is Standing.WRONG
            or (finding.standing is Standing.MISSING and not finding.mend)
        ]
        if beyond_us:
            return before
        let_go = {finding.table for finding in before.findings if finding.subject == LET_GO}
        applied: list[str] = []
        for table in self._migration.tables:
            for side in table.sides:
                if table.side(side).name not in let_go:
                    applied += await self._apply_side(table.side(side))
        if await self._describe(self._control) is None:
            await self._records.create()
            applied.append(f"created the control table {self._control}")
        after = await self.check()
        return Report(after.findings, tuple(applied))

    async def _done(self) -> frozenset[str]:
        """Tables whose old side nobody reads or writes any more."""
        held = await tried(self._clock, lambda: self._records.list(STATE))
        states = [load(TableState, record.value) for record in held]
        return frozenset(state.table for state in states if state.phase is Phase.DONE)

    async def _apply_side(self, side: TableSide) -> list[str]:
        described = await self._describe(side.name)
        if described is None:
            await self._change("CreateTable", create_request(side))
            await self._active(side.name)
            return [f"created {side.name} with its stream"]
        if stream_view(described) is None:
            await self._change(
                "UpdateTable", {"TableName": side.name, "StreamSpecification": _STREAM}
            )
            await self._active(side.name)
            return [f"switched the stream of {side.name} on"]
        return []

    async def _change(self, operation: str, request: Mapping[str, Any]) -> None:
        """Ask for a change; somebody else may be making it, or the answer may be lost: what
        stands afterwards is looked at in any case."""
        try:
            await self._dynamo.call(operation, request)
        except OutcomeUnknown:
            return
        except Refused as error:
            if error.code != "ResourceInUseException":
                raise

    async def _active(self, name: str) -> None:
        deadline = self._clock.monotonic_seconds() + ACTIVE_SECONDS_MAX
        while True:
            described = await self._describe(name)
            if described is not None and described.get("TableStatus", "ACTIVE") == "ACTIVE":
                return
            if self._clock.monotonic_seconds() > deadline:
                raise EngineError(f"{name} was not ACTIVE within {ACTIVE_SECONDS_MAX:.0f} s")
            await self._clock.sleep(0.2)

    async def _describe(self, name: str) -> dict[str, Any] | None:
        try:
            answer = await tried(
                self._clock, lambda: self._dynamo.call("DescribeTable", {"TableName": name})
            )
        except Refused as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise
        described: dict[str, Any] = answer["Table"]
        return described


# -- decisions, free of I/O -----------------------------------------------------------------


def side_findings(
    table: MigratedTable, side: Side, described: Mapping[str, Any] | None
) -> list[Finding]:
    """What there is to say of one physical table; ``described`` is DescribeTable's ``Table``."""
    wanted = table.side(side)
    if described is None:
        return [_absent(table, side)]
    findings = [_keys_finding(wanted.name, side, wanted.keys, described)]
    real = _indexes(described)
    for index in wanted.indexes:
        findings.append(_index_finding(wanted.name, side, index, real.get(index.name), described))
    for name in sorted(real.keys() - {index.name for index in wanted.indexes}):
        findings.append(
            Finding(
                wanted.name,
                name,
                Standing.NOTE,
                "the table has this index and the spec does not know it",
                "name it in the spec if an application queries it through the proxy, or if it is "
                "local: what it holds of an item counts against the item's 400 KB",
            )
        )
    findings.append(_stream_finding(wanted.name, described))
    return findings


def control_finding(name: str, described: Mapping[str, Any] | None) -> Finding:
    """How the control table stands."""
    if described is None:
        return Finding(
            name, "control table", Standing.MISSING, "does not exist", "dualwrite check --apply"
        )
    if _real_keys(described["KeySchema"], described) != _CONTROL_KEYS:
        return Finding(
            name,
            "control table",
            Standing.WRONG,
            "a table of this name exists and is no control table",
            "choose another control_table in the spec",
        )
    return Finding(name, "control table", Standing.OK, "exists")


def create_request(side: TableSide) -> dict[str, Any]:
    """CreateTable for a new side: on demand, the spec's indexes, the stream on."""
    types = {
        attribute.name: attribute.type
        for keys in (side.keys, *(index.keys for index in side.indexes))
        for attribute in keys.attributes
    }
    request: dict[str, Any] = {
        "TableName": side.name,
        "KeySchema": _key_schema(side.keys),
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, kind in types.items()
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": _STREAM,
    }
    for field, local in (("LocalSecondaryIndexes", True), ("GlobalSecondaryIndexes", False)):
        indexes = [
            {
                "IndexName": index.name,
                "KeySchema": _key_schema(index.keys),
                "Projection": _projection(index),
            }
            for index in side.indexes
            if index.local is local
        ]
        if indexes:
            request[field] = indexes
    return request


def stream_view(described: Mapping[str, Any]) -> str | None:
    """The stream's view type; None where it is off."""
    stream = described.get("StreamSpecification") or {}
    return stream.get("StreamViewType") if stream.get("StreamEnabled") else None


def _absent(table: MigratedTable, side: Side) -> Finding:
    name = table.side(side).name
    if side is Side.NEW:
        return Finding(name, "table", Standing.MISSING, "does not exist", "dualwrite check --apply")
    return Finding(
        name,
        "table",
        Standing.WRONG,
        "does not exist: there is nothing to migrate from",
        f"correct the old name of table {table.name!r} in the spec, or the endpoint and region",
    )


def _let_go(table: MigratedTable) -> Finding:
    return Finding(
        table.old.name, LET_GO, Standing.NOTE, "is gone, as it may be since its migration is done"
    )


def _keys_finding(
    name: str, side: Side, wanted: KeySchema, described: Mapping[str, Any]
) -> Finding:
    real = _real_keys(described["KeySchema"], described)
    if real == _wanted_keys(wanted):
        return Finding(name, "keys", Standing.OK, _key_text(real))
    return Finding(
        name,
        "keys",
        Standing.WRONG,
        f"the spec says {_key_text(_wanted_keys(wanted))}, the table has {_key_text(real)}",
        "correct the spec"
        if side is Side.OLD
        else "choose another new name in the spec: keys of a table cannot be changed",
    )


def _index_finding(
    name: str,
    side: Side,
    wanted: IndexSpec,
    real: tuple[str, Mapping[str, Any]] | None,
    described: Mapping[str, Any],
) -> Finding:
    mend = (
        "correct the spec"
        if side is Side.OLD
        else "choose another new name in the spec, or take the index out of it"
    )
    if real is None:
        return Finding(
            name, wanted.name, Standing.WRONG, "the spec names this index, the table lacks it", mend
        )
    kind, index = real
    keys = _real_keys(index["KeySchema"], described)
    kind_wanted = "local" if wanted.local else "global"
    holds, holds_wanted = _held(index.get("Projection") or {}), _held(_projection(wanted))
    if keys == _wanted_keys(wanted.keys) and kind == kind_wanted and holds == holds_wanted:
        served = "" if wanted.whole else f"; holds {holds}, so each design reads its own table's"
        return Finding(name, wanted.name, Standing.OK, f"{kind}, {_key_text(keys)}{served}")
    if keys == _wanted_keys(wanted.keys) and kind == kind_wanted:
        what = f"the spec says that it holds {holds_wanted}, in the table it holds {holds}"
        return Finding(name, wanted.name, Standing.WRONG, what, mend)
    return Finding(
        name,
        wanted.name,
        Standing.WRONG,
        f"the spec says {kind_wanted}, {_key_text(_wanted_keys(wanted.keys))}; "
        f"the table has {kind}, {_key_text(keys)}",
        mend,
    )


def _stream_finding(name: str, described: Mapping[str, Any]) -> Finding:
    view = stream_view(described)
    if view == STREAM_VIEW:
        return Finding(name, "stream", Standing.OK, view)
    if view is None:
        return Finding(name, "stream", Standing.MISSING, "is off", "dualwrite check --apply")
    return Finding(
        name,
        "stream",
        Standing.WRONG,
        f"shows {view}, and a key change needs {STREAM_VIEW}",
        "switch it off and run dualwrite check --apply; whoever reads it now must be told",
    )


def _indexes(described: Mapping[str, Any]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    return {
        index["IndexName"]: (kind, index)
        for field, kind in (
            ("LocalSecondaryIndexes", "local"),
            ("GlobalSecondaryIndexes", "global"),
        )
        for index in described.get(field) or ()
    }


def _projection(index: IndexSpec) -> dict[str, Any]:
    """What an index holds, as CreateTable says it."""
    if index.projected is None:
        return {"ProjectionType": "ALL"}
    if not index.projected:
        return {"ProjectionType": "KEYS_ONLY"}
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.projected)}


def _held(projection: Mapping[str, Any]) -> str:
    """The same for people; an engine that tells nothing holds whole items."""
    names = sorted(projection.get("NonKeyAttributes") or ())
    kind: str = projection.get("ProjectionType") or "ALL"
    return f"{kind} {', '.join(names)}" if names else kind


def _real_keys(
    schema: Sequence[Mapping[str, Any]], described: Mapping[str, Any]
) -> dict[str, tuple[str, str]]:
    types = {
        entry["AttributeName"]: entry["AttributeType"]
        for entry in described["AttributeDefinitions"]
    }
    return {
        entry["AttributeName"]: (entry["KeyType"], types.get(entry["AttributeName"], "?"))
        for entry in schema
    }


def _wanted_keys(keys: KeySchema) -> dict[str, tuple[str, str]]:
    return {attribute.name: (kind, attribute.type) for attribute, kind in keys.roles}


def _key_schema(keys: KeySchema) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind} for name, (kind, _) in _wanted_keys(keys).items()
    ]


def _key_text(keys: Mapping[str, tuple[str, str]]) -> str:
    by_kind = sorted(keys.items(), key=lambda entry: entry[1][0])
    return ", ".join(f"{name} {kind} ({role.lower()})" for name, (role, kind) in by_kind)
