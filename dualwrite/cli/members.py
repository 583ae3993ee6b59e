"""Which processes are alive: whose counter moves while we look. No two clocks are compared."""

from collections.abc import Mapping
from typing import Any

from dualwrite.cli.base import NoController
from dualwrite.core.ports import Clock, Records
from dualwrite.core.records import MEMBER, Role

POLL_SECONDS = 0.2
LOOK_SECONDS_MAX = 30.0


async def watched(
    records: Records, clock: Clock, role: Role | None = None
) -> list[tuple[str, Mapping[str, Any], bool]]:
    """(process, member, alive) of all members, or of one role's.

    Ends as soon as every counter has moved, or a lease's time is over. Raises EngineError.
    """
    start = clock.monotonic_seconds()
    first: dict[str, int] = {}
    alive: set[str] = set()
    while True:
        members = {
            record.name: record.value
            for record in await records.list(MEMBER)
            if role is None or record.value["role"] == role.value
        }
        for name, member in members.items():
            if member["counter"] != first.setdefault(name, member["counter"]):
                alive.add(name)
        silent = [member for name, member in members.items() if name not in alive]
        lease = max((float(member["lease_seconds"]) for member in silent), default=0.0)
        looked = clock.monotonic_seconds() - start
        if not silent or looked >= min(lease, LOOK_SECONDS_MAX):
            return [(name, member, name in alive) for name, member in members.items()]
        await clock.sleep(POLL_SECONDS)


async def require_controller(records: Records, clock: Clock) -> None:
    """Raises NoController unless one is alive; EngineError."""
    found = await watched(records, clock, Role.CONTROLLER)
    if any(alive for _, _, alive in found):
        return
    what = "the registered controller is silent" if found else "no controller is registered"
    raise NoController(f"{what}; start one: dualwrite control, or dualwrite up")
