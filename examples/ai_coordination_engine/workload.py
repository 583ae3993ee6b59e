"""One process of the live application: threads of boto3 clients, boto3 resources and PynamoDB.

Run as ``python -m examples.ai_coordination_engine.workload PLAN`` with a JSON plan (``Plan``). It
prints a JSON ready line, then obeys lines on stdin: ``pause``, ``resume`` (each answered by a
line once all threads stand or run); the end of stdin ends it, so it never outlives its parent.
"""

import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from dualwrite.core.phases import Side
from dualwrite.core.spec import Migration
from dualwrite.spec_file import load as load_spec
from examples.ai_coordination_engine.application import Application, Conversation, Estate
from examples.ai_coordination_engine.boto_stores import ClientStore, ResourceStore
from examples.ai_coordination_engine.client import Client, Pace
from examples.ai_coordination_engine.pynamo_store import PynamoStore
from examples.ai_coordination_engine.stores import Design, Ref, Store, Tenant
from verifier.rehearsal.history import ACKED, DELETE, UNKNOWN, Recorder, load

STORES: tuple[Callable[[Design, str, float], Store], ...] = (
    ClientStore,
    ResourceStore,
    PynamoStore,
)
FLUSH_SECONDS = 0.2
TICK_SECONDS = 1.0
"""How long all threads race for the same claim."""


@dataclass(frozen=True)
class Plan:
    """What one process is to do. Rows are (table, tenant, hash, range) texts."""

    worker: str
    spec: str
    endpoints: Sequence[str]
    dialect: str
    seed: int
    writes_per_second: float
    history: str
    sites: Sequence[Sequence[str]]
    """(tenant, coordination_uuid)."""
    counters: Sequence[Sequence[str]]
    """(table, tenant, hash, range, attribute)."""
    claims: Sequence[Sequence[str]]
    owned: Sequence[Sequence[str]] = ()
    """Rows of the data set that this process alone writes."""
    resume: Sequence[str] = ()
    """Histories of the processes before this one, whose rows it takes over."""
    timeout_seconds: float = 6.0

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Plan":
        return cls(**json.loads(path.read_text()))


class Gate:
    """Holds all threads between two operations while it is closed."""

    def __init__(self, threads: int) -> None:
        self._condition = threading.Condition()
        self._open = True
        self._waiting = 0
        self._threads = threads
        self.stopped = False

    def ready(self) -> bool:
        """Wait here while the gate is closed; False once it is time to end."""
        with self._condition:
            self._waiting += 1
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._open or self.stopped)
            self._waiting -= 1
            return not self.stopped

    def pause(self) -> None:
        """Return once every thread stands."""
        with self._condition:
            self._open = False
            self._condition.wait_for(lambda: self._waiting == self._threads)

    def resume(self) -> None:
        with self._condition:
            self._open = True
            self._condition.notify_all()

    def stop(self) -> None:
        with self._condition:
            self.stopped = True
            self._condition.notify_all()


def tenants(migration: Migration) -> Mapping[str, Tenant]:
    """The tenants as the operator's mapping lists them."""
    mapping = migration.by_name["coordinations"].derivation.mapping
    assert mapping is not None
    return {old: Tenant(old, *parts) for old, parts in mapping.forward.items()}


def design(migration: Migration, dialect: str) -> Design:
    side = Side(dialect)
    names = {table.name: table.side(side).name for table in migration.tables}
    return Design(side is Side.NEW, names)


def estates(plan: Plan, known: Mapping[str, Tenant]) -> list[Estate]:
    """Divide the rows of this process among its threads; a session's rows stay together."""
    shared = [(_ref(row, known), row[4]) for row in plan.counters]
    claims = [_ref(row, known) for row in plan.claims]
    sites = [(known[tenant], uuid) for tenant, uuid in plan.sites]
    result = [Estate(sites, counters=shared, claims=claims) for _ in STORES]
    rows, uncertain = _live_rows(plan, known)
    children: dict[str, list[Ref]] = defaultdict(list)
    for ref in rows:
        if ref.table in ("session_runs", "session_agents"):
            children[ref.hash].append(ref)
    turn = 0
    for ref in rows:
        estate = result[turn % len(result)]
        if ref.table == "sessions":
            talk = Conversation(ref.tenant, ref.hash, ref.range)
            mine = children.pop(ref.range, [])
            talk.runs = [child.range for child in mine if child.table == "session_runs"]
            talk.agents = [child.range for child in mine if child.table == "session_agents"]
            talk.certain = ref.range not in uncertain
            estate.conversations.append(talk)
        elif ref.table == "coordinations":
            estate.coordinations.append(ref)
        elif ref.table == "tasks":
            estate.tasks.append(ref)
        else:
            continue
        turn += 1
    return result


def _live_rows(plan: Plan, known: Mapping[str, Tenant]) -> tuple[list[Ref], set[str]]:
    """The rows that this process takes over, of the data set and of the processes before it, as
    their histories left them; and the sessions about which something is unknown."""
    live = {tuple(row): True for row in plan.owned}
    uncertain: set[str] = set()
    for path in plan.resume:
        for entry in load(Path(path)):
            if not entry.writes or entry.field:
                continue
            if entry.outcome == UNKNOWN:
                uncertain.update(entry.key.values())
            elif entry.outcome == ACKED:
                live[entry.table, entry.tenant, *entry.key.values()] = entry.kind != DELETE
    return [_ref(row, known) for row, there in live.items() if there], uncertain


def _ref(row: Sequence[str], known: Mapping[str, Tenant]) -> Ref:
    table, tenant, hash_value, range_value = row[:4]
    return Ref(table, known[tenant], hash_value, range_value)


def run(plan: Plan) -> None:
    """Work until stdin ends."""
    migration = load_spec(Path(plan.spec))
    words = design(migration, plan.dialect)
    gate = Gate(len(STORES))
    with Recorder(Path(plan.history)) as recorder:
        threads = []
        for i, estate in enumerate(estates(plan, tenants(migration))):
            pace = Pace(plan.writes_per_second / len(STORES))
            stores = [STORES[i](words, url, plan.timeout_seconds) for url in plan.endpoints]
            client = Client(f"{plan.worker}.{i}", stores, recorder, pace, first=i)
            random = Random(f"{plan.seed}/{plan.worker}/{i}")
            application = Application(client, estate, random, _tick)
            threads.append(threading.Thread(target=_work, args=(application, gate, client)))
        for thread in threads:
            thread.start()
        print(json.dumps({"ready": True, "role": "workload", "worker": plan.worker}), flush=True)
        flusher = threading.Thread(target=_flush, args=(recorder, gate), daemon=True)
        flusher.start()
        _obey(gate, recorder)
        for thread in threads:
            thread.join()
        flusher.join()


def _work(application: Application, gate: Gate, client: Client) -> None:
    while gate.ready():
        try:
            application.step()
        except Exception as error:
            client.violation(f"the application stumbled: {type(error).__name__}: {error}"[:300])


def _flush(recorder: Recorder, gate: Gate) -> None:
    while not gate.stopped:
        time.sleep(FLUSH_SECONDS)
        recorder.flush()


def _obey(gate: Gate, recorder: Recorder) -> None:
    for line in sys.stdin:
        word = line.strip()
        if word == "pause":
            gate.pause()
            recorder.flush()
        elif word == "resume":
            gate.resume()
        print(json.dumps({"done": word}), flush=True)
    gate.stop()


def _tick() -> int:
    return int(time.monotonic() / TICK_SECONDS)


if __name__ == "__main__":
    run(Plan.read(Path(sys.argv[1])))
