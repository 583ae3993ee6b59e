"""``make bench-consumers``: on one core, against a named engine on the others."""

import argparse
import asyncio
import json
import os
import platform
import secrets
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog
import uvloop
from rich.console import Console
from rich.table import Table

from bench.consumers import cases
from bench.consumers.cases import Figure
from bench.consumers.scene import Scene
from verifier.rehearsal import engine as engines
from verifier.rehearsal.processes import Processes

RESULTS = Path(__file__).parents[1] / "results-consumers.json"
ITEMS = 2_000
MEMORY_TIMES = 4
"""The backfill whose memory is compared has so many times the items."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.consumers", description=__doc__)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--engine", default="ministack", help="ministack, dynamodb-local or a URL")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    told = uvloop.run(_measured(arguments.engine, arguments.items))
    arguments.output.write_text(json.dumps(told, indent=2) + "\n")
    show(told)


async def _measured(engine: str, items: int) -> dict[str, Any]:
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        processes = Processes(Path(folder))
        os.sched_setaffinity(0, cores[1:] or cores)
        found = await engines.start(processes, engine)
        os.sched_setaffinity(0, cores[:1])
        try:
            return await _on(found, items)
        finally:
            await processes.stop()


async def _on(found: engines.Engine, items: int) -> dict[str, Any]:
    def scene() -> Scene:
        return Scene(found.url, f"bench-{secrets.token_hex(3)}")

    figures: list[Figure] = []

    async def take(work: Coroutine[Any, Any, Figure]) -> None:
        figures.append(await work)

    async def blocking(case: Callable[[Scene, int], Figure]) -> None:
        figures.append(await asyncio.to_thread(case, scene(), items))

    await take(cases.clean(scene(), items))
    figures += await cases.dirty(scene(), items)
    await blocking(cases.plans_own_script)
    await blocking(cases.boto_batches)
    await take(cases.backfill(scene(), items, 1))
    await take(cases.backfill(scene(), items, 20))
    small_mb = cases.memory_mb()
    await take(cases.sweep(scene(), items))
    await take(cases.backfill(scene(), MEMORY_TIMES * items, 20))
    return {
        "engine": found.name,
        "machine": {"system": platform.platform(terse=True), "cores": os.cpu_count()},
        "items": items,
        "figures": [
            {
                "name": figure.name,
                "amount": figure.amount,
                "seconds": round(figure.seconds, 2),
                "per_second": round(figure.per_second),
                "per_cpu_second": round(figure.per_cpu_second),
            }
            for figure in figures
        ],
        "memory_mb": round(small_mb),
        "memory_mb_at_times": {str(MEMORY_TIMES): round(cases.memory_mb())},
    }


def show(told: dict[str, Any]) -> None:
    """A table for people."""
    table = Table(title=f"one core, before {told['engine']}", title_justify="left")
    for name in ("figure", "amount", "per second", "per CPU second of ours"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    for row in told["figures"]:
        table.add_row(
            row["name"], str(row["amount"]), str(row["per_second"]), str(row["per_cpu_second"])
        )
    console = Console()
    console.print(table)
    console.print(
        f"memory: {told['memory_mb']} MB, at {MEMORY_TIMES} times the items "
        f"{told['memory_mb_at_times'][str(MEMORY_TIMES)]} MB"
    )


if __name__ == "__main__":
    main()
