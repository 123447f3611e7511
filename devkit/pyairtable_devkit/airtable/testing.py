"""The emulator inside a test: real HTTP on a free loopback port, in a thread of its own.

    with EmulatorThread() as emulator:
        client = httpx2.Client(base_url=emulator.url, headers=emulator.auth())

Everything is controlled over `/_emulator`, so the same works against an emulator in another process
(`EmulatorControl(url)`).
"""

import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import uvicorn

from pyairtable_devkit.airtable.outbound import certificates
from pyairtable_devkit.airtable.server import create_app, listen, server_config
from pyairtable_devkit.airtable.settings import PACKAGED_SEED, Settings

TOKEN_ALL = "patEmulatorAll.everything"  # noqa: S105  (not a real token)
TOKEN_READ_ONLY = "patEmulatorReadOnly.read"  # noqa: S105
TOKEN_ONE_BASE = "patEmulatorOneBase.crm"  # noqa: S105
TOKEN_NO_SCHEMA = "patEmulatorNoSchema.records"  # noqa: S105
BASE = "appAcmeRenovation"
SECOND_BASE = "appAcmeShowroomHQ"


class EmulatorControl:
    """The control side of a running emulator at this URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx2.Client(base_url=url, timeout=60.0, trust_env=False, verify=certificates())

    def auth(self, token: str = TOKEN_ALL) -> dict[str, str]:
        """Request headers that show a token."""
        return {"authorization": f"Bearer {token}"}

    def reset(self) -> None:
        """Seed data and first settings again; no faults, log or counters."""
        self._ask("POST", "/reset")

    def counters(self) -> dict[str, Any]:
        """Calls accepted and refused, by base, token and endpoint, with the peak of a sliding second."""
        return self._ask("GET", "/counters")

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        """The calls that arrived after the one numbered `since`, oldest first."""
        entries: list[dict[str, Any]] = self._ask("GET", f"/log?since={since}")["entries"]
        return entries

    def fault(self, kind: str, **options: Any) -> dict[str, Any]:
        """Puts a fault in force, such as fault("status", status=503, match={"method": "POST"}, times=2)."""
        return self._ask("POST", "/faults", {"kind": kind, **options})

    def clear_faults(self) -> None:
        """No more faults."""
        self._ask("DELETE", "/faults")

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Changes settings, such as settings(penalty=0.5); gives back all of them."""
        return self._ask("PATCH", "/settings", changes)

    def advance(self, seconds: float) -> None:
        """Moves the emulator's date forward: links, offsets and webhooks age."""
        self._ask("POST", "/clock", {"advance": seconds})

    def interface(self, action: str, **what: Any) -> None:
        """Does what only Airtable's interface can, such as interface("delete_field", base=, table=, field=)."""
        self._ask("POST", "/interface", {"action": action, **what})

    def snapshot(self) -> dict[str, Any]:
        """All data, to be given to `restore`."""
        return self._ask("GET", "/state")

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Puts all data back as it was."""
        self._ask("PUT", "/state", snapshot)

    def close(self) -> None:
        """Closes the connection to the control side."""
        self._client.close()

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._client.request(method, f"/_emulator{path}", json=body)
        if answer.status_code != 200:
            raise ValueError(f"{method} /_emulator{path}: {answer.status_code} {answer.text}")
        result: dict[str, Any] = answer.json()
        return result


class EmulatorThread(EmulatorControl):
    """An emulator that runs while the `with` block does.

    Keywords are settings (see `settings.Settings`), for example limits=False or penalty=0.5.
    """

    def __init__(self, *, seed: Path = PACKAGED_SEED, random_seed: int = 1, **settings: Any) -> None:
        chosen = Settings(seed=seed, random_seed=random_seed)
        self._server = uvicorn.Server(server_config(create_app(chosen.changed(settings))))
        self._listener = listen("127.0.0.1", 0)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name="airtable-emulator", daemon=True
        )
        super().__init__(f"http://127.0.0.1:{self._listener.getsockname()[1]}")

    def start(self) -> Self:
        """Starts serving; returns once it answers."""
        self._thread.start()
        self._client.get("/_emulator/counters").raise_for_status()
        return self

    def stop(self) -> None:
        """Stops serving and waits until all is closed."""
        self.close()
        self._server.should_exit = True
        self._thread.join(timeout=15)
        self._listener.close()
        if self._thread.is_alive():
            raise RuntimeError("the emulator did not stop within 15 seconds")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
