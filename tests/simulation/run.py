"""Runs seeds, adds up what they reached, and cuts a failing one down."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace

from tests.simulation.world.plan import Plan, brief, plan_of
from tests.simulation.world.world import Outcome, World

BRIEF_SECONDS = 20.0
"""Of the runs in the test suite."""
SHRINK_RUNS_MAX = 120


def simulate(plan: Plan) -> Outcome:
    """One run, from the first moment to its verdict."""
    return World(plan).run()


def quick(seed: int) -> Plan:
    """A seed as the test suite runs it."""
    return brief(plan_of(seed), BRIEF_SECONDS)


@dataclass
class Report:
    """What many runs showed."""

    runs: int = 0
    seconds: float = 0.0
    steps: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    """In how many runs each thing happened."""
    counts: Counter[str] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.runs += 1
        self.seconds += outcome.seconds
        self.steps += outcome.steps
        self.reached.update(outcome.counts.keys())
        self.counts += outcome.counts
        if outcome.violations:
            self.failed.append(outcome)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.runs} runs, {self.seconds:.0f} simulated seconds, {self.steps} steps"
        for what in sorted(self.reached):
            yield f"  {what}: {self.counts[what]} in {self.reached[what]} runs"
        for outcome in self.failed:
            yield f"FAILED seed {outcome.plan.seed} (trace {outcome.trace})"
            for violation in outcome.violations:
                yield f"  {violation}"


def run_many(
    plans: Iterable[Plan], jobs: int = 1, told: Callable[[Outcome], None] = lambda outcome: None
) -> Report:
    """Run all; ``told`` hears of each run as it ends."""
    report = Report()
    if jobs == 1:
        for plan in plans:
            outcome = simulate(plan)
            report.add(outcome)
            told(outcome)
        return report
    with ProcessPoolExecutor(jobs) as pool:
        for outcome in pool.map(simulate, plans, chunksize=4):
            report.add(outcome)
            told(outcome)
    return report


def shrunk(outcome: Outcome) -> Outcome:
    """The smallest run found that breaks one of the same rules: fewer events, processes, clients,
    tables and seconds. Each try is a whole run."""
    rules = {violation.rule for violation in outcome.violations}
    best = outcome
    tries = 0
    improved = True
    while improved and tries < SHRINK_RUNS_MAX:
        improved = False
        for plan in _smaller(best.plan):
            tries += 1
            if tries >= SHRINK_RUNS_MAX:
                break
            tried = simulate(plan)
            if rules & {violation.rule for violation in tried.violations}:
                best, improved = tried, True
                break
    return best


def _smaller(plan: Plan) -> Iterator[Plan]:
    half = len(plan.events) // 2
    if half > 1:
        yield replace(plan, events=plan.events[:half])
        yield replace(plan, events=plan.events[half:])
    if plan.seconds > 5.0:
        yield replace(plan, seconds=plan.seconds * 0.7)
    for name, least in (("clients", 1), ("proxies", 1), ("consumers", 1), ("controllers", 1)):
        if getattr(plan, name) > least:
            yield replace(plan, **{name: getattr(plan, name) - 1})
    if plan.splits_first:
        yield replace(plan, splits_first=0)
    if plan.skew_seconds:
        yield replace(plan, skew_seconds=0.0)
    if len(plan.tables) > 1:
        yield replace(plan, tables=plan.tables[:-1])
    for at in range(len(plan.events)):
        yield replace(plan, events=plan.events[:at] + plan.events[at + 1 :])
