"""A rehearsal's broker and engine that need Java: plain refusals where they cannot be had."""

import asyncio
from pathlib import Path

import pytest

from verifier.rehearsal import broker, jvm
from verifier.rehearsal.processes import ChildFailed, Processes


def test_a_queue_that_is_named_is_taken_as_it_is(tmp_path: Path) -> None:
    """Only "kafka" alone asks for a broker of the rehearsal's own."""

    async def go() -> None:
        processes = Processes(tmp_path)
        for wanted in ("memory", "dynamodb", "kafka://127.0.0.1:9092/mine"):
            assert await broker.start(processes, wanted, tmp_path) == wanted
        await processes.stop()

    asyncio.run(go())


def test_what_only_a_checkout_can_fetch_says_so() -> None:
    """An installed package has no pom.xml beside it."""
    with pytest.raises(ChildFailed, match="checkout of the repository only"):
        asyncio.run(jvm.jars("no-such-program"))


def test_no_java_is_one_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what is needed."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ChildFailed, match="Java"):
        jvm.java()


@pytest.mark.parametrize("told", ['openjdk version "11.0.2"', 'java version "1.8.0_51"', ""])
def test_a_java_that_is_too_old_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    """Else the broker would end with a stack trace in its own log."""
    old = tmp_path / "java"
    old.write_text(f"#!/bin/sh\necho '{told}' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ChildFailed, match=r"Java \(17 or later\); .*/java is another: ."):
        jvm.java()
