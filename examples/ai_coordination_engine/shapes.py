"""Rows of the six tables in the old design, as the deployed application leaves them.

Everything is DynamoDB JSON as on the wire (binary in base64). ``Maker`` draws what a row leaves
open from its own generator, so equal seeds give equal rows.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Value = dict[str, Any]
Item = dict[str, Value]

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
"""Key attributes by logical table, old design."""

NULL: Value = {"NULL": True}
AGENT_TYPES = ("triage", "task", "decompose", "planning")
EPOCH = datetime(2025, 1, 10, 6, 0, 0, tzinfo=UTC)
LIFE_SECONDS = 320 * 86_400
WORDS = (
    "agent answer batch brand carpet catalogue check cleaner client compare contract cost customs "
    "delivery draft fibre form freight invoice label limit list margin material nylon offer order "
    "origin outline payment price product query quote range reply report request review sample "
    "schedule sheet shipment spec stock supplier table tariff task total translate unit update "
    "vendor volume warehouse weight wool Übersetzung façade naïve 供应商 数量 見積 größe"
)
CORPUS_WORDS = 12_000


def s(text: str) -> Value:
    return {"S": text}


def n(number: int) -> Value:
    return {"N": str(number)}


def m(**members: Value) -> Value:
    return {"M": members}


def key_of(table: str, item: Mapping[str, Value]) -> Item:
    """The old design's key of a row."""
    return {name: item[name] for name in (HASHES[table], RANGES[table])}


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent of a coordination."""

    uuid: str
    type: str


class Maker:
    """Draws rows; one maker is one stream of random choices."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._corpus = " ".join(self.rng.choices(WORDS.split(), k=CORPUS_WORDS))

    # -- values ---------------------------------------------------------------------------

    def uuid(self) -> str:
        """A time-based UUID modulo 10^20: 20 digits, zero-padded."""
        return f"{self.rng.randrange(10**20):020d}"

    def text(self, length: int) -> str:
        """Prose of so many characters; at most some ten thousand different starts."""
        start = self.rng.randrange(len(self._corpus) // 2)
        whole, rest = divmod(length, len(self._corpus) // 2)
        half = self._corpus[: len(self._corpus) // 2]
        return half * whole + self._corpus[start : start + rest]

    def length(self, median: float, sigma: float, most: int) -> int:
        """A log-normal length: most texts are short, a few are very long."""
        return min(most, int(median * self.rng.lognormvariate(0.0, sigma)))

    def moments(self) -> tuple[str, str]:
        """created_at and updated_at."""
        created = EPOCH + timedelta(
            seconds=self.rng.randrange(LIFE_SECONDS), microseconds=self.rng.randrange(1_000_000)
        )
        updated = created + timedelta(seconds=self.rng.expovariate(1 / 3_600))
        return _moment(created), _moment(updated)

    def agents(self, least: int, most: int) -> tuple[Agent, ...]:
        return tuple(
            Agent(
                f"agent-{1_741_800_000 + self.rng.randrange(9_000_000)}-"
                f"{self.rng.getrandbits(32):08x}",
                "triage" if number == 0 else self.rng.choice(AGENT_TYPES[1:]),
            )
            for number in range(self.rng.randint(least, most))
        )

    def _audit(self, by: str) -> Item:
        created, updated = self.moments()
        return {"updated_by": s(by), "created_at": s(created), "updated_at": s(updated)}

    # -- rows -----------------------------------------------------------------------------

    def coordination(self, tenant: str, uuid: str, agents: Sequence[Agent]) -> Item:
        return {
            "endpoint_id": s(tenant),
            "coordination_uuid": s(uuid),
            "coordination_name": s(self.text(18)),
            "coordination_description": s(self.text(self.rng.randint(40, 240))),
            "agents": {
                "L": [
                    m(
                        agent_uuid=s(agent.uuid),
                        agent_name=s(self.text(12)),
                        agent_type=s(agent.type),
                        agent_description=s(self.text(self.rng.randint(20, 280))),
                    )
                    for agent in agents
                ]
            },
            **self._audit("ops@" + tenant[:20]),
        }

    def task(self, tenant: str, coordination: str, uuid: str, agents: Sequence[Agent]) -> Item:
        item: Item = {
            "coordination_uuid": s(coordination),
            "task_uuid": s(uuid),
            "endpoint_id": s(tenant),
            "task_name": s(self.text(14)),
            "initial_task_query": s(self.text(self.rng.randint(30, 400))),
            "subtask_queries": {"L": [self._subtask(agent, None) for agent in agents]},
            "agent_actions": {
                "M": {
                    agent.uuid: self.action([] if number == 0 else [agents[number - 1].uuid])
                    for number, agent in enumerate(agents)
                }
            },
            **self._audit("ops@" + tenant[:20]),
        }
        if self.rng.random() < 0.7:
            item["task_description"] = s(self.text(60))
        return item

    def _subtask(self, agent: Agent, session_agent: str | None) -> Value:
        entry = m(agent_uuid=s(agent.uuid), subtask_query=s(self.text(self.rng.randint(30, 160))))
        if session_agent is not None:
            entry["M"]["session_agent_uuid"] = s(session_agent)
        return entry

    def action(self, predecessors: Sequence[str]) -> Value:
        """One agent's action; with the defaults of the application."""
        waits = self.rng.random() < 0.15
        return m(
            primary_path={"BOOL": self.rng.random() < 0.9},
            user_in_the_loop=s("buyer") if waits else NULL,
            predecessors={"L": [s(uuid) for uuid in predecessors]},
            action_function=m(module_name=s("rfq"), function_name=s("send")) if waits else m(),
        )

    def schedule(self, tenant: str, coordination: str, task: str, uuid: str) -> Item:
        return {
            "task_uuid": s(task),
            "schedule_uuid": s(uuid),
            "coordination_uuid": s(coordination),
            "endpoint_id": s(tenant),
            "schedule": s(f"{self.rng.randrange(60)} {self.rng.randrange(24)} * * MON"),
            "status": s("initial" if self.rng.random() < 0.9 else "paused by hand"),
            **self._audit("ops@" + tenant[:20]),
        }

    def session(
        self,
        tenant: str,
        coordination: str,
        uuid: str,
        *,
        status: str,
        task: str | None = None,
        agents: Sequence[tuple[Agent, str]] = (),
    ) -> Item:
        """``task`` marks a procedure session; ``agents`` are its (agent, session agent) pairs."""
        procedure = task is not None
        item: Item = {
            "coordination_uuid": s(coordination),
            "session_uuid": s(uuid),
            "endpoint_id": s(tenant),
            "input_files": {"L": self._files()},
            "iteration_count": n(self.rng.randrange(4) if procedure else 0),
            "subtask_queries": {"L": [self._subtask(agent, own) for agent, own in agents]},
            "status": s(status),
            **self._audit("procedure_hub" if procedure else "operation_hub"),
        }
        if task is not None:
            item["task_uuid"] = s(task)
            item["task_query"] = s('{"brand": "' + self.text(8) + '"}')
        if self.rng.random() < 0.8:
            item["user_id"] = s(f"u-{self.rng.randrange(3_000)}")
        if not procedure or status == "failed":
            item["logs"] = s(self._logs(uuid, 20_000 if status == "failed" else 3_000))
        return item

    def _files(self) -> list[Value]:
        if self.rng.random() < 0.9:
            return []
        return [m(name=s(self.text(10) + ".pdf"), bytes=n(self.rng.randrange(10**7)))]

    def _logs(self, run: str, most: int) -> str:
        body = self.text(self.length(220, 1.1, most)).replace('"', "'")
        return f'[{{"run_uuid": "{run}", "log": "{body}"}}]'

    def session_agent(
        self,
        session: str,
        coordination: str,
        uuid: str,
        agent: Agent,
        *,
        state: str,
        predecessors: Sequence[str] = (),
    ) -> Item:
        item: Item = {
            "session_uuid": s(session),
            "session_agent_uuid": s(uuid),
            "coordination_uuid": s(coordination),
            "agent_uuid": s(agent.uuid),
            "agent_action": self.action(predecessors),
            "in_degree": n(0 if state != "initial" else len(predecessors)),
            "state": s(state),
            **self._audit("procedure_hub"),
        }
        if state != "initial":
            item["agent_input"] = s(self.text(self.rng.randint(40, 400)))
        if state in ("completed", "failed", "wait_for_user_input"):
            item["agent_output"] = s(self.text(self.length(1_000, 1.4, 60_000)))
            item["notes"] = NULL if state == "completed" else s(self.text(80))
        if state == "completed" and self.rng.random() < 0.1:
            item["user_input"] = s(self.text(40))
        return item

    def run(
        self,
        tenant: str,
        coordination: str,
        session: str,
        *,
        thread: str,
        agent: Agent,
        session_agent: str | None = None,
    ) -> Item:
        item: Item = {
            "session_uuid": s(session),
            "run_uuid": s(self.uuid()),
            "thread_uuid": s(thread),
            "agent_uuid": s(agent.uuid),
            "coordination_uuid": s(coordination),
            "endpoint_id": s(tenant),
            "async_task_uuid": s(self.uuid()),
            **self._audit("operation_hub" if session_agent is None else "procedure_hub"),
        }
        if session_agent is not None:
            item["session_agent_uuid"] = s(session_agent)
        return item


def _moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
