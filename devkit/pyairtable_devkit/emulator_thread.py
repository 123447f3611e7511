"""What the emulators have in common inside tests: a server in a thread, and a client of the control side."""

import ssl
import threading
import time
from types import TracebackType
from typing import Any, Self

import httpx2
import uvicorn

from pyairtable_devkit.listening import listen

_SECONDS_TO_START = 20.0
_SECONDS_TO_STOP = 20.0


class ControlClient:
    """The control side (`/_emulator`) of a running emulator, as far as all emulators have it."""

    def __init__(self, url: str, *, verify: ssl.SSLContext | bool = True) -> None:
        self.url = url
        self._http = httpx2.Client(base_url=f"{url}/_emulator", timeout=60.0, trust_env=False, verify=verify)

    def reset(self) -> None:
        """Back to how it started: first data and settings; no faults, log or counters."""
        self._ask("POST", "/reset")

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        """The calls that arrived after the one numbered `since`, oldest first."""
        entries: list[dict[str, Any]] = self._ask("GET", f"/log?since={since}")["entries"]
        return entries

    def counters(self) -> dict[str, Any]:
        """What was counted since the start or the last reset."""
        return self._ask("GET", "/counters")

    def fault(self, kind: str, **options: Any) -> dict[str, Any]:
        """Put a fault in force, such as fault("status", status=503, times=2)."""
        return self._ask("POST", "/faults", json={"kind": kind, **options})

    def clear_faults(self) -> None:
        """No more faults."""
        self._ask("DELETE", "/faults")

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings (none: just read them); gives back all of them."""
        return self._ask("PATCH", "/settings", json=changes)

    def close(self) -> None:
        """Close the connection to the control side."""
        self._http.close()

    def _ask(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        answer = self._http.request(method, path, **body)
        if answer.status_code != 200:
            raise ValueError(f"{method} /_emulator{path}: {answer.status_code} {answer.text}")
        result: dict[str, Any] = answer.json()
        return result


class ServerThread:
    """An ASGI server on a free loopback port, in a thread of this process. Its `url` is known before it starts."""

    def __init__(self, config: uvicorn.Config, name: str) -> None:
        self._server = uvicorn.Server(config)
        self._listener = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name=name, daemon=True
        )

    def start(self) -> None:
        """Start serving; returns once it does."""
        self._thread.start()
        deadline = time.monotonic() + _SECONDS_TO_START
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError(f"the {self._thread.name} did not start")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop serving and wait until all is closed."""
        self._server.should_exit = True
        self._thread.join(_SECONDS_TO_STOP)
        self._listener.close()
        if self._thread.is_alive():
            raise RuntimeError(f"the {self._thread.name} did not stop within {_SECONDS_TO_STOP:.0f} seconds")


class RunningEmulator(ControlClient):
    """A control client whose emulator runs in a thread (`_server`) while the `with` block does."""

    _server: ServerThread

    def start(self) -> Self:
        """Start serving; returns once it answers."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop serving and wait until all is closed."""
        self.close()
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
