"""The documentation says what the code says."""

import re
from pathlib import Path

import pytest

from docs import generate

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
