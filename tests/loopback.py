"""One test on a loop of its own, in bounded time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

SECONDS_MAX = 20.0
"""A test that waits for longer has failed; nothing is asserted about time."""


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await test()

    uvloop.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
        await asyncio.sleep(0.005)
