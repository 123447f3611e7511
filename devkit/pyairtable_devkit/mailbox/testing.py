"""The mailbox inside a test: in a thread of this process, on free ports of loopback."""

from __future__ import annotations

from typing import Any

import httpx2

from pyairtable_devkit.emulator_thread import RunningEmulator, ServerThread
from pyairtable_devkit.listening import listen
from pyairtable_devkit.mailbox.app import create_app
from pyairtable_devkit.mailbox.server import server_config
from pyairtable_devkit.mailbox.state import Settings, State


class MailboxEmulator(RunningEmulator):
    """A running mailbox, as a context manager. Letters go to `smtp_host`:`smtp_port`; `letters` shows them."""

    smtp_host = "127.0.0.1"

    def __init__(self, settings: Settings | None = None) -> None:
        listener = listen(self.smtp_host, 0)
        self.smtp_port = int(listener.getsockname()[1])
        app = create_app(State(settings or Settings()), listener)
        self._server = ServerThread(server_config(app), "mailbox")
        super().__init__(self._server.url)
        self._messages = httpx2.Client(base_url=self._server.url, timeout=90.0, trust_env=False)

    def letters(self, to: str = "", *, after: int | str = 0, wait: float = 0) -> list[dict[str, Any]]:
        """Letters to an address that came after the one of an id, the oldest first; waits for the first of them."""
        answer = self._messages.get("/messages", params={"to": to, "after": str(after), "wait": str(wait)})
        letters: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
        return letters

    def clear(self) -> None:
        """Forget all letters."""
        self._messages.delete("/messages").raise_for_status()

    def close(self) -> None:
        """Close the connections to it."""
        self._messages.close()
        super().close()
