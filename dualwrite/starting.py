"""What a process asks of the engine when it starts: one lost answer must not end it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from dualwrite.core.errors import RETRYABLE, EngineError, Refused
from dualwrite.core.ports import Clock

T = TypeVar("T")

TRIES_MAX = 3
PAUSE_SECONDS = 0.5


async def tried(clock: Clock, ask: Callable[[], Awaitable[T]]) -> T:
    """What ``ask`` gives, which must be safe to repeat. Raises at once what the engine refuses for
    good, and otherwise the EngineError of the last try."""
    for _ in range(TRIES_MAX - 1):
        try:
            return await ask()
        except Refused as error:
            if error.code not in RETRYABLE:
                raise
        except EngineError:
            pass
        await clock.sleep(PAUSE_SECONDS)
    return await ask()
