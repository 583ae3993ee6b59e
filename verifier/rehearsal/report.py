"""The report: ``report.json`` for machines and ``report.html`` for whoever has to believe it."""

import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import orjson

from verifier.rehearsal.figures import figures, latency_ms
from verifier.rehearsal.history import REFUSED, UNKNOWN, Entry
from verifier.rehearsal.monitor import Sample
from verifier.rehearsal.register import Fault
from verifier.rehearsal.rehearsal import Story
from verifier.rehearsal.verdict import Case, count, examples, invariants
from verifier.rehearsal.walk import Step

LIBRARIES = ("dualwrite", "boto3", "pynamodb", "ministack")


def write(story: Story, folder: Path) -> dict[str, Any]:
    """Write both files into ``folder`` and give back what report.json says."""
    folder.mkdir(parents=True, exist_ok=True)
    told = tell(story)
    (folder / "report.json").write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("verifier.rehearsal"), autoescape=True, trim_blocks=True
    )
    page = environment.get_template("report.html.j2").render(r=told, figures=figures(story))
    (folder / "report.html").write_text(page, encoding="utf-8")
    return told


def tell(story: Story) -> dict[str, Any]:
    """Everything, as JSON-ready data."""
    case = case_of(story)
    held = invariants(case)
    acked = story.acked()
    writes = [entry for entry in story.entries if entry.writes]
    samples = story.monitor.samples if story.monitor else []
    return {
        "verdict": "pass" if all(invariant.held for invariant in held) else "fail",
        "error": story.error,
        "interrupted": story.interrupted,
        "seed": story.options.seed,
        "started": story.started_wall,
        "seconds": round((story.ended or story.started) - story.started, 2),
        "acknowledged": len(acked),
        "unknown": sum(entry.outcome == UNKNOWN for entry in writes),
        "refused": sum(entry.outcome == REFUSED for entry in writes),
        "lost": _found(case, Fault.LOST),
        "resurrected": _found(case, Fault.RESURRECTED),
        "different": story.differences.different if story.differences else None,
        "stale_reads": _found(case, Fault.STALE_READ),
        "units_per_write": _units_per_write(story, len(acked)),
        "write_ms": {"p50": latency_ms(writes, 0.5), "p99": latency_ms(writes, 0.99)},
        "steps": [_step(step, story, acked, samples) for step in story.steps],
        "flips": [asdict(flip) | {"within_goal": flip.within_goal} for flip in story.flips()],
        "invariants": [asdict(invariant) for invariant in held],
        "findings": [asdict(example) for example in examples(case)],
        "edge_rows": [asdict(edge) | {"held": edge.held} for edge in story.edges],
        "faults": [
            asdict(struck) | {"after_seconds": round(struck.began - story.started, 2)}
            for struck in story.struck
        ],
        "refusals": [asdict(refusal) for refusal in (story.walk.refusals if story.walk else [])],
        "operations": dict(sorted(story.operations.items())),
        "sdks": dict(sorted(_count_by(writes, "sdk").items())),
        "dialects": dict(sorted(_count_by(writes, "dialect").items())),
        "items": story.items,
        "compared": story.differences.compared if story.differences else 0,
        "keys_judged": max((j.keys for j in (story.before_done, story.at_end) if j), default=0),
        "engine": story.engine,
        "settings": asdict(story.options) | {"report": str(story.options.report)},
        "versions": {name: version(name) for name in LIBRARIES}
        | {"python": platform.python_version(), "machine": platform.machine()},
        "definitions": DEFINITIONS,
    }


def case_of(story: Story) -> Case:
    """What the verdict is made from."""
    return Case(
        error=story.error,
        before_done=story.before_done,
        at_end=story.at_end,
        differences=story.differences,
        edges=story.edges,
        flips=story.flips(),
        refusals=story.walk.refusals if story.walk else (),
        operations=story.operations,
        died=story.died,
    )


def _found(case: Case, fault: Fault) -> int | None:
    """How many; None where nobody looked."""
    if case.before_done is None and case.at_end is None:
        return None
    return count(case, fault.value)


DEFINITIONS = {
    "acknowledged": "Writes that a client was told to have succeeded; each item of a batch or a "
    "transaction counts.",
    "unknown": "Writes that ended in a time-out, a lost connection or a 5xx: applied or not. The "
    "client went to the other proxy and did not send them again.",
    "lost": "Acknowledged writes that are neither in the table nor superseded there by a later "
    "one; looked for on both tables before the end, and on the new one after it.",
    "resurrected": "Deleted keys that nobody wrote again and that are there nevertheless.",
    "different": "Keys for which new is not T(old), over all rows, when writes stand still and "
    "both streams are drained.",
    "gap_ms": "The longest time without an acknowledged write from any client, from one second "
    "before the flip was asked for to one second after all processes had acknowledged it. A kill "
    "that falls into that window stays in the figure.",
    "own_gap_ms": "The same without gaps that touch a moment in which a process was killed, frozen "
    "or restarted; a second of it breaks the invariant.",
    "ordinary_p999_ms": "The 99.9th percentile of such gaps while all clients work and nothing is "
    "killed, flipped, paused or restarted.",
    "calm_p999_ms": "The same, without the steps in which a backfill or a sweep loads the engine.",
    "units_per_write": "Write and read capacity units that the proxies spent on client writes, "
    "per acknowledged write, over the whole walk (a single table: about 1).",
}


def _units_per_write(story: Story, acknowledged: int) -> float | None:
    if story.monitor is None or not acknowledged:
        return None
    return round(story.monitor.units / acknowledged, 3)


def _step(step: Step, story: Story, acked: list[Entry], samples: list[Sample]) -> dict[str, Any]:
    end = step.ended or story.ended
    inside = [entry for entry in acked if step.started <= entry.ended < end]
    spent = [sample for sample in samples if step.started <= sample.at < end]
    units = None
    if len(spent) > 1 and spent[-1].acknowledged > spent[0].acknowledged:
        writes = spent[-1].acknowledged - spent[0].acknowledged
        units = round((spent[-1].units - spent[0].units) / writes, 2)
    return {
        "name": step.name,
        "started": round(story.started_wall + step.started - story.started, 3),
        "after_seconds": round(step.started - story.started, 2),
        "seconds": round(end - step.started, 2),
        "acknowledged": len(inside),
        "p50_ms": round(latency_ms(inside, 0.5), 2),
        "p99_ms": round(latency_ms(inside, 0.99), 2),
        "units_per_write": units,
        "waited_for": step.refusals,
    }


def _count_by(entries: list[Entry], name: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in entries:
        value = getattr(entry, name)
        counts[value] = counts.get(value, 0) + 1
    return counts
