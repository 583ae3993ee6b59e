"""Whose acknowledgement is awaited, and who is dead."""

from collections.abc import Iterable

import structlog

from dualwrite.core.errors import EngineError, StateConflict
from dualwrite.core.phases import TableState
from dualwrite.core.ports import Clock, Record, Records
from dualwrite.core.records import MEMBER, Member, Role, load

log = structlog.get_logger()


class Membership:
    """Watches the counters of all members on the watcher's own monotonic clock.

    A member is dead once its counter was seen to stand still for its lease and then for the
    longest life of a request that it may have sent in the lease's last moment.
    """

    def __init__(self, records: Records, clock: Clock, *, request_life_seconds: float) -> None:
        self._records = records
        self._clock = clock
        self._request_life_seconds = request_life_seconds
        self._seen: dict[str, tuple[int, float]] = {}
        """By process: the counter, and since when it is known to stand there."""

    async def awaited(self, states: Iterable[TableState]) -> tuple[str, ...]:
        """The live members that have not acknowledged each of these states, in words.

        Call it after the states were written: who registers later reads them. Raises EngineError.
        """
        wanted = {state.table: state.epoch for state in states}
        lagging = []
        for record, member in await self._living():
            missing = [name for name, epoch in wanted.items() if member.acks.get(name) != epoch]
            if missing:
                lagging.append(f"{member.role} {record.name} ({', '.join(missing)})")
        return tuple(lagging)

    async def _living(self) -> list[tuple[Record, Member]]:
        # Before the request is sent: what it then shows was so at this moment or later.
        asked = self._clock.monotonic_seconds()
        records = await self._records.list(MEMBER)
        answered = self._clock.monotonic_seconds()
        members = [(record, load(Member, record.value)) for record in records]
        members = [(record, member) for record, member in members if member.role != Role.CONTROLLER]
        before, self._seen = self._seen, {}
        living = []
        for record, member in members:
            counter, since = before.get(record.name, (-1, answered))
            if counter != member.counter:
                since = answered
            if asked - since >= member.lease_seconds + self._request_life_seconds:
                await self._bury(record, member)
                continue
            self._seen[record.name] = (member.counter, since)
            living.append((record, member))
        return living

    async def _bury(self, record: Record, member: Member) -> None:
        """Remove a dead member's record; if it wakes, it registers anew before it works."""
        log.warning("a member is dead", process=record.name, role=member.role, pid=member.pid)
        try:
            await self._records.delete(MEMBER, record.name, expected=record.version)
        except (EngineError, StateConflict) as error:
            log.warning("could not remove a dead member", process=record.name, why=str(error))
