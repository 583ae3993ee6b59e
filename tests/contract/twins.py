"""Each call is made twice, at the proxy and at a plain table, and the answers are compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dualwrite.core.items import PAGE
from dualwrite.core.phases import Mode, Phase, Side
from dualwrite.core.spec import Migration, TableSide
from tests.contract.engines import SAME_WORDS
from tests.engines_chosen import EngineName
from tests.proxy_harness import (
    TENANTS,
    Rig,
    a_rig,
    all_items,
    client_for,
    create_table,
    outcome,
)

PHASES = (Phase.MIRROR_OLD, Phase.ATOMIC_OLD, Phase.ATOMIC_NEW, Phase.MIRROR_NEW, Phase.DONE)
LEGACY = frozenset({"AttributeUpdates", "Expected", "ConditionalOperator", "KeyConditions"})
"""Parameters whose errors the embedded engine words in its own way."""
ERROR_NAMES = {"DuplicateItem": "DuplicateItemException"}
"""What DynamoDB Local calls differently from AWS."""
FREE = "free-"
PLAIN = "plain-"


@dataclass(frozen=True)
class Case:
    """Where the tables stand, how the client speaks, and whether its tables are managed at all."""

    phase: Phase
    dialect: Side
    managed: bool = True

    def __str__(self) -> str:
        where = self.phase.value if self.managed else "unmanaged"
        return f"{where}-{self.dialect.value}-dialect"


CASES = [Case(phase, dialect) for phase in PHASES for dialect in Side]
CASES += [Case(Phase.DONE, dialect, managed=False) for dialect in Side]


@contextmanager
def a_twin_rig(
    name: EngineName, engine: str, prefix: str, migration: Migration | None = None
) -> Iterator[Rig]:
    """A rig, and beside each of its tables a plain one to compare with and one that the proxy
    does not manage."""
    database = prefix.replace("-", "")
    boto = client_for(engine, database)
    with a_rig(engine, boto, prefix, database, migration) as made:
        made.engine_name = name
        for table in made.migration.tables:
            for side in {table.old.name: table.old, table.new.name: table.new}.values():
                create_table(boto, side, PLAIN + side.name)
                create_table(boto, side, FREE + side.name)
        yield made


@dataclass
class Twin:
    """One dialect's view: each call is made at the proxy and at a plain table."""

    rig: Rig
    dialect: Side
    phase: Phase
    run: str
    """Keeps the keys of one test apart from all others."""
    managed: bool = True
    """Whether the proxy knows the tables; if not, it passes every byte on."""
    used: set[str] = field(default_factory=set)
    """The tables that the test named: only those are compared and emptied after it."""

    def name(self, table: str) -> str:
        self.used.add(table)
        name = self.rig.tables[table].side(self.dialect).name
        return name if self.managed else FREE + name

    def both(
        self,
        operation: str,
        apart: tuple[str, ...] = (),
        unordered: tuple[str, ...] = (),
        **parameters: Any,
    ) -> dict[str, Any]:
        """Call both, compare all but what stands ``apart``, and return what the client heard; lists
        within ``unordered`` parts may come in any order."""
        mine = outcome(self.rig.proxied, operation, **parameters)
        plain = outcome(self.rig.engine, operation, **self._plain(parameters))
        left, right = comparable(mine), comparable(self._managed(plain))
        if operation != "query" or "IndexName" in parameters:
            left = unmarked(left)
        if "error" in right:
            right["error"] = ERROR_NAMES.get(right["error"], right["error"])
        worded = SAME_WORDS[self.rig.engine_name] and LEGACY.isdisjoint(parameters)
        for name in apart if worded else ("message", *apart):
            left.pop(name, None), right.pop(name, None)
        for side in (left, right):
            side.update({name: in_one_order(side[name]) for name in unordered if name in side})
        assert left == right, operation
        return mine

    def _plain(self, value: Any) -> Any:
        names = {self._name(side): PLAIN + side.name for side in self._sides()}
        if "ClientRequestToken" in value:  # the plain tables are in the same account
            value = value | {"ClientRequestToken": value["ClientRequestToken"][::-1]}
        return replaced(unmarked(value), names)

    def _managed(self, value: Any) -> Any:
        names = {PLAIN + side.name: self._name(side) for side in self._sides()}
        return replaced(value, names)

    def _name(self, side: TableSide) -> str:
        return side.name if self.managed else FREE + side.name

    def _sides(self) -> list[TableSide]:
        return [table.side(self.dialect) for table in self.rig.tables.values()]

    def note(self, number: int = 1, tenant: str = "acme-prod", **more: Any) -> dict[str, Any]:
        return {**self.note_key(number, tenant), **self.derived(tenant), **more}

    def note_key(self, number: int = 1, tenant: str = "acme-prod") -> dict[str, Any]:
        platform, part = TENANTS[tenant]
        note_id = {"S": f"{self.run}-{number}"}
        if self.dialect is Side.OLD:
            return {"endpoint_id": {"S": tenant}, "note_id": note_id}
        return {"partition_key": {"S": f"{platform}#{part}"}, "note_id": note_id}

    def task(self, number: int = 1, tenant: str = "acme-prod", **more: Any) -> dict[str, Any]:
        own = self.derived(tenant)
        if self.dialect is Side.OLD:
            own = {"endpoint_id": {"S": tenant}}
        else:
            own["partition_key"] = {"S": "#".join(TENANTS[tenant])}
        return {**self.task_key(number), **own, **more}

    def task_key(self, number: int = 1) -> dict[str, Any]:
        return {"list_id": {"S": self.run}, "task_id": {"S": f"t{number}"}}

    def sample_key(self, number: str = "1", binary: bytes = b"\x00\xff") -> dict[str, Any]:
        return {"at": {"N": number}, "mark": {"B": binary}}

    def sample(self, **more: Any) -> dict[str, Any]:
        own = {"endpoint_id": {"S": "acme-prod"}} if self.dialect is Side.OLD else {
            **self.derived("acme-prod"), "partition_key": {"S": "#".join(TENANTS["acme-prod"])},
        }  # fmt: skip
        return {**self.sample_key(), **own, **more}

    def derived(self, tenant: str) -> dict[str, Any]:
        platform, part = TENANTS[tenant]
        if self.dialect is Side.OLD:
            return {}
        return {"endpoint_id": {"S": platform}, "part_id": {"S": part}}


