"""The ``dualwrite`` command: one verb a file, and only the verb that is asked for is loaded."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

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
    "repairs",
    "audit",
    "rehearse",
)
"""Each is a function in the module of its name."""


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


app = typer.Typer(
    cls=Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback()
def main() -> None:
    """Move a live DynamoDB application from one table design to another."""


if __name__ == "__main__":
    app()
