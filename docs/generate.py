"""Writes the parts of the documentation that say what the code says: ``make docs``."""

from pathlib import Path

from dualwrite.core.metric_names import METRICS
from dualwrite.core.phases import Kind, drawing

DOCS = Path(__file__).parent
BEGIN = "<!-- written by `make docs` from {source} -->"
END = "<!-- end of what `make docs` wrote -->"


def square() -> str:
    """The drawing of the write square, and of an in-place table's way."""
    return "\n\n".join(
        f"{title}\n\n```mermaid\n{drawing(kind)}\n```"
        for title, kind in (
            ("A table of kind `rekey`:", Kind.REKEY),
            ("A table of kind `in-place`:", Kind.IN_PLACE),
        )
    )


def metrics() -> str:
    """One row for each metric."""
    rows = [
        f"| `{name}` | {spec.kind} | {', '.join(spec.labels) or '-'} | {spec.help} |"
        for name, spec in METRICS.items()
    ]
    return "\n".join(["| metric | kind | labels | what it says |", "|---|---|---|---|", *rows])


PARTS = {
    "architecture.md": ("dualwrite/core/phases.py", square),
    "metrics.md": ("dualwrite/core/metric_names.py", metrics),
}


def rendered(name: str) -> str:
    """The text of one page with its generated part renewed."""
    source, make = PARTS[name]
    begin = BEGIN.format(source=source)
    head, _, rest = (DOCS / name).read_text(encoding="utf-8").partition(begin)
    _, _, tail = rest.partition(END)
    return f"{head}{begin}\n{make()}\n{END}{tail}"


if __name__ == "__main__":
    for page in PARTS:
        (DOCS / page).write_text(rendered(page), encoding="utf-8")
