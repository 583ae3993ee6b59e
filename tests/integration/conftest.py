"""What several integration tests stand on."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dualwrite import spec_file
from dualwrite.adapters import logs
from examples.ai_coordination_engine import tables
from tests.process_harness import Installation


@pytest.fixture
def installation(
    engine: str,
    boto: Any,
    table_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Installation]:
    """The example, under names of its own; its old tables exist, nothing else does."""
    # Loggers must not hold on to the streams of a verb that runs inside the test.
    monkeypatch.setattr(logs, "configure", lambda: None)
    spec = tmp_path / "migration.toml"
    text = tables.SPEC.read_text().replace('"ace-', f'"{table_prefix}ace-')
    spec.write_text(text.replace('"dualwrite-ai', f'"{table_prefix}dualwrite-ai'))
    shutil.copy(tables.HERE / "tenants.csv", tmp_path)
    tables.create(boto, spec_file.load(spec))
    stands = Installation(spec, engine)
    yield stands
    stands.stop()
