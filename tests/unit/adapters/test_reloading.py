"""Files are taken over when they change, and only then."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from dualwrite.adapters.reloading import LOOK_SECONDS, Reloading
from dualwrite.core.errors import UnusableFile
from tests.fakes.clock import VirtualClock


def watched(path: Path, steps: Callable[[VirtualClock, list[str]], object]) -> list[str]:
    """What was taken over while ``steps`` ran."""
    taken: list[str] = []

    def reload() -> None:
        if not path.exists() or path.read_text() == "broken":
            raise UnusableFile("no good")
        if path.read_text() == "too much":
            raise RecursionError
        taken.append(path.read_text())

    async def go() -> None:
        clock = VirtualClock()
        reloading = Reloading((path,), clock)
        task = asyncio.create_task(reloading.run(reload))
        await steps(clock, taken)  # type: ignore[misc]  # the tests' steps are coroutines
        task.cancel()

    asyncio.run(go())
    return taken


def test_a_change_is_taken_over_once(tmp_path: Path) -> None:
    """Written in place, replaced by another file, and through a link that points elsewhere."""
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_text("one")
    link = tmp_path / "link"
    link.symlink_to(first)

    async def steps(clock: VirtualClock, taken: list[str]) -> None:
        await clock.advance(3 * LOOK_SECONDS)
        assert taken == []
        first.write_text("three")
        await clock.advance(3 * LOOK_SECONDS)
        assert taken == ["three"]
        (tmp_path / "other").write_text("other")
        (tmp_path / "other").rename(first)
        await clock.advance(LOOK_SECONDS)
        assert taken == ["three", "other"]
        second.write_text("second")
        (tmp_path / "link2").symlink_to(second)
        (tmp_path / "link2").rename(link)
        await clock.advance(LOOK_SECONDS)

    assert watched(link, steps) == ["three", "other", "second"]


def test_a_broken_file_changes_nothing_and_a_mended_one_is_seen(tmp_path: Path) -> None:
    """Also one that is gone for a while, or that we trip over."""
    path = tmp_path / "file"
    path.write_text("good")

    async def steps(clock: VirtualClock, taken: list[str]) -> None:
        path.write_text("broken")
        await clock.advance(2 * LOOK_SECONDS)
        path.unlink()
        await clock.advance(2 * LOOK_SECONDS)
        path.write_text("too much")
        await clock.advance(2 * LOOK_SECONDS)
        assert taken == []
        path.write_text("mended")
        await clock.advance(2 * LOOK_SECONDS)

    assert watched(path, steps) == ["mended"]
