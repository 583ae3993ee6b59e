"""The report's plots, from samples and history. Times on the axis are seconds since the start."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from verifier.rehearsal.gaps import percentile
from verifier.rehearsal.history import ACKED, Entry
from verifier.rehearsal.rehearsal import Story

COLOURS = {"old": "#8a6d3b", "new": "#2a7f62", "slow": "#b03a2e", "plain": "#3b5b8c"}
BANDS = ("rgba(0,0,0,0.03)", "rgba(0,0,0,0.08)")
HEIGHT = 300


def figures(story: Story) -> list[tuple[str, str, str]]:
    """(title, caption, HTML) of each plot; the first carries the script that draws all."""
    plots = [
        ("Writes acknowledged per second",
         "By the dialect of the client. Half of the application is restarted as new code midway.",
         _rate(story)),
        ("Latency of a write, as the application sees it",
         "Per second: median, 99th percentile and the slowest. Dotted lines are SIGKILLs.",
         _latency(story)),
        ("Lag, repairs and drift",
         "Lag: age of the oldest stream record not yet applied. Repairs: keys that wait to be made "
         "equal. Drift: keys that differed in the newest whole comparison.",
         _health(story)),
        ("Items copied by the backfill", "Put if absent: it never overwrites.", _copied(story)),
    ]  # fmt: skip
    pages = []
    for number, (title, caption, figure) in enumerate(plots):
        _decorate(figure, story)
        html = figure.to_html(
            full_html=False,
            include_plotlyjs=number == 0,
            config={"displaylogo": False, "responsive": True},
        )
        pages.append((title, caption, html))
    return pages


def _rate(story: Story) -> Any:
    figure = go.Figure()
    acked = story.acked()
    for dialect in ("old", "new"):
        counts: dict[int, int] = defaultdict(int)
        for entry in acked:
            if entry.dialect == dialect:
                counts[int(entry.ended - story.started)] += 1
        if counts:
            seconds = list(range(min(counts), max(counts) + 1))
            figure.add_scatter(
                x=seconds,
                y=[counts[second] for second in seconds],
                name=f"{dialect} code",
                stackgroup="rate",
                line={"color": COLOURS[dialect], "width": 1},
            )
    return figure


def _latency(story: Story) -> Any:
    took: dict[int, list[float]] = defaultdict(list)
    for entry in story.acked():
        took[int(entry.ended - story.started)].append((entry.ended - entry.started) * 1000)
    seconds = sorted(took)
    figure = go.Figure()
    for name, share, colour in (
        ("median", 0.5, COLOURS["new"]),
        ("p99", 0.99, COLOURS["plain"]),
        ("slowest", 1.0, COLOURS["slow"]),
    ):
        values = [percentile(took[second], share) for second in seconds]
        figure.add_scatter(x=seconds, y=values, name=name, line={"color": colour, "width": 1.5})
    figure.update_yaxes(type="log", title="ms")
    return figure


def _health(story: Story) -> Any:
    samples = story.monitor.samples if story.monitor else []
    at = [sample.at - story.started for sample in samples]
    figure = go.Figure()
    for name, values, colour in (
        ("lag, s", [sample.lag_seconds for sample in samples], COLOURS["plain"]),
        ("repairs waiting", [sample.repairs for sample in samples], COLOURS["old"]),
        ("drift", [sample.drift for sample in samples], COLOURS["slow"]),
    ):
        figure.add_scatter(x=at, y=values, name=name, line={"color": colour, "width": 1.5})
    return figure


def _copied(story: Story) -> Any:
    samples = story.monitor.samples if story.monitor else []
    figure = go.Figure()
    figure.add_scatter(
        x=[sample.at - story.started for sample in samples],
        y=[sample.copied for sample in samples],
        name="items",
        fill="tozeroy",
        line={"color": COLOURS["new"], "width": 1.5},
    )
    return figure


def _decorate(figure: Any, story: Story) -> None:
    """The steps as bands, the blows as dotted lines."""
    for number, step in enumerate(story.steps):
        figure.add_vrect(
            x0=step.started - story.started,
            x1=(step.ended or story.ended) - story.started,
            fillcolor=BANDS[number % 2],
            line_width=0,
            annotation={"text": step.name, "textangle": -90, "font": {"size": 9}},
            annotation_position="top left",
        )
    for struck in story.struck:
        figure.add_vline(
            x=struck.began - story.started, line={"dash": "dot", "color": COLOURS["slow"]}
        )
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 50, "r": 10, "t": 10, "b": 40},
        template="plotly_white",
        legend={"orientation": "h", "y": -0.15},
        hovermode="x unified",
    )
    figure.update_xaxes(title="seconds")


def latency_ms(entries: Sequence[Entry], share: float) -> float:
    """A percentile of the acknowledged ones' durations."""
    took = [entry.ended - entry.started for entry in entries if entry.outcome == ACKED]
    return percentile(took, share) * 1000
