"""Mistakes planted on purpose, one line each, to see whether the checks bite.

A mutation is a piece of text in a shipped module and what takes its place while it is imported; no
file is changed. Each runs in a process of its own: ``python -m tests.simulation.mutations`` prints
the table of ``docs/simulation.md``, ``... NAME`` runs one.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

SEEDS_MAX = 150
FIRST_SEED = 5_000
PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"
BEGIN, END = "<!-- written by `make mutations` -->", "<!-- end of what it wrote -->"


@dataclass(frozen=True, slots=True)
class Mutation:
    """``old`` stands exactly once in the module's text."""

    name: str
    module: str
    old: str
    new: str
    kinds: tuple[str, ...] = ("lost answers", "lost requests", "throttling", "bypass", "crash")
    """The trouble under which it is hunted."""
    troubles: int = 12
    """How often in a run."""
    dwell_seconds: float = 0.0
    """How long the hunt stays in mirror/old."""
    wide: bool = False
    """Whether applications say everything that they can, to tables of every kind."""


MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "the follower's guard is dropped",
        "dualwrite.core.plan",
        """        **place,
        "ConditionExpression": OLDER,
        "ExpressionAttributeValues": {STAMP_VALUE: {"S": (row and row.stamp) or stamp}},""",
        """        **place,""",
        ("slow calls",),
    ),
    Mutation(
        "a checkpoint before apply",
        "consumers.prefix",
        "while marks and marks[0].done and not marks[0].held:",
        "while marks:",
        ("bypass",),
        dwell_seconds=16.0,
    ),
    Mutation(
        "a child shard before its parent",
        "consumers.streams.shards",
        "return parent is None or parent.checkpoint == SHARD_END",
        "return True",
        ("split", "crash", "late records"),
        dwell_seconds=16.0,
    ),
    Mutation(
        "a blind backfill put",
        "consumers.requests",
        'return {"TableName": place.name, "Item": item, **guard.request()}',
        'return {"TableName": place.name, "Item": item}',
        ("slow tables",),
        dwell_seconds=6.0,
    ),
    Mutation(
        "reconcile reads the leader first",
        "consumers.reconcile",
        """        follower_item = await self._read(table, leader.other, place[leader.other])
        leader_item = await self._read(table, leader, place[leader])""",
        """        leader_item = await self._read(table, leader, place[leader])
        follower_item = await self._read(table, leader.other, place[leader.other])""",
        ("slow calls", "bypass", "lost answers"),
        dwell_seconds=16.0,
    ),
    Mutation(
        "reconcile writes under no stamp",
        "consumers.reconcile",
        'request: dict[str, Any] = {"TableName": place.name, **guard.request()}',
        'request: dict[str, Any] = {"TableName": place.name}',
        ("slow calls", "bypass", "lost answers"),
        dwell_seconds=16.0,
    ),
    Mutation(
        "a key that cannot be reconciled is forgotten",
        "consumers.hands",
        "if result is Result.FAILED:",
        "if False:",
        ("throttling", "bypass"),
        dwell_seconds=16.0,
    ),
    Mutation(
        "equal stamps prove a key clean, whatever the images",
        "consumers.dirty",
        "if mine is None or theirs is None:",
        "if mine is not None: return True\n        if mine is None or theirs is None:",
        ("bypass", "cut from engine"),
        dwell_seconds=16.0,
    ),
    Mutation(
        "an epoch is acknowledged before what began under the last one is over",
        "dualwrite.control.member",
        "if not self.earlier:",
        "if True:",
        ("slow tables",),
        troubles=5,
    ),
    Mutation(
        "a process without a lease goes on",
        "dualwrite.control.member",
        "if self._clock.monotonic_seconds() >= self._lease.until:",
        "if False:",
        ("cut from control",),
        troubles=4,
    ),
    Mutation(
        "the controller does not wait for acknowledgements",
        "dualwrite.control.mover",
        "while awaited := await self._membership.awaited(wanted):",
        "while awaited := ():",
        ("slow tables",),
        troubles=8,
    ),
    Mutation(
        "all gates are open",
        "dualwrite.control.mover",
        "return tuple((table, gate) for table, gate in verdicts if gate.verdict != OPEN)",
        "return ()",
        ("lost requests", "crash"),
    ),
    Mutation(
        "the flip waits for no barrier",
        "verifier.gates.barrier_passed",
        "    if behind:",
        "    if False:",
        ("slow streams", "bypass"),
        dwell_seconds=6.0,
    ),
    Mutation(
        "an unknown outcome is told as a failure",
        "dualwrite.proxy.services",
        "return Unknown(unknown)",
        "return Failed(unknown)",
    ),
    Mutation(
        "a refused guard is told as the client's false condition",
        "dualwrite.core.settle",
        'if standing is None or "" < standing < stamp:',
        "if standing != stamp:",
        ("skew", "conflicts"),
    ),
    Mutation(
        "a moved base is told as the client's false condition",
        "dualwrite.core.settle",
        "return ConditionFalse(item) if still else Moved()",
        "return ConditionFalse(item)",
    ),
    Mutation(
        "consistent reads go to the follower",
        "dualwrite.core.sharing",
        "return state.phase.leader",
        "return state.phase.leader.other",
    ),
    Mutation(
        "a straggler is undone without a trace",
        "consumers.reconcile",
        "return text != FLOOR and stamp.epoch < state.lead_epoch",
        "return False",
        ("freeze in send",),
        troubles=8,
    ),
    Mutation(
        "trimmed records are skipped in silence",
        "consumers.streams.reader",
        "                await self._on_gap()\n",
        "                pass\n",
        ("trim", "cut from engine", "crash"),
    ),
    Mutation(
        "a transaction's guard is told as its client's false condition",
        "dualwrite.proxy.cancelled",
        'if reason.get("Code") == CONDITION_FALSE and not _is_clients(part, reason):',
        "if False:",
        ("bypass", "skew"),
    ),
    Mutation(
        "a consumer writes without a look at its lease",
        "consumers.writes",
        "        vouch(self._epochs, state)\n        try:\n            await self._dynamo",
        "        try:\n            await self._dynamo",
        ("slow calls", "cut from control"),
    ),
    Mutation(
        "one empty page is the tip",
        "consumers.streams.tips",
        "return self._pages >= self._pace.tip_pages",
        "return short",
        ("empty pages", "iterators expire", "bypass"),
        dwell_seconds=6.0,
    ),
    Mutation(
        "a repair waits for a clock that is minutes ahead",
        "consumers.repairs",
        "return ahead_ms <= 0 or ahead_ms > self._pace.repair_back_off_seconds_max * 1000",
        "return ahead_ms <= 0",
        ("skew", "lost answers", "throttling"),
    ),
    Mutation(
        "an update may be older than the base it stands on",
        "dualwrite.proxy.based",
        "        if await restamped_foreign(services, wish.table, side, item):",
        "        if False:",
        ("skew", "slow tables"),
        wide=True,
    ),
    Mutation(
        "a transaction's refused repeat is believed",
        "dualwrite.proxy.atomic",
        "                return Unknown(doubt, refused), {}",
        "                return Failed(refused), {}",
        ("slow tables",),
        wide=True,
    ),
    Mutation(
        "an INSERT puts over what is there",
        "dualwrite.core.partiql.bodies",
        """        "ConditionExpression": "attribute_not_exists(#0)",
        "ExpressionAttributeNames": {"#0": schema.hash.name},""",
        "",
        ("lost answers",),
        wide=True,
    ),
)


