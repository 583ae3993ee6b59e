"""The coordination engine's business operations (data model, section 2), as calls on a ``Client``.

It knows nothing of a migration. Rows are owned by one thread each, as a session belongs to one
user's conversation; counters and claims are shared. Upstream's bugs are not copied: ``in_degree``
is an atomic ADD under a condition, and a ready agent is claimed before it runs.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from examples.ai_coordination_engine.client import Answer, Client
from examples.ai_coordination_engine.stores import Change, Find, Ref, Tenant, Values

OWNED_SESSIONS_MAX = 60
OWNED_COORDINATIONS_MAX = 8
OWNED_TASKS_MAX = 12
RUNS_MAX = 12
LOGS_MAX = 6
STATUSES = ("initial", "dispatched", "in_progress", "completed", "failed", "in_transit", "active")
WORDS = [
    *("carpet", "cleaner", "wool", "nylon", "Übersetzer", "供应商"),
    *("quote", "sheet", "supplier", "limit", "eco", "brand"),
]


@dataclass(slots=True)
class Conversation:
    """A session and its children."""

    tenant: Tenant
    coordination_uuid: str
    uuid: str
    user_id: str = ""
    runs: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    turns: int = 0
    certain: bool = True
    """False once a call on it had an unknown outcome: its children cannot be counted on."""

    @property
    def ref(self) -> Ref:
        return Ref("sessions", self.tenant, self.coordination_uuid, self.uuid)

    def run(self, uuid: str) -> Ref:
        return Ref("session_runs", self.tenant, self.uuid, uuid)

    def agent(self, uuid: str) -> Ref:
        return Ref("session_agents", self.tenant, self.uuid, uuid)


@dataclass(slots=True)
class Estate:
    """What one thread owns, and what it shares with all others."""

    sites: Sequence[tuple[Tenant, str]]
    """(tenant, coordination_uuid) of live coordinations, to open sessions under."""
    conversations: list[Conversation] = field(default_factory=list)
    coordinations: list[Ref] = field(default_factory=list)
    tasks: list[Ref] = field(default_factory=list)
    schedules: list[Ref] = field(default_factory=list)
    counters: Sequence[tuple[Ref, str]] = ()
    """(row, attribute) that everybody adds to."""
    claims: Sequence[Ref] = ()
    """Rows to be claimed by one of all."""


class Application:
    """One thread's part of the application's traffic."""

    def __init__(self, client: Client, estate: Estate, random: Random, tick: Callable[[], int]):
        self._client = client
        self._estate = estate
        self._random = random
        self._tick = tick
        """Rises every moment, the same in all threads: so that they claim the same row at once."""
        self._operations: tuple[tuple[Callable[[], None], int], ...] = (
            (self.hub_turn, 30),
            (self.procedure, 7),
            (self.edit_coordination, 9),
            (self.edit_task, 6),
            (self.delete_conversation, 6),
            (self.shared_work, 14),
            (self.view_conversation, 12),
            (self.lists, 9),
            (self.scan, 1),
        )

    def step(self) -> None:
        """One business operation, drawn by weight."""
        operations, weights = zip(*self._operations, strict=True)
        [operation] = self._random.choices(operations, weights)
        operation()

    # -- the operation hub ----------------------------------------------------------------------

    def hub_turn(self) -> None:
        """A question to the triage agent: a session (new or going on), a run, a log entry."""
        talk = self._some_conversation()
        self._client.get(self._coordination_of(talk))
        if talk is None or self._random.random() < 0.3:
            talk = self._open("in_transit")
            if talk is None:
                return
        else:
            row: Values = {"status": "active", "updated_at": self._now()}
            self._note(talk, self._client.update(talk.ref, row, returns="ALL_NEW"))
        self._add_run(talk)
        talk.turns += 1
        logs = [{"run_uuid": uuid, "log": "ok"} for uuid in talk.runs[-LOGS_MAX:]]
        returns = self._random.choice(("NONE", "ALL_OLD", "ALL_NEW"))
        condition = self._random.choice(("", "present"))
        changed = {"logs": json.dumps(logs), "iteration_count": talk.turns}
        self._note(talk, self._client.update(talk.ref, changed, condition, returns))

    def _open(self, status: str, task_uuid: str = "") -> Conversation | None:
        tenant, coordination_uuid = self._random.choice(self._estate.sites)
        user_id = f"u-{self._random.randrange(200):04d}"
        talk = Conversation(tenant, coordination_uuid, self._uuid(), user_id)
        row = self._session_row(status, user_id)
        if task_uuid:
            row["task_uuid"] = task_uuid
        answer = self._client.put(talk.ref, row, self._random.choice(("", "absent")))
        self._note(talk, answer)
        if answer.outcome == "refused":
            return None
        self._estate.conversations.append(talk)
        if len(self._estate.conversations) > OWNED_SESSIONS_MAX:
            self._forget(self._estate.conversations[0])
        return talk

    def _add_run(self, talk: Conversation) -> None:
        uuid = self._uuid()
        answer = self._client.put(talk.run(uuid), self._run_row(talk))
        self._note(talk, answer)
        if answer.outcome != "refused":
            talk.runs.append(uuid)
        if len(talk.runs) > RUNS_MAX:
            gone = talk.runs.pop(0)
            self._note(talk, self._client.delete(talk.run(gone), returns="ALL_OLD"))

    # -- the procedure hub --------------------------------------------------------------------

    def procedure(self) -> None:
        """A planned task: a session, its agents in a transaction, waves of runs, completion."""
        talk = self._open("initial", self._uuid())
        if talk is None:
            return
        agents = [self._uuid() for _ in range(self._random.randint(2, 4))]
        changes = [Change("put", talk.agent(uuid), self._agent_row(talk, i), condition="absent")
                   for i, uuid in enumerate(agents)]  # fmt: skip
        changes.append(Change("update", talk.ref, {"status": "dispatched"}, condition="present"))
        answer = self._client.transact(changes)
        self._note(talk, answer)
        if answer.outcome == "refused":
            return
        talk.agents += agents
        for uuid in agents:
            ready: Values = {"state": "executing", "agent_input": self._text(20)}
            self._note(talk, self._client.update(talk.agent(uuid), ready, "present"))
        runs = [self._uuid() for _ in agents]
        puts = [Change("put", talk.run(uuid), self._run_row(talk)) for uuid in runs]
        self._note(talk, self._client.batch(puts))
        talk.runs += runs
        for uuid in agents:
            done: Values = {"state": "completed", "agent_output": self._text(200), "notes": None}
            self._note(talk, self._client.update(talk.agent(uuid), done, returns="ALL_NEW"))
        status = {"status": "completed", "updated_by": "procedure_hub"}
        self._note(talk, self._client.update(talk.ref, status, returns="ALL_OLD"))

    # -- edits and deletes -----------------------------------------------------------------------

    def edit_coordination(self) -> None:
        """Create, edit (sometimes under a condition that cannot hold) or delete a coordination."""
        owned = self._estate.coordinations
        draw = self._random.random()
        if len(owned) < 2 or (draw < 0.15 and len(owned) < OWNED_COORDINATIONS_MAX):
            tenant, _ = self._random.choice(self._estate.sites)
            ref = Ref("coordinations", tenant, tenant.old_id, self._uuid())
            if self._client.put(ref, self._coordination_row(), "absent").outcome != "refused":
                owned.append(ref)
            return
        ref = self._random.choice(owned)
        if draw < 0.25:
            owned.remove(ref)
            self._client.delete(ref, "present", "ALL_OLD")
        elif draw < 0.4:
            self._client.update(ref, {"coordination_name": "never"}, "tag=of nobody")
        elif draw < 0.55:
            self._client.put(ref, self._coordination_row())
        else:
            returns = self._random.choice(("NONE", "ALL_OLD", "ALL_NEW"))
            changed = {"coordination_description": self._text(30), "updated_at": self._now()}
            self._client.update(ref, changed, self._random.choice(("", "present")), returns)
        self._client.read_own(ref)

    def edit_task(self) -> None:
        """Tasks and their schedules: put, edit, delete; a few in one transaction."""
        tasks = self._estate.tasks
        if len(tasks) < OWNED_TASKS_MAX and self._random.random() < 0.5:
            tenant, coordination_uuid = self._random.choice(self._estate.sites)
            task = Ref("tasks", tenant, coordination_uuid, self._uuid())
            schedule = Ref("task_schedules", tenant, task.range, self._uuid())
            row = {"coordination_uuid": coordination_uuid, "schedule": "0 6 * * MON",
                   "status": "initial"} | self._stamps()  # fmt: skip
            changes = [Change("put", task, self._task_row()), Change("put", schedule, row)]
            if self._client.transact(changes).outcome != "refused":
                tasks.append(task)
                self._estate.schedules.append(schedule)
        elif tasks:
            task = self._random.choice(tasks)
            self._client.update(task, {"task_description": self._text(12)}, "present", "ALL_NEW")
            if self._random.random() < 0.3:
                tasks.remove(task)
                self._client.delete(task, returns="ALL_OLD")
            self._client.read_own(task)
        if self._estate.schedules and self._random.random() < 0.4:
            schedule = self._estate.schedules.pop()
            self._client.update(schedule, {"status": "paused"}, "present")
            self._client.delete(schedule)

    def delete_conversation(self) -> None:
        """Leaves first, as the README promises: runs and agents, then the session."""
        talk = self._some_conversation()
        if talk is None:
            return
        self._forget(talk)
        for refs in ([talk.run(uuid) for uuid in talk.runs[-24:]],
                     [talk.agent(uuid) for uuid in talk.agents[-24:]]):  # fmt: skip
            if refs:
                self._client.batch([Change("delete", ref, {}) for ref in refs])
        self._client.delete(talk.ref, returns="ALL_OLD")
        self._client.read_own(talk.ref)
        if self._random.random() < 0.2:
            self._client.put(talk.ref, self._session_row("initial", talk.user_id or "u-0001"))
            self._client.read_own(talk.ref)

    def _forget(self, talk: Conversation) -> None:
        self._estate.conversations.remove(talk)

    # -- what many write -------------------------------------------------------------------------

    def shared_work(self) -> None:
        """Count on a row that everybody counts on, and race for the ready agent."""
        if self._estate.counters:
            ref, name = self._random.choice(self._estate.counters)
            if name == "in_degree":
                self._client.add(ref, name, -1, f"positive:{name}")
            else:
                self._client.add(ref, name, self._random.choice((1, 1, 2, 5)))
        if self._estate.claims and self._random.random() < 0.5:
            self._client.claim(self._estate.claims[self._tick() % len(self._estate.claims)])

    # -- reads -----------------------------------------------------------------------------------

    def view_conversation(self) -> None:
        """A session with its children, as its page shows it."""
        talk = self._some_conversation()
        if talk is None:
            return
        self._client.read_own(talk.ref)
        runs = [talk.run(uuid) for uuid in talk.runs[-8:]]
        agents = [talk.agent(uuid) for uuid in talk.agents[-8:]]
        children = runs or agents
        if children:
            self._client.read_own_together(children, transaction=self._random.random() < 0.3)
        find = Find("session_runs", talk.tenant, talk.uuid, consistent=True)
        count = self._client.count(find)
        self._compare(talk, "COUNT of session_runs", count, len(talk.runs))
        find = Find("session_agents", talk.tenant, talk.uuid, consistent=True)
        rows = self._client.find(find)
        if self._client.dialect == "old" or not agents:
            found = None if rows is None else len(rows)
            self._compare(talk, "Query of session_agents", found, len(talk.agents))

    def _compare(self, talk: Conversation, what: str, found: int | None, wanted: int) -> None:
        """A consistent list of a partition that only this thread writes must be whole."""
        if talk.certain and found is not None and found != wanted:
            self._client.violation(f"{what} gave {found} rows where {wanted} were written")

    def lists(self) -> None:
        """The lists of the user interface: filters, indexes, counts, eventually consistent."""
        tenant, coordination_uuid = self._random.choice(self._estate.sites)
        word = self._random.choice(WORDS)
        contains = (("coordination_description", "contains", word),)
        statuses = tuple(self._random.sample(STATUSES, 3))
        talk = self._some_conversation()
        user_id = talk.user_id if talk and talk.user_id else "u-0001"
        run_agent = "agent-1741800395-9b31f6e2"
        finds = [
            Find("coordinations", tenant, tenant.old_id, filters=contains),
            Find("sessions", tenant, coordination_uuid, filters=(("status", "in", statuses),)),
            Find("sessions", tenant, coordination_uuid, "user_id-index", user_id),
            Find("tasks", tenant, coordination_uuid),
        ]
        if talk is not None:
            finds.append(
                Find("session_runs", talk.tenant, talk.uuid, "agent_uuid-index", run_agent)
            )
        find = self._random.choice(finds)
        self._client.count(find)
        if self._random.random() < 0.5:
            self._client.find(find)

    def scan(self) -> None:
        """The admin page without a filter."""
        self._client.scan("task_schedules", 20)

    # -- rows --------------------------------------------------------------------------------------

    def _some_conversation(self) -> Conversation | None:
        talks = self._estate.conversations
        return self._random.choice(talks) if talks else None

    def _coordination_of(self, talk: Conversation | None) -> Ref:
        if talk is None:
            tenant, coordination_uuid = self._random.choice(self._estate.sites)
        else:
            tenant, coordination_uuid = talk.tenant, talk.coordination_uuid
        return Ref("coordinations", tenant, tenant.old_id, coordination_uuid)

    def _note(self, talk: Conversation, answer: Answer) -> None:
        talk.certain = talk.certain and answer.acked

    def _uuid(self) -> str:
        return f"{self._random.randrange(10**20):020d}"

    def _now(self) -> str:
        return f"2025-11-24T06:00:{self._random.randrange(60):02d}.{self._tick():06d}+0000"

    def _text(self, words: int) -> str:
        return " ".join(self._random.choices(WORDS, k=words))

    def _stamps(self) -> Values:
        now = self._now()
        return {"updated_by": "operation_hub", "created_at": now, "updated_at": now}

    def _session_row(self, status: str, user_id: str) -> Values:
        return {
            "user_id": user_id,
            "task_query": self._text(8),
            "input_files": [],
            "iteration_count": 0,
            "subtask_queries": [],
            "status": status,
        } | self._stamps()

    def _run_row(self, talk: Conversation) -> Values:
        return {
            "thread_uuid": self._uuid(),
            "agent_uuid": "agent-1741800395-9b31f6e2",
            "coordination_uuid": talk.coordination_uuid,
            "async_task_uuid": self._uuid(),
        } | self._stamps()

    def _agent_row(self, talk: Conversation, position: int) -> Values:
        action = {"primary_path": True, "predecessors": [], "action_function": {}}
        return {
            "coordination_uuid": talk.coordination_uuid,
            "agent_uuid": f"agent-1741800395-{position:08x}",
            "agent_action": action,
            "in_degree": 0 if position == 0 else 1,
            "state": "initial",
        } | self._stamps()

    def _coordination_row(self) -> Values:
        agents = [
            {"agent_uuid": f"agent-174180011{i}-5e0c7ad4", "agent_name": name,
             "agent_type": "task", "agent_description": self._text(6)}
            for i, name in enumerate(("Triage", "Catalogue", "Übersetzer"))
        ]  # fmt: skip
        return {
            "coordination_name": "Supplier RFQ",
            "coordination_description": self._text(20),
            "agents": agents,
        } | self._stamps()

    def _task_row(self) -> Values:
        return {
            "task_name": "rfq_sheet",
            "task_description": "Weekly sheet",
            "initial_task_query": self._text(8),
            "subtask_queries": [],
            "agent_actions": {},
        } | self._stamps()
