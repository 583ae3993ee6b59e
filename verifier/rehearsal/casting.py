"""Who writes what: divides the data set's rows among the workload's processes, and adds the few
rows that all of them write."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from dualwrite.core.items import Item
from dualwrite.core.spec import Migration
from verifier.rehearsal.judge import Rows

OWNED_SESSIONS_MAX = 48
"""Sessions of the data set that one process takes over, with all their runs and agents."""
OWNED_CHILDREN_MAX = 20
OWNED_TASKS_MAX = 12
OWNED_COORDINATIONS_MAX = 4
SITES_MAX = 60
CLAIMS = 120
IN_DEGREE_START = 1_000_000

HOT = "hot"
"""The shared rows' keys begin with it."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Rows are (table, tenant's old id, hash, range) texts."""

    sites: tuple[tuple[str, str], ...]
    counters: tuple[tuple[str, ...], ...]
    claims: tuple[tuple[str, ...], ...]
    owned: tuple[tuple[tuple[str, ...], ...], ...]
    """One entry a process."""


def hot_rows(sites: Sequence[tuple[str, str]]) -> list[tuple[str, Item]]:
    """The shared rows, in the old design: counters, and agents and sessions to be claimed."""
    tenant, coordination = sites[0]
    rows: list[tuple[str, Item]] = []
    for number in range(2):
        rows.append(("coordinations", _coordination(sites[number % len(sites)][0], number)))
        rows.append(("sessions", _session(tenant, coordination, f"{HOT}-counter-{number}")))
        rows.append(("session_agents", _agent(coordination, f"{HOT}-counter-{number}")))
    for number in range(CLAIMS // 2):
        rows.append(("sessions", _session(tenant, coordination, f"{HOT}-claim-{number:03d}")))
        rows.append(("session_agents", _agent(coordination, f"{HOT}-claim-{number:03d}")))
    return rows


def sites_of(migration: Migration, rows: Rows, edge: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """(tenant, coordination_uuid) of ordinary coordinations, in the order of keys."""
    mapping = migration.by_name["coordinations"].derivation.mapping
    known = mapping.forward if mapping else {}
    found = []
    uses: dict[str, int] = defaultdict(int)
    for token, item in sorted(rows["coordinations"].items()):
        uses[item["coordination_uuid"]["S"]] += 1
        tenant = item["endpoint_id"].get("S", "")
        if tenant in known and ("coordinations", token) not in edge:
            found.append((tenant, item["coordination_uuid"]["S"]))
    return [site for site in found if uses[site[1]] == 1 and not site[1].startswith(HOT)]


def cast(
    migration: Migration,
    rows: Rows,
    edge: set[tuple[str, str]],
    processes: int,
    random: Random,
) -> Cast:
    """Divide the rows; edge rows and their relations are nobody's."""
    every_site = sites_of(migration, rows, edge)
    tenant_of = {uuid: tenant for tenant, uuid in every_site}
    sites = random.sample(every_site, min(SITES_MAX, len(every_site)))
    owned: list[list[tuple[str, ...]]] = [[] for _ in range(processes)]
    children = _children(rows, edge)
    sessions = [
        item
        for token, item in sorted(rows["sessions"].items())
        if ("sessions", token) not in edge
        and tenant_of.get(item["coordination_uuid"]["S"]) == item.get("endpoint_id", {}).get("S")
        and not item["session_uuid"]["S"].startswith(HOT)
        and len(children[item["session_uuid"]["S"]]) <= OWNED_CHILDREN_MAX
    ]
    wanted = min(OWNED_SESSIONS_MAX * processes, len(sessions) // 2)
    for number, item in enumerate(random.sample(sessions, wanted)):
        coordination, session = item["coordination_uuid"]["S"], item["session_uuid"]["S"]
        tenant = tenant_of[coordination]
        mine = owned[number % processes]
        mine.append(("sessions", tenant, coordination, session))
        mine += [(table, tenant, session, uuid) for table, uuid in children[session]]
    for table, limit in (("tasks", OWNED_TASKS_MAX), ("coordinations", OWNED_COORDINATIONS_MAX)):
        chosen = _ordinary(table, rows, edge, tenant_of)
        picked = random.sample(chosen, min(limit * processes, len(chosen) // 2))
        for number, row in enumerate(picked):
            owned[number % processes].append(row)
    given_away = {row[3] for mine in owned for row in mine if row[0] == "coordinations"}
    sites = [site for site in sites if site[1] not in given_away] or sites
    counters, claims = _shared(rows, tenant_of)
    return Cast(tuple(sites), counters, claims, tuple(tuple(mine) for mine in owned))


def _children(rows: Rows, edge: set[tuple[str, str]]) -> Mapping[str, list[tuple[str, str]]]:
    """Session -> (table, own uuid) of its children; one with an edge row counts as too many."""
    children: dict[str, list[tuple[str, str]]] = defaultdict(list)
    names = {"session_runs": "run_uuid", "session_agents": "session_agent_uuid"}
    for table, name in names.items():
        for token, item in sorted(rows[table].items()):
            entry = [(table, item[name]["S"])]
            if (table, token) in edge:
                entry *= OWNED_CHILDREN_MAX + 1
            children[item["session_uuid"]["S"]] += entry
    return children


def _ordinary(
    table: str, rows: Rows, edge: set[tuple[str, str]], tenant_of: Mapping[str, str]
) -> list[tuple[str, ...]]:
    own = "task_uuid" if table == "tasks" else "coordination_uuid"
    found: list[tuple[str, ...]] = []
    for token, item in sorted(rows[table].items()):
        tenant = item.get("endpoint_id", {}).get("S", "")
        coordination = item["coordination_uuid"]["S"]
        if (table, token) in edge or tenant_of.get(coordination) != tenant:
            continue
        first = coordination if table == "tasks" else tenant
        found.append((table, tenant, first, item[own]["S"]))
    return found


def _shared(
    rows: Rows, tenant_of: Mapping[str, str]
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    counters: list[tuple[str, ...]] = []
    claims: list[tuple[str, ...]] = []
    places = (
        ("coordinations", "endpoint_id", "coordination_uuid", "turns"),
        ("sessions", "coordination_uuid", "session_uuid", "iteration_count"),
        ("session_agents", "session_uuid", "session_agent_uuid", "in_degree"),
    )
    for table, first, second, counter in places:
        for _, item in sorted(rows[table].items()):
            uuid = item[second].get("S", "")
            if not uuid.startswith(HOT):
                continue
            coordination = item["coordination_uuid"]["S"]
            tenant = item.get("endpoint_id", {}).get("S") or tenant_of[coordination]
            row = (table, tenant, item[first]["S"], uuid)
            if uuid.startswith(f"{HOT}-counter"):
                counters.append((*row, counter))
            else:
                claims.append(row)
    claims.sort(key=lambda row: row[3])
    return tuple(counters), tuple(claims)


def _coordination(tenant: str, number: int) -> Item:
    return _texts(
        endpoint_id=tenant,
        coordination_uuid=f"{HOT}-counter-{number}",
        coordination_name="Shared",
        coordination_description="Everybody counts here.",
    ) | {"agents": {"L": []}, "turns": {"N": "0"}}


def _session(tenant: str, coordination: str, uuid: str) -> Item:
    return _texts(
        coordination_uuid=coordination, session_uuid=uuid, endpoint_id=tenant, status="in_progress"
    ) | {"iteration_count": {"N": "0"}}


def _agent(coordination: str, uuid: str) -> Item:
    return _texts(
        session_uuid=uuid,
        session_agent_uuid=uuid,
        coordination_uuid=coordination,
        agent_uuid="agent-1741800395-9b31f6e2",
        state="initial",
    ) | {"in_degree": {"N": str(IN_DEGREE_START)}}


def _texts(**values: str) -> Item:
    stamps = {
        "updated_by": "rehearsal",
        "created_at": "2025-11-24T06:00:01.000000+0000",
        "updated_at": "2025-11-24T06:00:01.000000+0000",
    }
    return {name: {"S": text} for name, text in (stamps | values).items()}