class _Mutated(SourceFileLoader):
    def __init__(self, spec: ModuleSpec, mutation: Mutation) -> None:
        assert spec.origin is not None, "a shipped module is a file"
        super().__init__(spec.name, spec.origin)
        self._mutation = mutation

    def get_code(self, fullname: str) -> CodeType:
        text = self.get_data(self.path).decode()
        return compile(mutated(text, self._mutation), self.path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, mutation: Mutation) -> None:
        self._mutation = mutation

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._mutation.module:
            return None
        found = PathFinder.find_spec(fullname, path)
        assert found is not None, f"{fullname} is no module"
        return importlib.util.spec_from_loader(fullname, _Mutated(found, self._mutation))


def mutated(text: str, mutation: Mutation) -> str:
    """The module's text with the mistake in it."""
    assert mutation.old in text, f"{mutation.name}: the line is not in {mutation.module}"
    return text.replace(mutation.old, mutation.new)


def hunt(mutation: Mutation, seeds: range) -> dict[str, Any]:
    """Plant a mistake in this process and run seeds until one shows it."""
    sys.meta_path.insert(0, _Finder(mutation))
    from tests.simulation.run import simulate
    from tests.simulation.world.plan import rough

    for number, seed in enumerate(seeds, 1):
        plan = rough(
            seed, mutation.kinds, mutation.dwell_seconds, wide=mutation.wide,
            troubles=mutation.troubles,
        )  # fmt: skip
        outcome = simulate(plan)
        if outcome.violations:
            first = outcome.violations[0]
            caught = {"invariant": first.invariant, "rule": first.rule, "detail": first.detail}
            return {"name": mutation.name, "seed": seed, "needed": number, **caught}
    return {"name": mutation.name, "needed": 0}


def hunted(mutation: Mutation, seeds: range) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "tests.simulation.mutations", mutation.name]
    command += ["--first", str(seeds.start), "--seeds", str(len(seeds))]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", help="one mutation, hunted in this process")
    parser.add_argument("--first", type=int, default=FIRST_SEED)
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX)
    parser.add_argument("--write", action="store_true", help="renew the table in the documents")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.name:
        [mutation] = [one for one in MUTATIONS if one.name == arguments.name]
        print(json.dumps(hunt(mutation, seeds)))
        return 0
    found = [hunted(mutation, seeds) for mutation in MUTATIONS]
    table = "\n".join(lines(found, len(seeds)))
    print(table)
    if arguments.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    return 0 if all(one["needed"] for one in found) else 1


def lines(found: Sequence[dict[str, Any]], seeds: int) -> Iterator[str]:
    """The table of the documentation."""
    yield "| mistake | planted in | caught as | seeds needed |"
    yield "|---|---|---|---|"
    modules = {mutation.name: mutation.module for mutation in MUTATIONS}
    for one in found:
        caught = f"{one['invariant']}: {one['rule']}" if one["needed"] else "not caught"
        needed = one["needed"] or f"more than {seeds}"
        yield f"| {one['name']} | `{modules[one['name']]}` | {caught} | {needed} |"


if __name__ == "__main__":
    sys.exit(main())
