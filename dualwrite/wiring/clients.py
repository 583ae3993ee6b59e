"""Clients of the engines, and what must be there before anything else."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from dualwrite import spec_file
from dualwrite.adapters import credentials
from dualwrite.adapters.credentials import UpstreamCredentials
from dualwrite.adapters.routes import Routes
from dualwrite.adapters.wire import WireClient
from dualwrite.core.errors import DualwriteError, Refused
from dualwrite.core.ports import Clock, Records
from dualwrite.core.records import STATE
from dualwrite.core.spec import Migration, Place
from dualwrite.settings import Settings, is_local

CONTROL_CONNECTIONS_MAX = 4
"""Leases are renewed over connections of their own: a busy data path must not starve them."""

TableClient = WireClient | Routes
"""Reaches the tables of both sides."""


class NoControlTable(DualwriteError):
    """The control table does not exist yet."""


def load(settings: Settings) -> Migration:
    """The spec, with its places. Raises SpecError."""
    return settings.located(spec_file.load(settings.spec))


@dataclass(slots=True)
class Engines:
    """Makes clients that live as long as ``stack``; credentials are kept fresh meanwhile."""

    migration: Migration
    clock: Clock
    stack: AsyncExitStack
    _credentials: dict[tuple[str | None, bool], UpstreamCredentials] = field(default_factory=dict)

    @property
    def dummy_credentials(self) -> bool:
        return any(found.dummy for found in self._credentials.values())

    def home(self, connections_max: int, seconds_max: float = float("inf")) -> WireClient:
        """Of the engine that has the control table."""
        return self._client(self.migration.old_place, connections_max, seconds_max)

    def tables(self, connections_max: int, seconds_max: float = float("inf")) -> TableClient:
        """Of both sides, each with its own patience, but none with more than ``seconds_max``. Sides
        that differ in nothing share one client, and its calls are not looked at."""
        migration = self.migration
        home = self._client(migration.old_place, connections_max, seconds_max)
        if migration.new_place == migration.old_place:
            return home
        there = self._client(migration.new_place, connections_max, seconds_max)
        return Routes(home, there, migration.only_new)

    def _client(
        self, place: Place, connections_max: int, seconds_max: float = float("inf")
    ) -> WireClient:
        assert place.endpoint_url is not None, "the places of a loaded spec are whole"
        assert place.region is not None, "the places of a loaded spec are whole"
        assert place.timeout_seconds is not None, "the places of a loaded spec are whole"
        client = WireClient(
            place.endpoint_url,
            region=place.region,
            credentials=self._fresh(place),
            clock=self.clock,
            connections_max=connections_max,
            timeout_seconds=min(place.timeout_seconds, seconds_max),
        )
        self.stack.push_async_callback(client.close)
        return client

    def _fresh(self, place: Place) -> UpstreamCredentials:
        """The credentials of a place, renewed in time; raises NoCredentials."""
        local = is_local(place.endpoint_url or "")
        found = self._credentials.get((place.profile, local))
        if found is None:
            found = credentials.standard(local, place.profile)
            self._credentials[place.profile, local] = found
            renewal = asyncio.create_task(found.renew_forever(self.clock))
            self.stack.callback(renewal.cancel)
        return found


async def require(records: Records, migration: Migration) -> None:
    """Raises NoControlTable, or EngineError where the engine cannot be asked."""
    try:
        await records.list(STATE)
    except Refused as error:
        if error.code == "ResourceNotFoundException":
            raise NoControlTable(
                f"the control table {migration.control_table} does not exist; "
                "run: dualwrite check --apply"
            ) from None
        raise
