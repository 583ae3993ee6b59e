"""What a rehearsal can be asked for, and what it is given by the command that starts it."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from dualwrite.core.ports import Clock, Dynamo, Records
from dualwrite.core.records import Command
from dualwrite.core.spec import Migration
from verifier.rehearsal.faults import STRIKES_DEFAULT

ITEMS_DEFAULT = 20_000
RATE_DEFAULT = 80.0
"""Writes a second; what two busy cores hold with some margin, engine and clients included."""
DWELL_DEFAULT = 2.0
STALL_SECONDS_DEFAULT = 150.0


@dataclass(frozen=True, slots=True)
class Options:
    """One rehearsal."""

    report: Path
    seed: int = 1
    items: int = ITEMS_DEFAULT
    rate: float = RATE_DEFAULT
    engine: str = "ministack"
    queue: str = "memory"
    """As ``--queue``; "kafka" alone: a broker of the rehearsal's own."""
    strikes: int = STRIKES_DEFAULT
    """How often a process is killed or frozen."""
    dwell_seconds: float = DWELL_DEFAULT
    """How long the workload goes on in each step after its conditions hold."""
    stall_seconds_max: float = STALL_SECONDS_DEFAULT
    """How long a step may wait while nothing it waits for comes nearer."""
    workers: int = 4
    """Workload processes; half of them are restarted in the new dialect."""


@dataclass(frozen=True, slots=True)
class World:
    """The control plane and the engine itself, past any proxy."""

    migration: Migration
    dynamo: Dynamo
    records: Records
    clock: Clock


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the rehearsal cannot build itself."""

    spec: Path
    program: str
    """The installed ``dualwrite``; its verbs start the real processes."""
    connect: Callable[[str], AbstractAsyncContextManager[World]]
    """By the engine's URL, once its tables are prepared."""
    ask: Callable[[World, Command, float], Awaitable[Command]]
    """Hand a command to the controller, as an operator's verb does; with a time-out in seconds."""
