"""The ``dualwrite`` command: one verb a file, and only the verb that is asked for is loaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from dualwrite.cli.lines import tell_error

VERBS = (
    "check",
    "up",
    "proxy",
    "consume",
    "control",
    "status",
    "plan",
    "advance",
    "backfill",
    "verify",
    "reads",
    "shadow",
    "flip",
    "rollback",
    "accept",
    "clean",
    "repairs",
    "audit",
    "rehearse",
)
"""Each is a function in the module of its name."""
_AS_JSON = "dualwrite.as_json"


class Verbs(TyperGroup):
    """A worker keeps its memory and a command its time: neither loads what others are made of."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        verb = getattr(import_module(f"dualwrite.cli.{cmd_name}"), cmd_name)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(cmd_name)(verb)
        return get_command(alone)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_AS_JSON] = "--json" in args
        if not args:
            return super().parse_args(ctx, args)  # that shows the help
        with _told(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _told(ctx):
            return super().invoke(ctx)


@contextmanager
def _told(ctx: Any) -> Iterator[None]:
    """A wrong command line is told like every other error."""
    try:
        yield
    except TyperException as error:
        where = getattr(error, "ctx", None) or ctx
        text = " ".join(error.format_message().split()).rstrip(".")
        line = f"{text}; see: {where.command_path} --help"
        tell_error(line, error.exit_code, as_json=ctx.meta[_AS_JSON])
        raise typer.Exit(error.exit_code) from None


def _show_version(asked: bool) -> None:
    if asked:
        print(f"dualwrite {version('dualwrite')}")
        raise typer.Exit


app = typer.Typer(
    cls=Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback()
def main(
    asked: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Move a live DynamoDB application from one table design to another."""


if __name__ == "__main__":
    app()
