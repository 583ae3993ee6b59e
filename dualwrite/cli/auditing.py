"""The audit of what a verb changes by itself, without the controller."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from dualwrite.cli.base import UsageError
from dualwrite.control.audit import INTENDED, MADE
from dualwrite.control.commands import NO_REASON
from dualwrite.core.ports import Clock, Records
from dualwrite.core.records import AUDIT, AuditEntry, dump


def require_reason(verb: str, reason: str) -> None:
    """Raises UsageError where there is none."""
    if not reason.strip():
        raise UsageError(NO_REASON.format(verb=verb))


@asynccontextmanager
async def audited(
    records: Records,
    clock: Clock,
    *,
    verb: str,
    table: str,
    who: str,
    reason: str,
    before: str,
    after: str,
) -> AsyncIterator[None]:
    """Write the change in the body down as intended before it is made, and as done after it; one
    that broke off stays intended. Raises EngineError."""
    at_ms = clock.wall_ms()
    name = f"{at_ms:013d}-{secrets.token_hex(4)}"
    entry = AuditEntry(at_ms, who, reason, verb, table, before, after, 0, INTENDED)
    record = await records.write(AUDIT, name, dump(entry), expected=0)
    yield
    made = replace(entry, outcome=MADE)
    await records.write(AUDIT, name, dump(made), expected=record.version)
