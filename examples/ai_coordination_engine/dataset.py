"""A data set as a deployment of the engine would hold it: relations, sizes, states, edge rows.

Deterministic: the same seed and size give the same rows. 50 tenants and their coordinations follow
Zipf's law, and so do the sessions of a coordination; two thirds of the sessions are conversations
with runs, one third are procedures with agents and runs.
"""

import base64
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from dualwrite.core.spec import Migration
from examples.ai_coordination_engine.edge_rows import EdgeRow, edge_rows
from examples.ai_coordination_engine.shapes import Agent, Item, Maker

ITEMS = 20_000
COORDINATIONS_MAX = 40
"""The largest tenant's coordinations, in a data set of the default size or more."""
TENANTS_MIN = 5
"""A small data set has fewer tenants, so that they have sessions too."""
SESSIONS_MAX = 5_000
"""Sessions of one coordination."""
BATCH_ITEMS_MAX = 25
BATCH_TRIES_MAX = 12

_HUB = (("in_transit", 70), ("active", 20), ("failed", 7), ("timeout", 3))
_PROCEDURE = (
    ("completed", 70), ("failed", 10), ("in_progress", 12), ("dispatched", 5), ("initial", 3),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Loaded:
    """What ``load`` wrote."""

    counts: Mapping[str, int]
    """Rows by logical table, edge rows included."""
    edge_rows: tuple[EdgeRow, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Coordination:
    tenant: str
    uuid: str
    agents: tuple[Agent, ...]
    tasks: tuple[str, ...]


def tenants(migration: Migration) -> tuple[str, ...]:
    """The old ids of all mapped tenants, largest tenant first."""
    mapping = migration.by_name["coordinations"].derivation.mapping
    assert mapping is not None, "the example maps its tenants"
    return tuple(mapping.forward)


def rows(migration: Migration, seed: int = 1, items: int = ITEMS) -> Iterator[tuple[str, Item]]:
    """(logical table, item) pairs in the old design, edge rows first; ``items`` of them, and the
    rest of the session that is the last."""
    count = 0
    for edge in edge_rows():
        count += 1
        yield edge.table, edge.item
    maker = Maker(seed)
    coordinations = []
    largest = max(1, min(COORDINATIONS_MAX, items // 500))
    busy = tenants(migration)[: max(TENANTS_MIN, items // 40)]
    for rank, tenant in enumerate(busy, start=1):
        for _ in range(max(1, round(largest / rank**0.9))):
            made = _coordination(maker, tenant)
            count += len(made.rows)
            coordinations.append(made.coordination)
            yield from made.rows
    for coordination in _picked(maker, coordinations):
        if count >= items:
            return
        session = _session(maker, coordination)
        count += len(session)
        yield from session


@dataclass(frozen=True, slots=True)
class _Made:
    coordination: _Coordination
    rows: tuple[tuple[str, Item], ...]


def _coordination(maker: Maker, tenant: str) -> _Made:
    """A coordination, its tasks and their schedules."""
    uuid, agents = maker.uuid(), maker.agents(3, 12)
    made = [("coordinations", maker.coordination(tenant, uuid, agents))]
    tasks = tuple(maker.uuid() for _ in range(maker.rng.choice((0, 0, 1, 1, 2, 2, 3, 4, 6, 10))))
    for task in tasks:
        chosen = maker.rng.sample(agents, maker.rng.randint(2, min(8, len(agents))))
        made.append(("tasks", maker.task(tenant, uuid, task, chosen)))
        made += [
            ("task_schedules", maker.schedule(tenant, uuid, task, maker.uuid()))
            for _ in range(maker.rng.choice((0, 0, 1, 1, 2)))
        ]
    return _Made(_Coordination(tenant, uuid, agents, tasks), tuple(made))


def _picked(maker: Maker, coordinations: Sequence[_Coordination]) -> Iterator[_Coordination]:
    """Whose session comes next: Zipf over the coordinations, at most SESSIONS_MAX each."""
    order = list(coordinations)
    maker.rng.shuffle(order)
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(order) + 1)))
    given: Counter[str] = Counter()
    for _ in range(len(order) * SESSIONS_MAX):
        [coordination] = maker.rng.choices(order, cum_weights=weights)
        if given[coordination.uuid] < SESSIONS_MAX:
            given[coordination.uuid] += 1
            yield coordination


def _session(maker: Maker, coordination: _Coordination) -> list[tuple[str, Item]]:
    if coordination.tasks and maker.rng.random() < 0.4:
        return _procedure(maker, coordination)
    session, thread = maker.uuid(), maker.uuid()
    status = _weighted(maker, _HUB)
    made = [
        (
            "sessions",
            maker.session(coordination.tenant, coordination.uuid, session, status=status),
        )
    ]
    for _ in range(min(30, 1 + int(maker.rng.expovariate(1 / 5)))):
        run = maker.run(
            coordination.tenant,
            coordination.uuid,
            session,
            thread=thread,
            agent=maker.rng.choice(coordination.agents),
        )
        made.append(("session_runs", run))
    return made


def _procedure(maker: Maker, coordination: _Coordination) -> list[tuple[str, Item]]:
    """A session that works through a task: agents in a chain, a run for each that has started."""
    session = maker.uuid()
    status = _weighted(maker, _PROCEDURE)
    count = maker.rng.randint(2, min(8, len(coordination.agents)))
    chain = [(agent, maker.uuid()) for agent in maker.rng.sample(coordination.agents, count)]
    made = [
        (
            "sessions",
            maker.session(
                coordination.tenant,
                coordination.uuid,
                session,
                status=status,
                task=maker.rng.choice(coordination.tasks),
                agents=chain,
            ),
        )
    ]
    states = _states(maker, status, count)
    for number, ((agent, own), state) in enumerate(zip(chain, states, strict=True)):
        before = [chain[number - 1][0].uuid] if number else []
        made.append(
            (
                "session_agents",
                maker.session_agent(
                    session, coordination.uuid, own, agent, state=state, predecessors=before
                ),
            )
        )
        if state != "initial":
            run = maker.run(
                coordination.tenant,
                coordination.uuid,
                session,
                thread=maker.uuid(),
                agent=agent,
                session_agent=own,
            )
            made.append(("session_runs", run))
    return made


def _states(maker: Maker, status: str, count: int) -> list[str]:
    """States of a chain of agents that agree with the session's status."""
    if status == "completed":
        return ["completed"] * count
    if status in ("initial", "dispatched"):
        return ["initial"] * count
    done = maker.rng.randrange(count)
    here = "failed"
    if status == "in_progress":
        here = maker.rng.choice(("executing", "wait_for_user_input", "pending"))
    return ["completed"] * done + [here] + ["initial"] * (count - done - 1)


def _weighted(maker: Maker, choices: Sequence[tuple[str, int]]) -> str:
    [chosen] = maker.rng.choices([word for word, _ in choices], [part for _, part in choices])
    return chosen


# -- loading --------------------------------------------------------------------------------


def load(
    client: Any, migration: Migration, seed: int = 1, items: int = ITEMS, *, threads: int = 8
) -> Loaded:
    """Write the data set into the old tables with a boto3 client, several batches at a time.

    The tables must exist. Raises what the client raises, or RuntimeError where an engine leaves
    items unprocessed again and again.
    """
    begun = time.monotonic()
    counts: Counter[str] = Counter()
    full: dict[str, list[Item]] = {}
    pending: set[Future[None]] = set()
    with ThreadPoolExecutor(threads) as pool:

        def send(table: str) -> None:
            nonlocal pending
            while len(pending) >= 2 * threads:
                pending = _settled(pending, wait(pending, return_when=FIRST_COMPLETED).done)
            name = migration.by_name[table].old.name
            pending.add(pool.submit(_write_batch, client, name, full.pop(table)))

        for table, item in rows(migration, seed, items):
            counts[table] += 1
            full.setdefault(table, []).append(item)
            if len(full[table]) == BATCH_ITEMS_MAX:
                send(table)
        for table in list(full):
            send(table)
        _settled(pending, wait(pending).done)
    return Loaded(dict(counts), edge_rows(), time.monotonic() - begun)


def _settled(pending: set[Future[None]], done: set[Future[None]]) -> set[Future[None]]:
    for future in done:
        future.result()
    return pending - done


def _write_batch(client: Any, name: str, items: Sequence[Item]) -> None:
    waiting = {name: [{"PutRequest": {"Item": for_boto(item)}} for item in items]}
    for attempt in range(BATCH_TRIES_MAX):
        answer = client.batch_write_item(RequestItems=waiting)
        waiting = answer.get("UnprocessedItems") or {}
        if not waiting:
            return
        time.sleep(min(2.0, 0.02 * 2**attempt))
    raise RuntimeError(f"{name}: the engine left items unprocessed {BATCH_TRIES_MAX} times")


def for_boto(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as boto3's client takes it: binary as bytes instead of base64."""
    return {name: _boto_value(value) for name, value in item.items()}


def _boto_value(value: Mapping[str, Any]) -> dict[str, Any]:
    [(kind, content)] = value.items()
    match kind:
        case "B":
            return {"B": base64.b64decode(content)}
        case "BS":
            return {"BS": [base64.b64decode(member) for member in content]}
        case "M":
            return {"M": for_boto(content)}
        case "L":
            return {"L": [_boto_value(member) for member in content]}
        case _:
            return dict(value)
