"""The ``dualwrite`` command: one verb a file."""

import typer

from dualwrite.cli import (
    advance,
    audit,
    backfill,
    check,
    consume,
    control,
    flip,
    plan,
    proxy,
    reads,
    rehearse,
    repairs,
    rollback,
    shadow,
    status,
    up,
    verify,
)

app = typer.Typer(
    name="dualwrite",
    help="Move a live DynamoDB application from one table design to another.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

VERBS = {
    "check": check.check,
    "up": up.up,
    "proxy": proxy.proxy,
    "consume": consume.consume,
    "control": control.control,
    "status": status.status,
    "plan": plan.plan,
    "advance": advance.advance,
    "backfill": backfill.backfill,
    "verify": verify.verify,
    "reads": reads.reads,
    "shadow": shadow.shadow,
    "flip": flip.flip,
    "rollback": rollback.rollback,
    "repairs": repairs.repairs,
    "audit": audit.audit,
    "rehearse": rehearse.rehearse,
}

for _name, _verb in VERBS.items():
    app.command(_name)(_verb)

if __name__ == "__main__":
    app()
