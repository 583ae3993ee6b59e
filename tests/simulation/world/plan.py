"""What one seed means: who takes part, how long, and which bad things happen when. A value, so that
a failing one can be cut down."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.simulation.engine.streams import RETENTION_SECONDS

FAULTS: dict[str, float] = {
    "crash": 3.0,
    "terminate": 1.0,
    "freeze": 1.5,
    "freeze in send": 1.5,
    "slow process": 0.7,
    "cut from engine": 1.0,
    "cut from control": 1.0,
    "cut from client": 0.5,
    "lost requests": 1.0,
    "lost answers": 1.5,
    "throttling": 1.0,
    "conflicts": 1.0,
    "slow calls": 1.0,
    "slow tables": 0.7,
    "slow streams": 0.7,
    "left undone": 0.7,
    "old reads": 0.7,
    "split": 2.0,
    "late records": 1.0,
    "empty pages": 0.7,
    "iterators expire": 0.5,
    "trim": 0.25,
    "skew": 0.6,
    "bypass": 1.0,
    "expire": 0.5,
    "change shape": 0.3,
}
"""What can happen, and how often next to the others."""
TABLES = (("notes",), ("notes",), ("notes", "tasks"), ("notes", "tasks", "steps"))
LONG = frozenset(
    {"cut from engine", "cut from control", "cut from client", "freeze", "freeze in send", "trim"}
)
SHORT_DAY_SECONDS = 4.0
"""Less than it takes to see that a consumer is gone, and to read on for it."""
STOPS = frozenset({"freeze", "freeze in send", "slow process"})
"""What may stop a process between its lease check and its send."""


@dataclass(frozen=True, slots=True)
class Event:
    """``at`` and ``seconds`` in seconds of the run; ``draw`` (0..1) says whom and how much."""

    kind: str
    at: float
    seconds: float
    draw: float


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run is made of."""

    seed: int
    seconds: float
    tables: tuple[str, ...]
    proxies: int
    consumers: int
    controllers: int
    clients: int
    splits_first: int
    """Splits before anything happens."""
    skew_seconds: float
    """How far wall clocks may be apart."""
    events: tuple[Event, ...]
    hurried: bool = False
    """Whether the operator goes straight ahead."""
    bold: bool = False
    """Whether a hurried operator asks for each move before it asks for what the move needs."""
    straight: bool = False
    """Whether the operator asks for the flip from mirror/old, through atomic mode at once."""
    dwell_seconds: float = 0.0
    """How long the operator stays in mirror/old at least."""
    think_seconds: float = 0.8
    """Between two calls of a client, on average."""
    wide: bool = False
    """Whether applications speak PartiQL, read in bulk and write to in-place tables too."""
    retention_seconds: float = RETENTION_SECONDS
    """For how long streams keep their records: a day of AWS's may go by in seconds here."""

    @property
    def stops(self) -> bool:
        """Whether a process may be stopped between its lease check and its send."""
        return any(event.kind in STOPS for event in self.events)


def plan_of(seed: int) -> Plan:
    """The plan that a seed stands for."""
    random = Random(f"plan-{seed}")
    quiet = random.random() < 0.08
    seconds = random.choice((20.0, 30.0, 40.0, 60.0))
    tables = random.choice(TABLES)
    count = 0 if quiet else random.randint(1, 14)
    plan = Plan(
        seed=seed,
        seconds=seconds,
        tables=tables,
        proxies=random.choice((1, 2, 2, 3)),
        consumers=random.choice((1, 1, 2)),
        controllers=random.choice((1, 1, 2)),
        clients=random.choice((2, 3, 4)),
        splits_first=random.choice((0, 0, 1, 2)),
        skew_seconds=random.choice((0.0, 0.0, 0.0, 0.9, 240.0)),
        events=tuple(sorted(_events(random, count, seconds), key=lambda event: event.at)),
        bold=random.random() < 0.4,
        think_seconds=random.choice((0.8, 0.8, 0.4)),
        wide=Random(f"wide-{seed}").random() < 0.5,
        straight=_straight(seed),
    )
    return _trimmed(plan)


def _trimmed(plan: Plan) -> Plan:
    """Where records shall be trimmed, the whole run has a short day: what a consumer knows of it
    holds all the time. Clocks are right then, as they are beside a day."""
    events = tuple(event for event in plan.events if event.kind not in ("trim", "skew"))
    if not any(event.kind == "trim" for event in plan.events):
        return plan
    return replace(plan, events=events, skew_seconds=0.0, retention_seconds=SHORT_DAY_SECONDS)


def brief(plan: Plan, seconds: float) -> Plan:
    """The same in less time: all of it comes sooner."""
    share = min(1.0, seconds / plan.seconds)
    events = tuple(replace(event, at=event.at * share) for event in plan.events)
    return replace(plan, seconds=plan.seconds * share, events=events, hurried=plan.seed % 3 > 0)


def rough(
    seed: int, kinds: Sequence[str], dwell_seconds: float = 0.0, *, wide: bool = False,
    troubles: int = 12,
) -> Plan:  # fmt: skip
    """A run in which these kinds of trouble come again and again, to hunt for one mistake."""
    random = Random(f"rough-{seed}")
    long = any(kind in LONG for kind in kinds)
    seconds = 30.0 if long else 18.0
    events = []
    for _ in range(troubles):
        kind = random.choice(kinds)
        # Leases and the lives of requests run out within six seconds: that is long for a process.
        lasts = 6.0 + random.random() * 8.0 if kind in LONG else 0.3 + random.random() * 4.0
        events.append(Event(kind, 2.0 + random.random() * (seconds - 4.0), lasts, random.random()))
    plan = Plan(
        seed=seed, seconds=seconds, tables=TABLES[-1] if wide else TABLES[0], wide=wide,
        proxies=2, consumers=random.choice((1, 2)),
        controllers=1, clients=3, splits_first=random.choice((0, 1)), skew_seconds=0.0,
        events=tuple(sorted(events, key=lambda event: event.at)), hurried=True,
        bold=random.random() < 0.5, dwell_seconds=dwell_seconds, think_seconds=0.3,
        straight=_straight(seed),
    )  # fmt: skip
    return _trimmed(plan)


def _straight(seed: int) -> bool:
    return Random(f"straight-{seed}").random() < 0.5


def _events(random: Random, count: int, seconds: float) -> Sequence[Event]:
    kinds, weights = tuple(FAULTS), tuple(FAULTS.values())
    # A run in which a few kinds come often finds more than one in which all come once.
    favourites = random.choices(kinds, weights, k=random.randint(1, 4))
    events = []
    for _ in range(count):
        kind = (
            random.choice(favourites)
            if random.random() < 0.6
            else random.choices(kinds, weights)[0]
        )
        longest = 9.0 if kind in LONG else 5.0
        events.append(
            Event(
                kind,
                random.random() * seconds,
                0.3 + random.random() ** 2 * longest,
                random.random(),
            )
        )
    return events
