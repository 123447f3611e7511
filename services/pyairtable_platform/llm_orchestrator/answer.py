"""The text of an answer as it grows: written to the log in pieces that are neither one per token nor one per answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from .ports import Journal

FLUSH_SECONDS = 0.1  # short enough to read along, long enough that a fast model does not cost a row per token


class Answer:
    """The answer of one turn.

    `settled` is what whole model calls gave, `text` that and what the call in progress has given until now. The log
    follows `text` a moment later; when `follow` has returned it holds all of it.
    """

    def __init__(self, journal: Journal, *, text: str, settled: str) -> None:
        self._journal = journal
        self.text = text
        self.settled = settled
        self._unwritten: list[str] = []

    async def begin_call(self) -> None:
        """Before a model call: take back what an earlier call gave and did not bring to an end."""
        if self.text != self.settled:
            await self._journal.rewind(self.settled)
            self.text = self.settled

    def settle(self) -> None:
        """The model call has ended well: its text counts."""
        self.settled = self.text

    async def follow(self, pieces: AsyncIterator[str]) -> None:
        """Append pieces of text as they come, until they end; what they raise is raised once the log has caught up.

        The log is written while the model goes on, so that neither waits for the other.
        """
        arrived: asyncio.Queue[str | None] = asyncio.Queue()
        source = asyncio.create_task(_pump(pieces, arrived))
        try:
            await self._take(arrived)
        finally:
            source.cancel()  # does nothing when it has ended
            await asyncio.wait({source})
        source.result()

    async def write(self, text: str) -> None:
        """Append a sentence of our own."""
        self._add(text)
        await self._flush()

    async def _take(self, arrived: asyncio.Queue[str | None]) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()  # the first piece at once: somebody is waiting for it
        while True:
            try:
                async with asyncio.timeout_at(due if self._unwritten else None):
                    piece = await arrived.get()
            except TimeoutError:
                await self._flush()
                due = loop.time() + FLUSH_SECONDS
                continue
            if piece is None:
                return await self._flush()
            self._add(piece)

    def _add(self, text: str) -> None:
        if not text:
            return
        if self.text == self.settled and self.settled:
            text = "\n\n" + text  # what was said before the tools ran is a paragraph of its own
        self.text += text
        self._unwritten.append(text)

    async def _flush(self) -> None:
        if self._unwritten:
            piece = "".join(self._unwritten)
            self._unwritten.clear()
            await self._journal.add_text(piece)


async def _pump(pieces: AsyncIterator[str], arrived: asyncio.Queue[str | None]) -> None:
    """Move pieces into the queue, in one task, because the clients below bind what they open to a task."""
    try:
        async for piece in pieces:
            arrived.put_nowait(piece)
    finally:
        arrived.put_nowait(None)
