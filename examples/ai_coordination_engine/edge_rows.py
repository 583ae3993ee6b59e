"""The rows that break naive migrations, each with a label and what must become of it.

They are the same in every data set, whatever its seed. Their ids begin with 99, so that a person
finds them again.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

from dualwrite.core.derivation import Reason
from dualwrite.core.items import ITEM_BYTES_MAX, size_bytes
from examples.ai_coordination_engine.shapes import NULL, RANGES, Agent, Item, Maker, key_of, m, s

TENANT = "acme-corp-prod"
OTHER_TENANT = "globex-prod"
UNLISTED = "nobody-listed-this-prod"
"""A tenant that tenants.csv lacks."""


class Expected(StrEnum):
    """What becomes of a row, given the policies of the example's spec."""

    DERIVED = "derived"
    """It gets its new attributes, from its own source or from a parent."""
    CARRIED = "carried"
    """It moves as it is, without them, and is reported."""
    LEFT = "left"
    """It stays on the old table only, and is reported."""


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """One labelled row; ``reason`` says why it is not derived."""

    label: str
    table: str
    expected: Expected
    item: Item = field(repr=False)
    reason: Reason | None = None

    @property
    def key(self) -> Item:
        return key_of(self.table, self.item)


@cache
def edge_rows() -> tuple[EdgeRow, ...]:
    """All of them. Treat the items as immutable."""
    return tuple(_Edges().rows())


_AGENT = Agent("agent-1741800395-9b31f6e2", "task")


