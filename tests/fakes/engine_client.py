"""The real wire client on a test's engine. No fake, but what tests use in the place of wiring."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from botocore.credentials import ReadOnlyCredentials

from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.wire import WireClient


@asynccontextmanager
async def engine_client(endpoint_url: str) -> AsyncIterator[WireClient]:
    """A client that is closed in the end."""
    client = WireClient(
        endpoint_url,
        region="us-east-1",
        credentials=lambda: ReadOnlyCredentials("test", "test", None),
        clock=SystemClock(),
    )
    try:
        yield client
    finally:
        await client.close()
