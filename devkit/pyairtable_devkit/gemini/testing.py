"""The emulator inside a test: in a thread of this process, on a free port of loopback."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType
from typing import Any, Self

import httpx2
import uvicorn

from pyairtable_devkit.gemini.script import Script, parse_script
from pyairtable_devkit.gemini.server import create_app, server_config
from pyairtable_devkit.gemini.settings import API_KEY, Settings

_START_SECONDS = 20.0


class GeminiEmulator:
    """A running Gemini emulator, as a context manager.

    `url` is what a client takes as its base URL, `key` the only key it accepts. Its methods go through the
    control side, so that they work the same against an emulator in another process.
    """

    key = API_KEY

    def __init__(self, settings: Settings | None = None, script: str | None = None) -> None:
        self._settings = settings or Settings()
        self._script = parse_script(script) if script else Script()
        self.url = ""

    def __enter__(self) -> Self:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(server_config(create_app(self._settings, self._script)))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="gemini-emulator", daemon=True
        )
        self._thread.start()
        self._wait_until_started()
        self._http = httpx2.Client(base_url=f"{self.url}/_emulator", timeout=10.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self._server.should_exit = True
        self._thread.join(_START_SECONDS)
        if self._thread.is_alive():
            raise RuntimeError("the Gemini emulator did not stop")

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        """Requests seen after the one with that seq, oldest first."""
        entries: list[dict[str, Any]] = self._call("GET", f"/log?since={since}")["entries"]
        return entries

    def counters(self) -> dict[str, dict[str, int]]:
        """What was counted: calls, models, statuses, sources, tokens."""
        counted: dict[str, dict[str, int]] = self._call("GET", "/counters")
        return counted

    def script(self, script: str | list[dict[str, Any]] | dict[str, Any]) -> dict[str, Any]:
        """Replace the script, given as YAML text or as data; ValueError names what is wrong with it."""
        if isinstance(script, str):
            return self._call("POST", "/script", content=script.encode())
        return self._call("POST", "/script", json=script)

    def script_state(self) -> dict[str, Any]:
        """The script with how many replies of each turn were used."""
        return self._call("GET", "/script")

    def fault(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Add a fault, e.g. fault("status", status=503, times=2)."""
        return self._call("POST", "/faults", json={"kind": kind, **fields})

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._call("DELETE", "/faults")

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings (none: just read them) and return them all."""
        return self._call("PATCH", "/settings", json=changes)

    def reset(self) -> None:
        """Back to how it started."""
        self._call("POST", "/reset")

    def _call(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        response = self._http.request(method, path, **kwargs)
        answer: dict[str, Any] = response.json()
        if response.status_code != 200:
            raise ValueError(answer["error"])
        return answer

    def _wait_until_started(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("the Gemini emulator did not start")
            time.sleep(0.005)
