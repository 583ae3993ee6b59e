"""Mapping files: CSV, an old id and what it gives in each row."""

import csv
from collections.abc import Iterable
from pathlib import Path

from dualwrite.core.spec import ValueMap
from dualwrite.core.spec_checks import Fault, mapping_faults
from dualwrite.spec_file import shapes
from dualwrite.spec_file.problems import Problems

ROWS_MAX = 1_000_000
"""A mapping is held in memory by every process."""


def read_mapping(path: Path, name: str, entry: shapes.Mapping, found: Problems) -> ValueMap:
    """One mapping; what is wrong with its file goes into ``found``."""
    file = path.parent / entry.file
    fallback = entry.fallback == "identity"
    value_map = ValueMap(name, tuple(entry.gives), {}, fallback)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            forward = _rows(file, entry, next(reader, []), reader, found)
    except FileNotFoundError:
        fault = Fault(f"mappings.{name}.file", f"{file} does not exist", "correct the path")
        found.add(path, fault)
        return value_map
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        fault = Fault(f"mappings.{name}.file", f"{file}: {error}", "give a UTF-8 CSV file")
        found.add(path, fault)
        return value_map
    value_map = ValueMap(name, value_map.gives, forward, fallback)
    for fault in mapping_faults(value_map):
        found.add(file, fault)
    return value_map


def _rows(
    file: Path, entry: shapes.Mapping, header: list[str], rows: Iterable[list[str]], found: Problems
) -> dict[str, tuple[str, ...]]:
    wanted = (entry.old, *entry.gives)
    lacking = [column for column in wanted if column not in header]
    doubled = sorted({column for column in header if header.count(column) > 1})
    if lacking or doubled:
        what = (
            f"the header lacks {', '.join(lacking)}"
            if lacking
            else f"the header names {', '.join(doubled)} twice"
        )
        found.add(file, Fault("line 1", what, f"its columns must be {', '.join(wanted)}"))
        return {}
    places = [header.index(column) for column in wanted]
    forward: dict[str, tuple[str, ...]] = {}
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        where = f"line {number}"
        if number > ROWS_MAX:
            what = f"more than {ROWS_MAX} rows"
            found.add(file, Fault(where, what, "use a template instead of a mapping"))
            break
        if len(row) != len(header):
            what = f"has {len(row)} values, the header has {len(header)}"
            found.add(file, Fault(where, what, "give each column one value"))
            continue
        old_id, *parts = (row[place] for place in places)
        if old_id in forward:
            what = f"{entry.old} {old_id!r} stands twice"
            found.add(file, Fault(where, what, "keep one of the two rows"))
            continue
        forward[old_id] = tuple(parts)
    return forward
