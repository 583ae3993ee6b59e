"""Work that is done side by side."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def gathered(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Everything to its end; then the first error that there was is raised, or the results are
    given in order."""
    results = await asyncio.gather(*works, return_exceptions=True)
    done: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done
