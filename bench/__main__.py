"""One run of all benchmarks, on one worker: a table for people, ``results.json`` for machines."""

import argparse
import json
import os
import platform
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.cases import CASES
from bench.measure import MODES, Plan, measure
from bench.processes import Row

RESULTS = Path(__file__).parent / "results.json"
SECONDS = 2.0
ROUNDS = 2

COLUMNS = {
    "bench": "",
    "per_second": "per second",
    "ratio_to_application": "x boto3",
    "ratio_to_hop": "x nginx",
    "cpu_us_per_request": "CPU µs",
    "p50_added_ms": "p50 added",
    "p99_added_ms": "p99 added",
    "p50_ms": "p50 at 32",
    "p99_ms": "p99 at 32",
    "p50_256_ms": "p50 at 256",
    "p99_256_ms": "p99 at 256",
    "rss_mb": "RSS, MB",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=tuple(CASES))
    parser.add_argument("--modes", nargs="+", choices=tuple(MODES), default=tuple(MODES))
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    console = Console()
    plan = Plan(arguments.cases, arguments.modes, arguments.seconds, arguments.rounds)
    rows = []
    with console.status("measuring") as status:
        for row in measure(plan):
            rows.append(row)
            status.update(f"measured {row['bench']}: {row['per_second']} a second")
    result = {"machine": machine(), "rows": rows}
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    show(console, rows)


def machine() -> Row:
    return {
        "system": platform.platform(terse=True),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def show(console: Console, rows: list[Row]) -> None:
    table = Table(title="one worker, constant-answer backend; milliseconds", pad_edge=False)
    for title in COLUMNS.values():
        table.add_column(title, justify="right" if title else "left")
    for row in rows:
        table.add_row(*(str(row.get(name, "")) for name in COLUMNS))
    console.print(table)


if __name__ == "__main__":
    main()
