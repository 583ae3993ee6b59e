"""A spec has a digest of all that rows are made by."""

from pathlib import Path

import pytest

from dualwrite.spec_file import load
from tests.unit.test_spec_file import ROWS, SPEC, write

SAME = {
    "a comment": (SPEC + "# said\n", ROWS),
    "another engine": (
        SPEC.replace(
            "[mappings", '[migration.new]\nendpoint = "http://10.0.0.1:8000"\n[mappings', 1
        ),
        ROWS,
    ),
}
CHANGED = {
    "a row of a mapping": (SPEC, ROWS + "hooli-prod,us,hooli\n"),
    "a part of a row": (SPEC, ROWS.replace("us,globex", "eu,globex")),
    "a template": (SPEC.replace("{realm}#{part}", "{part}#{realm}", 1), ROWS),
    "a fall-back": (
        SPEC.replace('gives = ["realm"', 'fallback = "identity"\ngives = ["realm"'),
        ROWS,
    ),
    "a policy": (SPEC.replace('kind = "rekey"', 'kind = "rekey"\nunmappable = "leave"', 1), ROWS),
}


@pytest.mark.parametrize(("toml", "rows"), SAME.values(), ids=SAME)
def test_what_makes_the_same_rows_has_the_same_digest(tmp_path: Path, toml: str, rows: str) -> None:
    """Processes that only reach the engines in another way may work side by side."""
    before = load(write(tmp_path)).digest
    assert load(write(tmp_path, toml, rows)).digest == before


@pytest.mark.parametrize(("toml", "rows"), CHANGED.values(), ids=CHANGED)
def test_what_makes_other_rows_has_another_digest(tmp_path: Path, toml: str, rows: str) -> None:
    """A process that would make other rows is known by its digest."""
    before = load(write(tmp_path)).digest
    assert load(write(tmp_path, toml, rows)).digest != before
