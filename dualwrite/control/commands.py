"""Commands: how an operator asks, and how the controller answers, over COMMAND records."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from dualwrite.control.copying import TOGETHER_MAX, copying_of
from dualwrite.core.backfills import SEGMENTS_MAX
from dualwrite.core.errors import DualwriteError, EngineError, OutcomeUnknown, StateConflict
from dualwrite.core.phases import Phase
from dualwrite.core.ports import Clock, Records
from dualwrite.core.records import COMMAND, Command, GateVerdict, dump, load
from dualwrite.core.spec import Migration
from dualwrite.core.stamps import AHEAD_MS_MAX

ALL = "*"
POLL_SECONDS = 0.2
KEPT_MAX = 20
"""Finished commands that stay readable; the audit keeps what they did for good."""

MOVES = frozenset({"advance", "flip", "rollback"})
SHARES = frozenset({"reads", "shadow"})
BACKFILLS = frozenset({"backfill-start", "backfill-change", "backfill-pause", "backfill-resume"})
VERIFY = "verify"
VERBS = MOVES | SHARES | BACKFILLS | {VERIFY}

ASKED, RUNNING, DONE, REFUSED, FAILED = "asked", "running", "done", "refused", "failed"
FINISHED = frozenset({DONE, REFUSED, FAILED})


class CommandFailed(DualwriteError):
    """The command cannot be carried out; the message says why and what to do."""


GATES_KEPT_MAX = 200
"""Of a refusal, in its record, which has to stay under 400 KB."""


class GatesClosed(DualwriteError):
    """Gates are closed, or nothing proves them open."""

    def __init__(self, closed: tuple[tuple[str, GateVerdict], ...]) -> None:
        super().__init__(f"{len(closed)} gates are not open")
        self.closed = closed
        """(table, verdict) of every gate that is not open."""

    def listed(self) -> tuple[Mapping[str, str], ...]:
        """As ``Command.gates`` holds them, the first ``GATES_KEPT_MAX``."""
        return tuple(
            {
                "table": table,
                "gate": gate.gate,
                "verdict": gate.verdict,
                "reason": gate.reason,
                "see": gate.see,
            }
            for table, gate in self.closed[:GATES_KEPT_MAX]
        )


@dataclass(frozen=True, slots=True)
class Order:
    """A command as it was read; ``id`` rises with the time of asking."""

    id: str
    version: int
    command: Command


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command, as ``Command`` keeps it."""

    status: str = DONE
    said: tuple[str, ...] = ()
    clean: bool | None = None


async def ask(
    records: Records,
    clock: Clock,
    command: Command,
    *,
    timeout_seconds: float,
    new_id: Callable[[], str] = lambda: secrets.token_hex(4),
) -> Command:
    """Hand a command to the controller and wait for its outcome.

    What no controller took in time is withdrawn (failed), so that it is not carried out by
    surprise later; what is still running then is returned as it stands. Raises EngineError.
    """
    asked_ms = clock.wall_ms()
    name = f"{asked_ms:013d}-{new_id()}"
    command = replace(command, asked_ms=asked_ms, wait_seconds=timeout_seconds, status=ASKED)
    written = await records.write(COMMAND, name, dump(command), expected=0)
    deadline = clock.monotonic_seconds() + timeout_seconds
    order = Order(name, written.version, command)
    while order.command.status not in FINISHED:
        if clock.monotonic_seconds() >= deadline:
            if order.command.status == RUNNING:
                return order.command
            order = await _withdraw(records, order)
            continue
        await clock.sleep(POLL_SECONDS)
        order = await _again(records, order)
    return order.command


async def _again(records: Records, order: Order) -> Order:
    try:
        record = await records.read(COMMAND, order.id)
    except EngineError:
        return order
    if record is None:
        raise OutcomeUnknown(f"command {order.id} is gone; see: dualwrite audit")
    return Order(order.id, record.version, load(Command, record.value))


async def _withdraw(records: Records, order: Order) -> Order:
    withdrawn = replace(
        order.command,
        status=FAILED,
        said=("withdrawn: no controller took it in time; is `dualwrite control` running?",),
    )
    try:
        return await written(records, order, withdrawn)
    except StateConflict:
        return await _again(records, order)


async def unfinished(records: Records) -> tuple[Order, ...]:
    """What is to be done, the oldest first; forgets all but the newest finished commands."""
    orders = [
        Order(record.name, record.version, load(Command, record.value))
        for record in await records.list(COMMAND)
    ]
    finished = [order for order in orders if order.command.status in FINISHED]
    for order in finished[:-KEPT_MAX]:
        await records.delete(COMMAND, order.id, expected=None)
    return tuple(order for order in orders if order.command.status not in FINISHED)


async def written(records: Records, order: Order, command: Command) -> Order:
    """Replace a command. Raises StateConflict where its asker withdrew it, EngineError."""
    record = await records.write(COMMAND, order.id, dump(command), expected=order.version)
    return Order(order.id, record.version, command)


def check_awaited(command: Command, now_ms: int) -> None:
    """Raises CommandFailed where nobody waits for it any more: its asker ended before any
    controller took it, and could not withdraw it."""
    waited_ms = now_ms - command.asked_ms
    if command.wait_seconds and waited_ms > command.wait_seconds * 1000 + AHEAD_MS_MAX:
        raise CommandFailed(
            f"asked {waited_ms // 60_000} min ago, and whoever asked waited for "
            f"{command.wait_seconds:g} s: not begun; ask again"
        )


NO_REASON = "{verb} needs a reason; it goes to the audit"


def problem_of(command: Command, migration: Migration) -> str:
    """Why a command can never be carried out; "" where it may be."""
    if command.verb not in VERBS:
        return f"there is no command {command.verb!r}"
    if command.table != ALL and command.table not in migration.by_name:
        return f"the spec has no table {command.table!r}; it has {', '.join(migration.by_name)}"
    if command.verb in MOVES and not command.reason.strip():
        return NO_REASON.format(verb=command.verb)
    return _ARGUMENTS.get(command.verb, _no_argument)(command.argument)


def share_of(argument: str) -> int | None:
    """A percentage from 0 to 100, or None."""
    return (
        int(argument)
        if argument.isascii() and argument.isdigit() and int(argument) <= 100
        else None
    )


def _no_argument(argument: str) -> str:
    return f"no argument is expected, not {argument!r}" if argument else ""


def _phase_problem(argument: str) -> str:
    phases = [phase.value for phase in Phase]
    if argument and argument not in phases:
        return f"there is no phase {argument!r}; there are {', '.join(phases)}"
    return ""


def _share_problem(argument: str) -> str:
    return "" if share_of(argument) is not None else f"{argument!r} is no percentage, 0 to 100"


def _backfill_problem(argument: str) -> str:
    if copying_of(argument) is None:
        return (
            f"{argument!r} does not say segments=1..{SEGMENTS_MAX}, reads=UNITS_PER_SECOND, "
            f"writes=UNITS_PER_SECOND or together=1..{TOGETHER_MAX}"
        )
    return ""


def _change_problem(argument: str) -> str:
    return _backfill_problem(argument) if argument else "what should change? nothing is told"


_ARGUMENTS: Mapping[str, Callable[[str], str]] = {
    "advance": _phase_problem,
    "reads": _share_problem,
    "shadow": _share_problem,
    "backfill-start": _backfill_problem,
    "backfill-change": _change_problem,
}
