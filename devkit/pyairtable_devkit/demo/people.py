"""People as the door and the mailbox see them: registering, proving an address, logging in, working in a workspace."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from pyairtable_devkit.demo.platform import StepFailedError

LETTER_SECONDS = 60.0


class RefusedError(StepFailedError):
    """The platform said no. `status` is HTTP's, `reason` the contract's."""

    def __init__(self, what: str, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.reason = str(problem.get("reason", ""))
        super().__init__(f"{what} answered {status} {self.reason}: {str(problem.get('detail', ''))[:400]}")


class Door:
    """The door's REST API, for whoever shows a credential; empty is nobody."""

    def __init__(self, url: str, credential: str = "") -> None:
        headers = {"authorization": f"Bearer {credential}"} if credential else {}
        self.url = url
        self.credential = credential
        self._http = httpx2.Client(base_url=f"{url}/api", headers=headers, timeout=120, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return self.call("GET", path, query=query)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        return self.call("POST", path, body=body)

    def delete(self, path: str, **query: Any) -> dict[str, Any]:
        return self.call("DELETE", path, query=query)

    def call(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the answer's JSON; raises RefusedError, or StepFailedError when nobody answers."""
        what = f"{method} {self.url}/api{path}"
        try:
            response = self._http.request(method, path, params=dict(query or {}), json=body)
        except httpx2.HTTPError as error:
            raise StepFailedError(f"{what}: {error!r}") from error
        if response.status_code == httpx2.codes.OK:
            return dict(response.json())
        kind = response.headers.get("content-type", "")
        problem = response.json() if kind.startswith("application/problem+json") else {"detail": response.text}
        raise RefusedError(what, response.status_code, problem)


class Mailbox:
    """The letters that the platform sent."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.Client(base_url=url, timeout=LETTER_SECONDS + 10, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def last(self, to: str) -> int:
        """Return the id of the newest letter to an address, 0 when there is none."""
        return max((int(letter["id"]) for letter in self._letters(to, 0, 0)), default=0)

    def token(self, to: str, page: str, *, after: int = 0) -> str:
        """Wait for a letter that came after the one of an id, and return the token in its link to a page."""
        deadline = time.monotonic() + LETTER_SECONDS
        seen = after
        while time.monotonic() < deadline:
            for letter in self._letters(to, seen, 5):
                seen = int(letter["id"])
                if found := re.search(rf"/{page}#token=([\w-]+)", letter["text"]):
                    return found[1]
        raise StepFailedError(f"no letter with a link to /{page} came for {to} within {LETTER_SECONDS:.0f} s")

    def _letters(self, to: str, after: int, wait: float) -> list[dict[str, Any]]:
        try:
            answer = self._http.get("/messages", params={"to": to, "after": after, "wait": wait}).raise_for_status()
        except httpx2.HTTPError as error:
            raise StepFailedError(f"the mailbox: {error!r}") from error
        return list(answer.json()["messages"])


@dataclass
class Person:
    """Somebody with an account, or about to have one."""

    email: str
    display_name: str
    password: str = field(repr=False)

    def sign_up(self, door: Door, mailbox: Mailbox) -> None:
        """Register, take the letter from the mailbox and prove the address."""
        before = mailbox.last(self.email)
        door.post("/auth/register", email=self.email, password=self.password, display_name=self.display_name)
        token = mailbox.token(self.email, "verify-email", after=before)
        account = door.post("/auth/verify-email", token=token)["account"]
        if account["state"] != "ACCOUNT_STATE_ACTIVE":
            raise StepFailedError(f"the account is {account['state']} after its address was proved")

    def log_in(self, door: Door) -> dict[str, Any]:
        """Return the tokens of a new login."""
        return dict(door.post("/auth/login", login=self.email, password=self.password, device="demo")["tokens"])

    def come_in(self, door: Door, mailbox: Mailbox) -> tuple[dict[str, Any], bool]:
        """Log in; who has no account gets one first. Return the tokens, and whether the account is new."""
        try:
            return self.log_in(door), False
        except RefusedError as refusal:
            if refusal.status != httpx2.codes.UNAUTHORIZED:
                raise
        self.sign_up(door, mailbox)
        return self.log_in(door), True


def default_workspace(door: Door, seconds: float = 60.0) -> dict[str, Any]:
    """Wait for the caller's own first workspace, which is made after the address was proved."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for workspace in door.get("/my/workspaces").get("workspaces", []):
            if workspace["source"]["kind"] == "Api":
                return dict(workspace)
        time.sleep(0.2)
    raise StepFailedError(f"there is no workspace of their own after {seconds:.0f} s; GET /api/sagas tells why")
