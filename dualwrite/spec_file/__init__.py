"""Parses ``migration.toml`` and its mapping files, once, into the frozen values of ``core.spec``.

The shape is pydantic's to judge, the meaning is ``core.spec_checks``'. All problems of a stage are
told together, one line each: file, [table] and field, what is wrong, how to mend it.
"""

import tomllib
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import orjson
from pydantic import ValidationError as ShapeError
from pydantic_core import ErrorDetails

from dualwrite.core.derivation import SEPARATOR
from dualwrite.core.errors import SpecError
from dualwrite.core.spec import Migration, Template, ValueMap
from dualwrite.core.spec_checks import Fault, faults, warnings
from dualwrite.spec_file import shapes
from dualwrite.spec_file.frozen import frozen_place, frozen_table
from dualwrite.spec_file.mapping import read_mapping
from dualwrite.spec_file.problems import Problems

__all__ = ["load", "warnings"]


def load(path: Path) -> Migration:
    """The migration that ``path`` describes; mapping files are relative to it.

    Raises SpecError: one line a problem, each naming file, table, field and the mend.
    """
    shape = _parse(path)
    found = Problems(path)
    if shape.migration.separator != SEPARATOR:
        found.add(
            path,
            Fault(
                "migration.separator",
                f"{shape.migration.separator!r} is not supported",
                f'leave it out or write "{SEPARATOR}", the only separator supported so far',
            ),
        )
    mappings = {
        name: read_mapping(path, name, entry, found) for name, entry in shape.mappings.items()
    }
    for name, table in shape.tables.items():
        _shape_faults(path, name, table, mappings, found)
    found.stop_if_any()
    migration = Migration(
        name=shape.migration.name,
        separator=shape.migration.separator,
        tables=tuple(frozen_table(name, entry, mappings) for name, entry in shape.tables.items()),
        control_table=shape.migration.control_table or f"dualwrite-{shape.migration.name}",
        old_place=frozen_place(shape.migration.old),
        new_place=frozen_place(shape.migration.new),
        digest=_digest(shape, mappings),
    )
    for fault in faults(migration):
        found.add(path, fault)
    found.stop_if_any()
    return migration


def _digest(shape: shapes.File, mappings: Mapping[str, ValueMap]) -> str:
    """Of the tables and the mappings' contents: how engines are reached, and where files lie, may
    differ from machine to machine."""
    digest = blake2b(digest_size=8)
    digest.update(shape.model_dump_json(include={"tables"}).encode())
    for name, mapping in mappings.items():
        digest.update(orjson.dumps([name, mapping.gives, mapping.identity_fallback]))
        for old_id, parts in mapping.forward.items():
            digest.update(orjson.dumps([old_id, parts]))
    return digest.hexdigest()


def _parse(path: Path) -> shapes.File:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"{path}: does not exist; give the path of migration.toml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read ({error}); it must be a UTF-8 file") from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: is not TOML: {error}; correct it there") from None
    try:
        return shapes.File.model_validate(data)
    except ShapeError as error:
        found = Problems(path)
        for problem in error.errors(include_url=False):
            found.add(path, _shape_fault(problem))
        found.stop_if_any()
        raise


_MENDS = {
    "missing": "add it",
    "extra_forbidden": "remove it, or correct its spelling",
    "literal_error": "choose one of those",
    "string_type": 'write a string, in "quotes"',
}


def _shape_fault(problem: ErrorDetails) -> Fault:
    where = ".".join(str(part) for part in problem["loc"]) or "the file"
    text = problem["msg"]
    what = text[:1].lower() + text[1:]
    return Fault(where, what, _MENDS.get(problem["type"], "correct it"))


def _shape_faults(
    path: Path,
    name: str,
    table: shapes.Table,
    mappings: Mapping[str, ValueMap],
    found: Problems,
) -> None:
    """What must hold before the frozen values can be put together at all."""
    where = f"tables.{name}"
    if table.kind == "rekey" and table.new is None:
        fault = Fault(
            f"{where}.new", "a rekey table is copied into a second one", "add the new table"
        )
        found.add(path, fault)
    if table.kind == "in-place" and table.new is not None:
        fault = Fault(
            f"{where}.new",
            "an in-place table has no second one",
            'remove it, or write kind = "rekey"',
        )
        found.add(path, fault)
    wanted = table.derive.mapping
    if wanted is not None and wanted not in mappings:
        fault = Fault(
            f"{where}.derive.mapping",
            f"there is no mapping {wanted!r}",
            f"add [mappings.{wanted}], or name one of: {', '.join(mappings) or 'none yet'}",
        )
        found.add(path, fault)
    for target, text in table.derive.templates.items():
        try:
            _ = Template(text).fields
        except ValueError as error:
            fault = Fault(
                f"{where}.derive.templates.{target}",
                f"{text!r} cannot be read: {error}",
                'write fields in braces, such as "{endpoint_id}#{part_id}"',
            )
            found.add(path, fault)
