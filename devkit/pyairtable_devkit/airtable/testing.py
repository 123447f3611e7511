"""The emulator inside a test: real HTTP on a free loopback port, in a thread of its own.

    with EmulatorThread() as emulator:
        client = httpx2.Client(base_url=emulator.url, headers=emulator.auth())

Everything is controlled over `/_emulator`, so the same works against an emulator in another process
(`EmulatorControl(url)`).
"""

from pathlib import Path
from typing import Any

from pyairtable_devkit.airtable.outbound import certificates
from pyairtable_devkit.airtable.server import create_app, server_config
from pyairtable_devkit.airtable.settings import PACKAGED_SEED, Settings
from pyairtable_devkit.emulator_thread import ControlClient, RunningEmulator, ServerThread

TOKEN_ALL = "patEmulatorAll.everything"  # noqa: S105  (not a real token)
TOKEN_READ_ONLY = "patEmulatorReadOnly.read"  # noqa: S105
TOKEN_ONE_BASE = "patEmulatorOneBase.crm"  # noqa: S105
TOKEN_NO_SCHEMA = "patEmulatorNoSchema.records"  # noqa: S105
BASE = "appAcmeRenovation"
SECOND_BASE = "appAcmeShowroomHQ"


class EmulatorControl(ControlClient):
    """The control side of a running emulator at this URL."""

    def __init__(self, url: str) -> None:
        super().__init__(url, verify=certificates())

    def auth(self, token: str = TOKEN_ALL) -> dict[str, str]:
        """Request headers that show a token."""
        return {"authorization": f"Bearer {token}"}

    def advance(self, seconds: float) -> None:
        """Moves the emulator's date forward: links, offsets and webhooks age."""
        self._ask("POST", "/clock", json={"advance": seconds})

    def interface(self, action: str, **what: Any) -> None:
        """Does what only Airtable's interface can, such as interface("delete_field", base=, table=, field=)."""
        self._ask("POST", "/interface", json={"action": action, **what})

    def snapshot(self) -> dict[str, Any]:
        """All data, to be given to `restore`."""
        return self._ask("GET", "/state")

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Puts all data back as it was."""
        self._ask("PUT", "/state", json=snapshot)


class EmulatorThread(RunningEmulator, EmulatorControl):
    """An emulator that runs while the `with` block does.

    Keywords are settings (see `settings.Settings`), for example limits=False or penalty=0.5.
    """

    def __init__(self, *, seed: Path = PACKAGED_SEED, random_seed: int = 1, **settings: Any) -> None:
        app = create_app(Settings(seed=seed, random_seed=random_seed).changed(settings))
        self._server = ServerThread(server_config(app), "Airtable emulator")
        super().__init__(self._server.url)
