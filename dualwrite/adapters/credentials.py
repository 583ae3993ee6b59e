"""Upstream credentials from botocore's standard chain, renewed before they run out."""

import asyncio
from typing import Any

import botocore.session
import structlog
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from dualwrite.core.errors import DualwriteError
from dualwrite.core.ports import Clock

LOOK_SECONDS = 60.0
"""Botocore renews temporary credentials 15 minutes ahead, whenever somebody looks."""

log = structlog.get_logger()


class NoCredentials(DualwriteError):
    """The standard chain has no credentials for a remote engine."""


class UpstreamCredentials:
    """The credentials of the moment; renewed in a thread, so that no request waits for that."""

    def __init__(self, chain: Any | None) -> None:
        self.dummy = chain is None
        """Whether they are made up, for an engine that does not look at them."""
        self._chain = chain
        self._now: ReadOnlyCredentials = (
            ReadOnlyCredentials("test", "test", None)
            if chain is None
            else chain.get_frozen_credentials()
        )

    def __call__(self) -> ReadOnlyCredentials:
        return self._now

    async def renew_forever(self, clock: Clock) -> None:
        """Look at the chain every minute; what it fails to renew is kept, and logged."""
        while True:
            await clock.sleep(LOOK_SECONDS)
            if self._chain is None:
                continue
            try:
                self._now = await asyncio.to_thread(self._chain.get_frozen_credentials)
            except Exception as error:  # the chain raises whatever its providers raise
                log.warning("credentials_not_renewed", error=type(error).__name__)


def standard(engine_is_local: bool, profile: str | None = None) -> UpstreamCredentials:
    """The standard chain's credentials, those of a ``profile`` of the shared files where one is
    named; an engine on this machine is content with dummies. Raises NoCredentials.
    """
    session = botocore.session.Session(profile=profile)
    try:
        if engine_is_local:
            # Instance metadata is the chain's last resort and takes seconds to not answer.
            session.get_component("credential_provider").remove("iam-role")
        found = UpstreamCredentials(session.get_credentials())
    except (BotoCoreError, ClientError) as error:
        raise NoCredentials(f"AWS credentials: {error}") from None
    if found.dummy and not engine_is_local:
        raise NoCredentials(
            "no AWS credentials were found in the environment, the shared files, a container "
            "or an instance role; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret"
        )
    return found
