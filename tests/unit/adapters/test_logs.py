"""Log lines for machines, without anything that an item holds."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from dualwrite.adapters import logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_line_is_json_with_level_and_utc_time(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line, on standard error."""
    logs.configure(json=True)
    structlog.get_logger().warning("it happened", table="t", epoch=3, names=("a", "b"))
    out, err = capsys.readouterr()
    line = json.loads(err)
    assert out == ""
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "it happened",
        "level": "warning",
        "table": "t",
        "epoch": 3,
        "names": ["a", "b"],
    }


def test_an_item_logged_by_mistake_shows_its_type_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Contents never reach the logs."""
    logs.configure(json=True)
    structlog.get_logger().info("x", item={"pin": {"S": "secret"}}, items=[{"S": "secret"}])
    err = capsys.readouterr().err
    assert "secret" not in err
    assert json.loads(err)["item"] == "<dict>"


def test_for_people_a_line_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal nobody reads JSON."""
    logs.configure(json=False)
    structlog.get_logger().info("it happened", table="t")
    assert "it happened" in capsys.readouterr().err


def test_a_line_that_cannot_be_written_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk under a log, or under standard output, is no reason to end."""
    with Path("/dev/full").open("w", buffering=1) as full:
        for name in ("stderr", "stdout"):
            monkeypatch.setattr(f"sys.{name}", full)
        logs.configure(json=True)
        structlog.get_logger().info("it happened")
        logs.tell("it is ready")
        with suppress(OSError):
            full.close()  # what is left in its buffer


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_variables(
    capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    """What went wrong is told by lines of code: variables hold items and signatures."""
    logs.configure(json=as_json)

    def fail(item: dict[str, str]) -> None:
        raise ValueError(len(item))

    try:
        fail({"pin": "".join(("se", "cret"))})
    except ValueError:
        structlog.get_logger().warning("it failed", exc_info=True)
    err = capsys.readouterr().err
    assert "in fail" in err
    assert "secret" not in err


def test_debug_lines_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a decision that matters."""
    logs.configure(json=True)
    structlog.get_logger().debug("detail")
    assert capsys.readouterr().err == ""
