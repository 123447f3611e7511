"""The demo's person comes in: an account on the first start, a login on every later one, and a key for commands.

demo.env in the data folder holds that key for the shell: `source .devkit/demo.env`.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.markup import escape

from pyairtable_devkit.demo.people import Door, Mailbox, Person, RefusedError, default_workspace
from pyairtable_devkit.demo.platform import StepFailedError
from pyairtable_devkit.demo.show import Show
from pyairtable_devkit.own_secrets import own_secret, write_private
from pyairtable_devkit.ports import LOOPBACK
from pyairtable_devkit.topology import MAILBOX_PORT, OWNER, Plan

MEMBERSHIP_SECONDS = 60.0

Step = tuple[str, Callable[[], str]]
"""A title, and what is done under it: returns what holds, or raises StepFailedError."""


@dataclass
class SignIn:
    """The steps of coming in, in their order. `key` is there after the last of them."""

    plan: Plan
    show: Show
    key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.ada = Person(OWNER, "Ada Okafor", own_secret(self.plan.data_dir / "secrets", "ada-password"))
        self._door = Door(self.plan.http("api-gateway"))
        self._mailbox = Mailbox(f"http://{LOOPBACK}:{self.plan.port(MAILBOX_PORT)}")

    def close(self) -> None:
        self._door.close()
        self._mailbox.close()

    def steps(self) -> list[Step]:
        """Return the steps; each needs those before it."""
        return [
            ("An account", self.come_in),
            ("Her workspaces", self.look_around),
            ("An API key for programs", self.take_key),
        ]

    def come_in(self) -> str:
        """Log in, and before that register and prove the address when there is no account yet."""
        tokens, is_new = self.ada.come_in(self._door, self._mailbox)
        self._door.close()
        self._door = Door(self._door.url, tokens["access_token"])
        user = self._door.get("/auth/me")["account"]["user_name"]
        if is_new:
            return f"{OWNER} registered, proved the address with the link of the letter, and is logged in as {user}"
        return f"{OWNER} is logged in as {user}"

    def look_around(self) -> str:
        """Find her own first workspace, and the demo's, which its document says is hers."""
        own, declared = default_workspace(self._door), self._declared()
        for name, what in ((own["name"], "her own, made with the account"), (declared, "declared, with a base")):
            self.show.line(f"  {escape(name)}: {what}")
        return f"she owns {own['name']} and {declared}"

    def take_key(self) -> str:
        """Go on with the key of the last start while it counts, else make one; write it for the shell."""
        workspace, path = self._declared(), self.plan.data_dir / "demo.env"
        self.key = self._known_key(path, workspace)
        is_new = not self.key
        if is_new:
            self.key = str(self._door.post("/api-keys", workspace=workspace, name="demo")["key"])
        url = self.plan.http("api-gateway").replace(LOOPBACK, "localhost")
        write_private(path, f"export PYAIRTABLE_API_KEY={self.key}\nexport PYAIRTABLE_URL={url}\n")
        self.show.line(f"  for commands: source {escape(str(path))}")
        return f"{'a new key' if is_new else 'the key of the last start'} opens {workspace}"

    def _declared(self) -> str:
        """Wait until she owns the workspace of the document: it is hers as soon as her address is proved."""
        deadline = time.monotonic() + MEMBERSHIP_SECONDS
        while time.monotonic() < deadline:
            for workspace in self._door.get("/my/workspaces").get("workspaces", []):
                if workspace["source"]["kind"] == "File":
                    return str(workspace["name"])
            time.sleep(0.2)
        raise StepFailedError(f"{OWNER} owns no workspace of a document after {MEMBERSHIP_SECONDS:.0f} s")

    def _known_key(self, path: Path, workspace: str) -> str:
        found = re.search(r"PYAIRTABLE_API_KEY=(\S+)", path.read_text()) if path.exists() else None
        if found is None:
            return ""
        try:
            said = self._door.post("/auth/validate", token=found[1])
        except RefusedError:
            return ""
        return found[1] if said["workspace"] == workspace else ""


def sign_in(plan: Plan, show: Show) -> bool:
    """Take the steps without the demo; say how to go on. Returns whether each held."""
    coming = SignIn(plan, show)
    try:
        for title, step in coming.steps():
            with show.busy(f"{title} ..."):
                held = step()
            show.held(held)
    except StepFailedError as error:
        show.failed(str(error))
        return False
    finally:
        coming.close()
    return True
