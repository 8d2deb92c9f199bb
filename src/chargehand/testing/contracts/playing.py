"""What the suites of asynchronous ports share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

__all__ = ["Open", "play"]


P = TypeVar("P")
Open = Callable[[], AbstractAsyncContextManager[P]]
"""Makes an adapter inside a running event loop, and cleans up after it."""

TIMEOUT_S = 30.0


def play(opened: Open[P], script: Callable[[P], Awaitable[None]]) -> None:
    """Run a test's coroutine on an adapter of its own, within a bound."""

    async def run() -> None:
        async with opened() as port, asyncio.timeout(TIMEOUT_S):
            await script(port)

    asyncio.run(run())
