"""The only place where real adapters are built and the rooms are put together.

Here: the control plane, as commands need it. Each kind of process has a module of its own, so that
a proxy does not load what a consumer is made of.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from dualwrite.adapters import logs
from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.control_table import ControlTable
from dualwrite.adapters.preflight import Preflight
from dualwrite.core.ports import Clock, Records
from dualwrite.core.spec import Migration
from dualwrite.settings import Settings
from dualwrite.wiring.clients import (
    CONTROL_CONNECTIONS_MAX,
    Engines,
    NoControlTable,
    TableClient,
    load,
    require,
)
from verifier.gatekeeper import Gates

__all__ = ["NoControlTable", "Plane", "plane", "preflight"]


@dataclass(frozen=True, slots=True)
class Plane:
    """The control plane as a command sees it: no process of the service is needed."""

    migration: Migration
    dynamo: TableClient
    records: Records
    clock: Clock
    gates: Gates


@asynccontextmanager
async def plane(settings: Settings) -> AsyncIterator[Plane]:
    """The control plane, for one command. Raises SpecError, NoControlTable, EngineError."""
    logs.configure()
    migration = load(settings)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        dynamo = Engines(migration, clock, stack).tables(CONTROL_CONNECTIONS_MAX)
        records = ControlTable(dynamo, migration.control_table, clock=clock)
        await require(records, migration)
        gates = Gates(records, migration, clock)
        yield Plane(migration, dynamo, records, clock, gates)


@asynccontextmanager
async def preflight(settings: Settings) -> AsyncIterator[Preflight]:
    """The look at the real tables. Raises SpecError."""
    logs.configure()
    migration = load(settings)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        dynamo = Engines(migration, clock, stack).tables(CONTROL_CONNECTIONS_MAX)
        yield Preflight(dynamo, migration, clock)