def replaced(value: Any, names: dict[str, str]) -> Any:
    """Table names replaced wherever they stand; in statements, where they stand quoted."""
    if isinstance(value, dict):
        return {names.get(key, key): replaced(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner, names) for inner in value]
    if not isinstance(value, str):
        return value
    for name, other in names.items():
        value = other if value == name else value.replace(f'"{name}"', f'"{other}"')
    return value


def unmarked(parameters: dict[str, Any]) -> dict[str, Any]:
    """Page keys as a plain table writes them: without the mark that pins them to a side, which
    those of a scan or an index may have."""
    pages = ("ExclusiveStartKey", "LastEvaluatedKey")
    return {
        name: {k: v for k, v in value.items() if k != PAGE} if name in pages else value
        for name, value in parameters.items()
    }


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what may differ: capacity (hidden attributes have a size), set order, zeros
    at the end of a number, the second spelling of an error's message, which AWS gives and this
    engine does not, attributes without any, which this engine gives and AWS does not, and the
    texts of errors in a batch."""
    shown = {
        key: value for key, value in answer.items() if key not in ("ConsumedCapacity", "Message")
    }
    if shown.get("Attributes") == {}:
        del shown["Attributes"]
    for each in shown.get("Responses", ()) if isinstance(shown.get("Responses"), list) else ():
        each.get("Error", {}).pop("Message", None)
    return ordered(shown)


def ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: sorted(inner) if key in ("SS", "NS") else _short(ordered(inner), key)
            for key, inner in value.items()
        }
    return [ordered(inner) for inner in value] if isinstance(value, list) else value


def _short(value: Any, kind: str) -> Any:
    """A number without the zeros at its end, which DynamoDB Local leaves in a sum and AWS never."""
    if kind != "N" or not isinstance(value, str) or "." not in value or "E" in value:
        return value
    return value.rstrip("0").rstrip(".")


def in_one_order(value: Any) -> Any:
    """Lists sorted by their members' texts: those of a scan or a batch have no order."""
    if isinstance(value, dict):
        return {name: in_one_order(inner) for name, inner in value.items()}
    return sorted(value, key=_text) if isinstance(value, list) else value


def _text(value: Any) -> str:
    return str(sorted(value.items()) if isinstance(value, dict) else value)


@contextmanager
def a_twin(rig: Rig, case: Case, run: str) -> Iterator[Twin]:
    """A twin in one phase; at its end both sides of each table must hold the same."""
    rig.stand(case.phase)
    different = []
    made = Twin(rig, case.dialect, case.phase, run, case.managed)
    try:
        yield made
        if case.phase.mode is not Mode.SINGLE:
            different = [
                d for table in made.used for d in rig.differences(table, case.phase.leader)
            ]
    finally:
        clear(rig, made.used)
    assert different == []
    assert rig.epochs.in_flight == 0


def clear(rig: Rig, tables: set[str]) -> None:
    """Empty the tables, so that one phase's left-overs do not meet the next one's."""
    for name in tables:
        spec = rig.tables[name]
        for side in {spec.old.name: spec.old, spec.new.name: spec.new}.values():
            for physical in (side.name, PLAIN + side.name, FREE + side.name):
                for item in all_items(rig.engine, physical):
                    key = {attribute: item[attribute] for attribute in side.keys.names}
                    rig.engine.delete_item(TableName=physical, Key=key)
