"""Files that are read again when they change, while the process goes on."""

from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from dualwrite.core.errors import UnusableFile
from dualwrite.core.ports import Clock

LOOK_SECONDS = 1.0

log = structlog.get_logger()

Mark = tuple[int, int, int] | None


class Reloading:
    """Watches files that are used together. Made before they are first read, so that no change in
    between is missed."""

    def __init__(self, paths: Sequence[Path], clock: Clock) -> None:
        self._paths = tuple(paths)
        self._clock = clock
        self._seen = self._marks()

    async def run(self, reload: Callable[[], None]) -> None:
        """Call ``reload`` after each change, for ever. Where it raises UnusableFile, what was
        read before stays in use; nor does a mistake of ours end the watch."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            marks = self._marks()
            if marks == self._seen:
                continue
            self._seen = marks
            files = [str(path) for path in self._paths]
            try:
                reload()
            except UnusableFile as error:
                log.error("changed file not taken over", files=files, error=str(error))
            except Exception:
                log.exception("changed file not taken over", files=files)
            else:
                log.info("changed file taken over", files=files)

    def _marks(self) -> tuple[Mark, ...]:
        """Time, size and identity: a link that points elsewhere is a change too."""
        return tuple(map(_mark, self._paths))


def _mark(path: Path) -> Mark:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
