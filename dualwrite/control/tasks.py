"""Waiting with an end, on the injected clock."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from dualwrite.core.errors import OutcomeUnknown
from dualwrite.core.ports import Clock

T = TypeVar("T")


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``; raises OutcomeUnknown where it takes longer than ``seconds``."""
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise OutcomeUnknown(f"no answer within {seconds:g} s")
        return task.result()
    finally:
        timer.cancel()
        task.cancel()


async def together(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until the first one ends or fails, then end the others; raises what it raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
