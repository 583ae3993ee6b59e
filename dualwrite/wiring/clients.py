"""Clients of the engine, and what must be there before anything else."""

import asyncio
from contextlib import AsyncExitStack

from dualwrite.adapters import credentials
from dualwrite.adapters.credentials import UpstreamCredentials
from dualwrite.adapters.wire import WireClient
from dualwrite.core.errors import DualwriteError, Refused
from dualwrite.core.ports import Clock, Records
from dualwrite.core.records import STATE
from dualwrite.core.spec import Migration
from dualwrite.settings import Settings

CONTROL_CONNECTIONS_MAX = 4
"""Leases are renewed over connections of their own: a busy data path must not starve them."""


class NoControlTable(DualwriteError):
    """The control table does not exist yet."""


def upstream(settings: Settings, clock: Clock, stack: AsyncExitStack) -> UpstreamCredentials:
    """The upstream credentials, kept fresh as long as ``stack`` lives."""
    upstream = credentials.standard(settings.engine_is_local)
    renewal = asyncio.create_task(upstream.renew_forever(clock))
    stack.callback(renewal.cancel)
    return upstream


def client(
    settings: Settings,
    upstream: UpstreamCredentials,
    clock: Clock,
    stack: AsyncExitStack,
    connections_max: int,
    timeout_seconds: float | None = None,
) -> WireClient:
    """A client of the engine that lives as long as ``stack``."""
    client = WireClient(
        settings.endpoint_url,
        region=settings.region,
        credentials=upstream,
        clock=clock,
        connections_max=connections_max,
        timeout_seconds=timeout_seconds or settings.upstream_timeout_seconds,
    )
    stack.push_async_callback(client.close)
    return client


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
