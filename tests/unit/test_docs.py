"""The documentation says what the code says."""

import re
from pathlib import Path

import pytest

from docs import generate
from dualwrite.cli.main import VERBS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", generate.PARTS)
def test_generated_parts_are_up_to_date(page: str) -> None:
    """The drawing of the square and the table of metrics are those of the code; see make docs."""
    text = (generate.DOCS / page).read_text(encoding="utf-8")
    assert generate.PARTS[page][1]() in text
    assert generate.rendered(page) == text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link is a file of the repository."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_runbook_knows_every_gate() -> None:
    """Whoever is refused by a gate finds what to do about it."""
    runbook = (generate.DOCS / "operations.md").read_text(encoding="utf-8")
    files = (ROOT / "verifier/gates").glob("*.py")
    gates = sorted(file.stem for file in files if file.stem not in ("__init__", "verdicts"))
    assert [gate for gate in gates if f"`{gate}`" not in runbook] == []


def test_the_manual_of_the_spec_knows_every_field() -> None:
    """Each field that the parser takes is described."""
    manual = (generate.DOCS / "spec.md").read_text(encoding="utf-8")
    shapes = (ROOT / "dualwrite/spec_file/shapes.py").read_text(encoding="utf-8")
    fields = re.findall(r"^    (\w+): ", shapes, flags=re.MULTILINE)
    assert [
        field for field in fields if not re.search(rf"[`.\[]{field}\b|\b{field} = ", manual)
    ] == []


def test_commands_in_the_documents_exist() -> None:
    """A person can type what the documents show."""
    for page in PAGES:
        for verb in re.findall(r"(?:^|[ `])dualwrite ([a-z]+)\b", page.read_text(encoding="utf-8")):
            assert verb in VERBS or verb in PROSE, f"{page.name}: dualwrite {verb}"


PROSE = {"moves", "stands", "needs"}
