"""There is always a report, however early a rehearsal ended."""

import json
from pathlib import Path

from rich.console import Console

from verifier.rehearsal.live import line, render
from verifier.rehearsal.options import Options
from verifier.rehearsal.rehearsal import Story
from verifier.rehearsal.report import write


def test_an_interrupted_rehearsal_is_reported_as_failed(tmp_path: Path) -> None:
    """Both files are there, say why, and claim nothing that was not proven."""
    story = Story(Options(report=tmp_path, seed=7), error="interrupted", interrupted=True)
    told = write(story, tmp_path)
    assert told == json.loads((tmp_path / "report.json").read_text())
    assert told["verdict"] == "fail"
    assert told["seed"] == 7
    assert told["different"] is told["lost"] is told["resurrected"] is None
    wanted = {"acknowledged", "lost", "resurrected", "units_per_write", "steps", "flips"}
    assert wanted <= told.keys()
    page = (tmp_path / "report.html").read_text()
    assert "interrupted" in page
    assert "Failed" in page
    assert "<script src" not in page


def test_a_rehearsal_can_be_drawn_before_anything_runs(tmp_path: Path) -> None:
    """The live view and the plain line need nothing but the story."""
    story = Story(Options(report=tmp_path), note="starting the engine")
    assert "starting the engine" in line(story)
    console = Console(width=100, record=True, file=(tmp_path / "out").open("w"))
    console.print(render(story))
    assert "starting the engine" in console.export_text()
