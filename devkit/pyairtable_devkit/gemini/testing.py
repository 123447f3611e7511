"""The emulator inside a test: in a thread of this process, on a free port of loopback."""

from __future__ import annotations

from typing import Any

from pyairtable_devkit.emulator_thread import RunningEmulator, ServerThread
from pyairtable_devkit.gemini.script import Script, parse_script
from pyairtable_devkit.gemini.server import create_app, server_config
from pyairtable_devkit.gemini.settings import API_KEY, Settings


class GeminiEmulator(RunningEmulator):
    """A running Gemini emulator, as a context manager.

    `url` is what a client takes as its base URL, `key` the only key it accepts.
    """

    key = API_KEY

    def __init__(self, settings: Settings | None = None, script: str | None = None) -> None:
        app = create_app(settings or Settings(), parse_script(script) if script else Script())
        self._server = ServerThread(server_config(app), "Gemini emulator")
        super().__init__(self._server.url)

    def script(self, script: str | list[dict[str, Any]] | dict[str, Any]) -> dict[str, Any]:
        """Replace the script, given as YAML text or as data; ValueError names what is wrong with it."""
        if isinstance(script, str):
            return self._ask("POST", "/script", content=script.encode())
        return self._ask("POST", "/script", json=script)

    def script_state(self) -> dict[str, Any]:
        """The script with how many replies of each turn were used."""
        return self._ask("GET", "/script")
