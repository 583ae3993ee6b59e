"""Draws a rehearsal while it goes: a live table on a terminal, plain lines anywhere else."""

import asyncio
import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from verifier.rehearsal.rehearsal import Story

FRAME_SECONDS = 0.25
LINE_SECONDS = 5.0
"""Between two plain lines while nothing changes."""


async def show(story: Story, console: Console) -> None:
    """Draw until cancelled."""
    await (_draw(story, console) if console.is_terminal else _print(story, console))


async def _draw(story: Story, console: Console) -> None:
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(render(story), refresh=True)
            await asyncio.sleep(FRAME_SECONDS)


async def _print(story: Story, console: Console) -> None:
    told, at = "", 0.0
    while True:
        now = time.monotonic()
        if story.note != told or now - at > LINE_SECONDS:
            console.print(line(story), highlight=False, soft_wrap=True)
            told, at = story.note, now
        await asyncio.sleep(FRAME_SECONDS)


def line(story: Story) -> str:
    """How things stand, in one line."""
    seconds = time.monotonic() - story.started
    text = f"{seconds:6.1f} s  {story.note}"
    if story.monitor is None:
        return text
    now = story.monitor.sample()
    text += f"  {now.writes_per_second:.0f} writes/s  {now.acknowledged} acknowledged"
    if now.copied:
        text += f"  {now.copied}/{now.to_copy} copied"
    return text + f"  lag {now.lag_seconds:.1f} s  drift {now.drift}  repairs {now.repairs}"


def render(story: Story) -> RenderableType:
    """The whole picture for a terminal."""
    title = Text(f"dualwrite rehearse, seed {story.options.seed}: {story.note}", style="bold")
    if story.monitor is None:
        return Panel(Text(story.note), title=title)
    return Panel(Group(_figures(story), _tables(story), _steps(story)), title=title)


def _figures(story: Story) -> RenderableType:
    assert story.monitor is not None
    now = story.monitor.sample()
    grid = Table.grid(padding=(0, 3))
    for _ in range(4):
        grid.add_column()
    grid.add_row(
        f"[bold]{now.writes_per_second:.0f}[/] writes/s",
        f"slowest [bold]{now.slowest_ms:.0f}[/] ms",
        f"[bold]{now.acknowledged}[/] acknowledged",
        f"[bold]{story.monitor.unknown}[/] unknown",
    )
    grid.add_row(
        f"lag [bold]{now.lag_seconds:.1f}[/] s",
        f"drift [bold]{now.drift}[/]",
        f"repairs [bold]{now.repairs}[/] (+{now.poison} for a person)",
        _copied(story),
    )
    return grid


def _copied(story: Story) -> str:
    assert story.monitor is not None
    now = story.monitor.sample()
    if not now.copied:
        return ""
    return f"copied [bold]{now.copied}[/]/{now.to_copy}{_eta(story)}"


def _eta(story: Story) -> str:
    """Seconds left of the backfill, at the pace so far."""
    assert story.monitor is not None
    started = next((s.started for s in reversed(story.steps) if s.name == "backfill"), None)
    seen = story.monitor.seen
    if started is None or all(map(seen.backfilled, seen.orders)):
        return ""
    now = story.monitor.sample()
    pace = now.copied / max(0.1, time.monotonic() - started)
    return f", {max(0, now.to_copy - now.copied) / max(pace, 1.0):.0f} s left"


def _tables(story: Story) -> RenderableType:
    assert story.monitor is not None
    seen = story.monitor.seen
    table = Table("table", "phase", "reads on new", "epoch", "lag", "repairs", box=None)
    for name, state in sorted(seen.states.items()):
        lags = [p.lag_seconds for key, p in seen.streams.items() if key.split("/")[0] == name]
        repairs = seen.repairs.get(name)
        table.add_row(
            name,
            state.phase.value,
            f"{state.read_share} %",
            str(state.epoch),
            f"{max(lags, default=0.0):.1f} s",
            str(repairs.waiting if repairs else 0),
        )
    return table


def _steps(story: Story) -> RenderableType:
    now = time.monotonic()
    parts = []
    for step in story.steps:
        took = (step.ended or now) - step.started
        style = "green" if step.ended else "bold yellow"
        parts.append(f"[{style}]{step.name}[/] {took:.1f} s")
    struck = "".join(f"\n[red]{s.victim} {s.blow} in {s.step}[/]" for s in story.struck)
    return Text.from_markup(" > ".join(parts) + struck)