class _Edges:
    """Builds the rows; counts up their ids."""

    def __init__(self) -> None:
        self._maker = Maker(0)
        self._number = 0

    def _uuid(self) -> str:
        self._number += 1
        return f"99{self._number:018d}"

    def rows(self) -> Iterator[EdgeRow]:
        home = self._coordination(TENANT)
        yield EdgeRow("home of most edge rows", "coordinations", Expected.DERIVED, home)
        uuid = home["coordination_uuid"]["S"]
        yield from self._bad_tenants()
        yield from self._sources(uuid)
        yield from self._ambiguous()
        yield from self._contradiction(uuid)
        yield from self._agents(uuid)
        yield from self._legacy(uuid)
        yield from self._values(uuid)
        yield from self._sizes(uuid)

    # -- makers of one row ------------------------------------------------------------------

    def _coordination(self, tenant: str, uuid: str = "") -> Item:
        return self._maker.coordination(tenant, uuid or self._uuid(), [_AGENT])

    def _task(self, tenant: str, coordination: str) -> Item:
        return self._maker.task(tenant, coordination, self._uuid(), [_AGENT])

    def _schedule(self, tenant: str, coordination: str) -> Item:
        return self._maker.schedule(tenant, coordination, self._uuid(), self._uuid())

    def _session(self, tenant: str, coordination: str) -> Item:
        return self._maker.session(tenant, coordination, self._uuid(), status="active")

    def _agent(self, session: str, coordination: str) -> Item:
        uuid = self._uuid()
        return self._maker.session_agent(session, coordination, uuid, _AGENT, state="completed")

    def _run(self, tenant: str, coordination: str, session: str) -> Item:
        return self._maker.run(tenant, coordination, session, thread=self._uuid(), agent=_AGENT)

    # -- groups -----------------------------------------------------------------------------

    def _bad_tenants(self) -> Iterator[EdgeRow]:
        """Ids that cannot be mapped: a coordination stays, a child is carried."""
        cases = (
            ("a tenant that is not listed", UNLISTED, Reason.UNMAPPED),
            ("the separator inside the id", "acme#prod", Reason.SEPARATOR),
            ("an id that is the separator", "#", Reason.SEPARATOR),
            ("an id of 1,025 bytes", "x" * 1_025, Reason.TOO_LONG),
            ("an id of 2,048 bytes", "y" * 2_048, Reason.TOO_LONG),
        )
        for words, tenant, reason in cases:
            parent = self._coordination(tenant)
            uuid = parent["coordination_uuid"]["S"]
            label = f"coordination: {words}"
            yield EdgeRow(label, "coordinations", Expected.LEFT, parent, reason)
            children = (
                ("tasks", "task", self._task(tenant, uuid)),
                ("session_runs", "run", self._run(tenant, uuid, self._uuid())),
            )
            for table, noun, child in children:
                yield EdgeRow(f"{noun}: {words}", table, Expected.CARRIED, child, reason)
            heir = without(self._session(tenant, uuid), "endpoint_id")
            label = f"session: its coordination has {words}"
            yield EdgeRow(label, "sessions", Expected.CARRIED, heir, reason)

    def _sources(self, home: str) -> Iterator[EdgeRow]:
        """No endpoint_id of their own: the parent answers, or they are orphans."""
        for words, value in (("absent", None), ("NULL", NULL), ("empty", s(""))):
            for table, noun, child in (
                ("tasks", "task", self._task(TENANT, home)),
                ("task_schedules", "schedule", self._schedule(TENANT, home)),
                ("sessions", "session", self._session(TENANT, home)),
                ("session_runs", "run", self._run(TENANT, home, self._uuid())),
            ):
                heir = with_source(child, value)
                label = f"{noun}: endpoint_id {words}, its coordination knows"
                yield EdgeRow(label, table, Expected.DERIVED, heir)
        for table, noun, child in (
            ("tasks", "task", self._task(TENANT, self._uuid())),
            ("task_schedules", "schedule", self._schedule(TENANT, self._uuid())),
            ("sessions", "session", self._session(TENANT, self._uuid())),
            ("session_runs", "run", self._run(TENANT, self._uuid(), self._uuid())),
        ):
            label = f"{noun}: its parents are deleted, its own endpoint_id is left"
            yield EdgeRow(label, table, Expected.DERIVED, child)
            orphan = child | {RANGES[table]: s(self._uuid()), "endpoint_id": NULL}
            label = f"{noun}: an orphan, endpoint_id NULL and parents deleted"
            yield EdgeRow(label, table, Expected.CARRIED, orphan, Reason.ORPHAN)
        wrong = self._task(TENANT, home) | {"endpoint_id": {"N": "17"}}
        label = "task: endpoint_id is a number"
        yield EdgeRow(label, "tasks", Expected.CARRIED, wrong, Reason.WRONG_TYPE)

    def _ambiguous(self) -> Iterator[EdgeRow]:
        """One coordination_uuid under two endpoints proves nothing."""
        uuid = self._uuid()
        for tenant in (TENANT, OTHER_TENANT):
            label = f"coordination: one uuid under two endpoints, here {tenant}"
            row = self._coordination(tenant, uuid)
            yield EdgeRow(label, "coordinations", Expected.DERIVED, row)
        label = "task: own endpoint_id, its coordination's uuid is under two endpoints"
        yield EdgeRow(label, "tasks", Expected.DERIVED, self._task(OTHER_TENANT, uuid))
        heir = without(self._task(TENANT, uuid), "endpoint_id")
        label = "task: no endpoint_id, its coordination's uuid is under two endpoints"
        yield EdgeRow(label, "tasks", Expected.CARRIED, heir, Reason.AMBIGUOUS)
        session = self._uuid()
        run = self._run(OTHER_TENANT, uuid, session)
        label = "run: the only witness of a deleted session"
        yield EdgeRow(label, "session_runs", Expected.DERIVED, run)
        label = "agent: ambiguous coordination, a run of the session knows"
        yield EdgeRow(label, "session_agents", Expected.DERIVED, self._agent(session, uuid))
        label = "agent: ambiguous coordination, nobody else knows"
        agent = self._agent(self._uuid(), uuid)
        yield EdgeRow(label, "session_agents", Expected.CARRIED, agent, Reason.AMBIGUOUS)

    def _contradiction(self, home: str) -> Iterator[EdgeRow]:
        """Lists filter by a child's own endpoint_id, so its own wins."""
        label = "session: another endpoint_id than its coordination has"
        yield EdgeRow(label, "sessions", Expected.DERIVED, self._session(OTHER_TENANT, home))

    def _agents(self, home: str) -> Iterator[EdgeRow]:
        """session_agents have no tenant attribute at all."""
        parent = self._session(OTHER_TENANT, home)
        label = "session: parent of agents, contradicts its coordination"
        yield EdgeRow(label, "sessions", Expected.DERIVED, parent)
        session = parent["session_uuid"]["S"]
        label = "agent: its session is asked before its coordination"
        yield EdgeRow(label, "session_agents", Expected.DERIVED, self._agent(session, home))
        label = "agent: without coordination_uuid, found by the session's uuid"
        heir = without(self._agent(session, home), "coordination_uuid")
        yield EdgeRow(label, "session_agents", Expected.DERIVED, heir)
        label = "agent: session deleted, its coordination knows"
        heir = self._agent(self._uuid(), home)
        yield EdgeRow(label, "session_agents", Expected.DERIVED, heir)
        label = "agent: an orphan, session, coordination and runs deleted"
        orphan = self._agent(self._uuid(), self._uuid())
        yield EdgeRow(label, "session_agents", Expected.CARRIED, orphan, Reason.ORPHAN)
        label = "agent: an orphan without coordination_uuid"
        orphan = without(self._agent(self._uuid(), home), "coordination_uuid", "agent_uuid")
        yield EdgeRow(label, "session_agents", Expected.CARRIED, orphan, Reason.ORPHAN)
        label = "agent: a fragment that an update made of a deleted row"
        whole = self._agent(session, home)
        kept = ("session_uuid", "session_agent_uuid", "in_degree", "updated_by", "updated_at")
        fragment = {name: whole[name] for name in kept}
        yield EdgeRow(label, "session_agents", Expected.DERIVED, fragment)

    def _legacy(self, home: str) -> Iterator[EdgeRow]:
        """What earlier releases left behind."""
        row = self._coordination(TENANT)
        old = {"assistant_id": s("asst_4Yb1"), "additional_instructions": s("Be brief.")}
        yield EdgeRow(
            "coordination: assistant_id, no agents",
            "coordinations", Expected.DERIVED, without(row, "agents") | old,
        )  # fmt: skip
        row = self._coordination(TENANT) | {"agents": m(triage=s(_AGENT.uuid))}
        label = "coordination: agents is a map"
        yield EdgeRow(label, "coordinations", Expected.DERIVED, row)
        row = self._task(TENANT, home) | {"agent_actions": {"L": [m(primary_path=NULL)]}}
        label = "task: agent_actions is a list, no subtask_queries"
        yield EdgeRow(label, "tasks", Expected.DERIVED, without(row, "subtask_queries"))
        row = self._session(TENANT, home) | {"coordination_type": s("operation"), "notes": s("-")}
        label = "session: coordination_type, notes, no input_files"
        yield EdgeRow(label, "sessions", Expected.DERIVED, without(row, "input_files"))
        label = "session: of 2025-01, without endpoint_id"
        row = without(row, "endpoint_id", "input_files") | {"session_uuid": s(self._uuid())}
        yield EdgeRow(label, "sessions", Expected.DERIVED, row)
        session = row["session_uuid"]["S"]
        label = "agent: its session has no endpoint_id, its coordination knows"
        yield EdgeRow(label, "session_agents", Expected.DERIVED, self._agent(session, home))
        known = self._session(TENANT, home)
        yield EdgeRow("session: parent of a legacy agent", "sessions", Expected.DERIVED, known)
        row = without(
            self._agent(known["session_uuid"]["S"], home),
            "coordination_uuid", "agent_uuid", "agent_action",
        )  # fmt: skip
        row |= {
            "thread_id": s("thread_9Qe2"),
            "task_uuid": s(self._uuid()),
            "agent_name": s("Catalogue"),
            "user_in_the_loop": s("buyer"),
            "user_action": NULL,
            "predecessor": s(""),
            "predecessors": {"L": []},
            "action_rules": m(retry={"BOOL": False}),
        }
        yield EdgeRow("agent: of 2025-02", "session_agents", Expected.DERIVED, row)

    def _values(self, home: str) -> Iterator[EdgeRow]:
        """Values that must arrive untouched; one row each, in a table that is copied."""
        deep: dict[str, Any] = s("bottom")
        for _ in range(28):
            deep = m(down=deep)
        binary = base64.b64encode(bytes(range(256))).decode()
        cases: tuple[tuple[str, Item], ...] = (
            ("NULL beside absent", {"logs": NULL, "task_query": NULL, "updated_by": NULL}),
            ("empty strings in plain attributes", {"task_query": s(""), "logs": s("")}),
            (
                "text that is not ASCII, in two normal forms",
                {
                    "task_query": s("Übersetzung é e\u0301 供应商 🧶"),
                    "größe": s("naïve"),
                    "数": s("量"),
                },
            ),
            (
                "numbers of 38 digits, tiny, negative and zero",
                {
                    "digits_38": {"N": "12345678901234567890123456789012345678"},
                    "digits_after": {"N": "0.12345678901234567890123456789012345678"},
                    "tiny": {"N": "1E-130"},
                    "huge": {"N": "9.9999999999999999999999999999999999999E+125"},
                    "below": {"N": "-0.5"},
                    "zero": {"N": "0"},
                },
            ),
            (
                "sets and binary in attributes nobody knows",
                {
                    "tags": {"SS": ["wool", "nylon", "größe"]},
                    "numbers": {"NS": ["1", "2.5", "-3"]},
                    "blobs": {"BS": [binary, base64.b64encode(b"\x00").decode()]},
                    "blob": {"B": binary},
                    "flag": {"BOOL": False},
                },
            ),
            ("deep nesting", {"deep": deep}),
            ("wrong types", {"status": {"N": "3"}, "iteration_count": s("3"), "logs": {"L": []}}),
            (
                "names with dots, spaces, signs and reserved words",
                {"a.b": s("1"), "a b": s("2"), "#a": s("3"), ":a": s("4"), "SELECT": s("5")},
            ),
            (
                "attributes that are named as the derived ones",
                {"part_id": s("an old leftover"), "partition_key": {"N": "1"}},
            ),
        )
        for words, extra in cases:
            row = self._session(TENANT, home) | extra
            yield EdgeRow(f"session: {words}", "sessions", Expected.DERIVED, row)

    def _sizes(self, home: str) -> Iterator[EdgeRow]:
        """Near 400 KB, where the derived attributes may be too much. What a table's local indexes
        hold of a row counts too: sessions have two on both sides, coordinations on new only."""
        near, roomy = ITEM_BYTES_MAX - 60, ITEM_BYTES_MAX - 2_048
        for words, copies, size, fits in (
            ("near 400 KB, the derived attributes push it over", 1, near, False),
            ("near 400 KB with new's two indexes, it still fits", 3, roomy, True),
            ("near 400 KB with new's two indexes, they push it over", 3, near, False),
        ):
            row = padded(self._coordination(TENANT), "coordination_description", size // copies)
            yield _sized(f"coordination: {words}", "coordinations", row, fits=fits)
        for words, copies, size, fits in (
            ("near 400 KB, the derived attributes push it over", 1, near, False),
            ("near 400 KB, and it still fits", 1, roomy, True),
            ("near 400 KB in two indexes, the derived attributes push it over", 3, near, False),
            ("near 400 KB in two indexes, and it still fits", 3, roomy, True),
        ):
            row = without(self._session(TENANT, home), "task_uuid", "user_id")
            if copies > 1:
                row |= {"task_uuid": s(self._uuid()), "user_id": s("u-99")}
            row = padded(row, "logs", size // copies)
            yield _sized(f"session: {words}", "sessions", row, fits=fits)


def _sized(label: str, table: str, row: Item, *, fits: bool) -> EdgeRow:
    if fits:
        return EdgeRow(label, table, Expected.DERIVED, row)
    return EdgeRow(label, table, Expected.LEFT, row, Reason.OVERSIZE)


def without(item: Item, *names: str) -> Item:
    """A copy that lacks some attributes."""
    return {name: value for name, value in item.items() if name not in names}


def with_source(item: Item, value: dict[str, Any] | None) -> Item:
    """A copy with another endpoint_id, or with none."""
    lacking = without(item, "endpoint_id")
    return lacking if value is None else lacking | {"endpoint_id": value}


def padded(item: Item, name: str, bytes_wanted: int) -> Item:
    """A copy of exactly that size, one text made as long as it takes."""
    bare = item | {name: s("")}
    return item | {name: s("z" * (bytes_wanted - size_bytes(bare)))}
