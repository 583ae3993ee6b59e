"""What all verbs share: options, exit codes, errors as one plain line, JSON."""

import getpass
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from dualwrite.cli.lines import tell_error
from dualwrite.core.endpoints import EXAMPLE, endpoint_problem
from dualwrite.core.errors import (
    DualwriteError,
    OutcomeUnknown,
    Refused,
    SpecError,
    StateConflict,
    Unanswered,
    Unreachable,
    UnusableFile,
)
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.settings import WORKERS_MAX, SettingsError
from dualwrite.wiring.clients import NoControlTable


class Exit(IntEnum):
    """What the exit code of every verb means."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    """A gate is closed, or nothing proves it open."""
    UNREACHABLE = 4
    """The engine does not answer, or no controller is alive."""


class NoController(DualwriteError):
    """No controller is alive to do what was asked; the message says how to start one."""


class UsageError(DualwriteError):
    """The command line asks for something that does not exist."""


def _engine(url: str | None) -> str | None:
    """The endpoint as it was given. Raises BadParameter where there is none, or it is none."""
    if not url:
        raise typer.BadParameter(f"no engine is named; {EXAMPLE}")
    problem = endpoint_problem(url)
    if problem is not None:
        raise typer.BadParameter(f"{url!r} {problem}")
    return url


SpecOption = Annotated[
    Path,
    typer.Option("--spec", envvar="DUALWRITE_SPEC", help="The migration.toml.", metavar="FILE"),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="DUALWRITE_ENDPOINT",
        help="URL of the DynamoDB engine.",
        callback=_engine,
        metavar="URL",
    ),
]
RegionOption = Annotated[
    str | None, typer.Option("--region", help="AWS Region; else AWS_REGION, else us-east-1.")
]
TableOption = Annotated[
    str | None,
    typer.Option("--table", help="Logical name of one table; default: all.", metavar="NAME"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, as docs/cli.md says.")]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Why; goes to the audit.", metavar="TEXT")
]
WhoOption = Annotated[
    str | None,
    typer.Option("--who", envvar="DUALWRITE_WHO", help="Who asks; default: the user's name."),
]
MetricsPortOption = Annotated[
    int, typer.Option("--metrics-port", help="Port of /metrics on loopback; 0: a free one.")
]
WorkersOption = Annotated[
    int,
    typer.Option(
        "--workers", min=1, max=WORKERS_MAX, help="Processes that share a proxy's port, one a core."
    ),
]
HostOption = Annotated[
    str,
    typer.Option(
        "--host",
        envvar="DUALWRITE_HOST",
        help="The address to listen on; another than loopback needs --keys.",
        metavar="ADDRESS",
    ),
]
KeysOption = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        envvar="DUALWRITE_KEYS",
        help="The key file: who may call, and what each may do.",
        metavar="FILE",
    ),
]
TlsCertOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-cert",
        envvar="DUALWRITE_TLS_CERT",
        help="Certificate chain in PEM: the proxy listens with TLS.",
        metavar="FILE",
    ),
]
TlsKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-key", envvar="DUALWRITE_TLS_KEY", help="Its private key in PEM.", metavar="FILE"
    ),
]
LeaseOption = Annotated[
    float, typer.Option("--lease-seconds", help="How long a silent process is still trusted.")
]
QueueOption = Annotated[
    str,
    typer.Option(
        "--queue",
        envvar="DUALWRITE_QUEUE",
        help="Where consumers share their work: memory, dynamodb or kafka://HOST:PORT/PREFIX.",
        metavar="QUEUE",
    ),
]
FeedOption = Annotated[
    str,
    typer.Option(
        "--feed",
        envvar="DUALWRITE_FEED",
        help="Tell each committed write to kafka://HOST:PORT/PREFIX.",
        metavar="URL",
    ),
]
FeedImagesOption = Annotated[
    bool, typer.Option("--feed-images", help="Let the feed show the items' contents too.")
]
SupervisedOption = Annotated[
    bool, typer.Option("--supervised", hidden=True, help="Stop when standard input ends.")
]

WIDTH_IN_PIPES = 200

out = Console(
    highlight=False,
    markup=False,
    width=None if sys.stdout.isatty() else WIDTH_IN_PIPES,
    soft_wrap=not sys.stdout.isatty(),
)
"""Texts may hold brackets (keys do), so none is read as markup; in a pipe a line stays one."""


def show_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(value, indent=2, default=str))


def whoever(who: str | None) -> str:
    """The name that goes to the audit."""
    if who:
        return who
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def chosen(migration: Migration, table: str | None) -> tuple[MigratedTable, ...]:
    """The named table, or all. Raises UsageError."""
    if table is None:
        return migration.tables
    if table not in migration.by_name:
        names = ", ".join(sorted(migration.by_name))
        raise UsageError(f"the spec has no table {table!r}; it has {names}")
    return (migration.by_name[table],)


@contextmanager
def reported(as_json: bool = False) -> Iterator[None]:
    """Turn an error into one plain line on standard error and an exit code; a spec's problems
    are a line each."""
    try:
        yield
    except DualwriteError as error:
        code, line = explain(error)
        tell_error(line, int(code), as_json=as_json)
        raise typer.Exit(code) from None


def explain(error: DualwriteError) -> tuple[Exit, str]:
    """The exit code and the line for an error."""
    line = " ".join(str(error).split())
    match error:
        case SpecError():
            return Exit.USAGE, str(error)
        case UnusableFile():
            return Exit.USAGE, str(error)
        case SettingsError() | UsageError():
            return Exit.USAGE, line
        case NoController():
            return Exit.UNREACHABLE, line
        case NoControlTable():
            return Exit.FAILED, line
        case Unreachable():
            return Exit.UNREACHABLE, f"the engine cannot be reached: {line}"
        case Unanswered():
            return Exit.UNREACHABLE, f"the engine did not answer: {line}"
        case OutcomeUnknown():
            return Exit.UNREACHABLE, f"the engine did not answer; look before you repeat: {line}"
        case Refused():
            return Exit.FAILED, f"the engine refused: {line}"
        case StateConflict():
            return Exit.FAILED, line
    return Exit.FAILED, line


def gate_line(gate: Mapping[str, Any]) -> str:
    """One gate for people: its name, verdict and reason."""
    see = f" (see: {gate['see']})" if gate.get("see") else ""
    return f"{gate['gate']}: {gate['verdict']}: {gate['reason']}{see}"
