"""``python -m tests.simulation 1000..1049``: run seeds and print what they reached."""

import argparse
import sys
import time

from tests.simulation.run import Report, quick, run_many, shrunk, simulate
from tests.simulation.world.plan import plan_of
from tests.simulation.world.world import Outcome

FAILED_MAX = 5
"""Failing seeds that are cut down for the reader."""
TOLD_EVERY_RUNS = 500
"""How often a long run says how far it is."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("seeds", help="one seed, or the first and last one: 1000..1049")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--brief", action="store_true", help="as the test suite runs them")
    parser.add_argument("--shrink", action="store_true", help="cut failing runs down")
    parser.add_argument("--quiet", action="store_true", help="no lines while it runs")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("..")
    seeds = range(int(first), int(last or first) + 1)
    plan = quick if arguments.brief else plan_of
    began = time.monotonic()

    def told(outcome: Outcome) -> None:
        if arguments.quiet:
            return
        if outcome.violations:
            print(f"seed {outcome.plan.seed}: {outcome.violations[0]}", flush=True)
        done = outcome.plan.seed - seeds[0] + 1
        if done % TOLD_EVERY_RUNS == 0 and done < len(seeds):
            print(f"{done} of {len(seeds)} after {time.monotonic() - began:.0f} s", flush=True)

    report = run_many((plan(seed) for seed in seeds), arguments.jobs, told)
    print("\n".join(report.lines()))
    print(f"{time.monotonic() - began:.0f} s; {len(report.failed)} of {report.runs} failed")
    if len(seeds) == 1:
        print(f"trace {simulate(plan(seeds[0])).trace}")
    if arguments.shrink:
        _shrink(report)
    return 1 if report.failed else 0


def _shrink(report: Report) -> None:
    for outcome in report.failed[:FAILED_MAX]:
        least = shrunk(outcome)
        print(f"seed {outcome.plan.seed} cut down: {least.plan}")
        print(f"  {least.violations[0]}")


if __name__ == "__main__":
    sys.exit(main())
