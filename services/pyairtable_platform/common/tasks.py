"""Ending tasks."""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN_SECONDS = 1.0


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks until they have ended, however they end.

    Once is not always enough: before Python 3.12 asyncio.wait_for, which libraries use, may forget a cancellation that
    comes as what it waits for ends (python/cpython#86296).
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
