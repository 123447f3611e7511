"""The journey: two people, from registration over a shared workspace with a base to a removal that holds at once."""

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

import httpx2

from pyairtable_devkit.demo.people import Door, Person, RefusedError, default_workspace
from pyairtable_devkit.demo.platform import StepFailedError
from pyairtable_devkit.demo.questions import require
from pyairtable_devkit.e2e.world import World, output

BASE = "appAcmeShowroomHQ"
"""A base of the emulator that no document binds."""
AT_ONCE = 1.0  # seconds: what is promised for a removal
REFUSALS = (401, 403, 404)


def journey(world: World) -> Iterator[str]:
    """Yield each fact as it holds; raises StepFailedError where one does not."""
    grace, linus = world.person("grace"), world.person("linus")
    door = yield from comes_in(world, grace)
    workspace = make_workspace(door, f"Team {world.mark}")
    yield f"created the workspace {workspace}"
    guest, user_id = yield from invites(world, door, workspace, linus)
    tables = connect_base(door, workspace)
    yield f"connected a base with {tables} tables, verified with Airtable"
    yield chats(guest, workspace)
    key = str(guest.post("/api-keys", workspace=workspace, name="journey")["key"])
    yield uses_key(world, key, workspace)
    yield removal_holds(world, door, guest, key, workspace, user_id)


def comes_in(world: World, person: Person) -> Generator[str, None, Door]:
    """Register, verify, log in; returns the door as the person sees it."""
    stranger = world.door()
    person.sign_up(stranger, world.mailbox)
    yield f"{person.display_name} registered and proved the address with the letter's link"
    door = world.door(person.log_in(stranger)["access_token"])
    own = default_workspace(door)
    yield f"logged in, finds the default workspace {own['name']}"
    return door


def make_workspace(door: Door, title: str) -> str:
    made = door.post("/workspaces", display_name=title)
    require("workspace" in made, f"the workspace was not ready in time: saga {made.get('saga_id')}")
    return str(made["workspace"]["name"])


def invites(world: World, door: Door, workspace: str, guest: Person) -> Generator[str, None, tuple[Door, str]]:
    """Invite an address that gets its account then; returns the guest's door and user id."""
    before = world.mailbox.last(guest.email)
    door.post(f"/workspaces/{workspace}/invitations", email=guest.email, role="editor")
    token = world.mailbox.token(guest.email, "invitations", after=before)
    theirs = yield from comes_in(world, guest)
    accepted = theirs.post("/my/invitations/accept", token=token)
    require((accepted["workspace"], accepted["role"]) == (workspace, "editor"), f"accepted is {accepted}")
    refused(lambda: theirs.post("/my/invitations/accept", token=token), "an invitation that was used")
    members = door.get(f"/workspaces/{workspace}/members")["members"]
    user_id = next(member["user_id"] for member in members if member["role"] == "editor")
    yield f"{guest.display_name} accepted the invitation as editor, which counts once"
    return theirs, str(user_id)


def connect_base(door: Door, workspace: str) -> int:
    made = door.post(f"/workspaces/{workspace}/bases", base_id=BASE, name="showroom", access="BASE_ACCESS_READ_WRITE")
    require("base" in made, f"the base was not ready in time: saga {made.get('saga_id')}")
    schema = door.get(f"/bases/{BASE}/schema", workspace=workspace)
    return len(schema["tables"])


def chats(door: Door, workspace: str) -> str:
    body = {"message": "List all tables in my Airtable base", "session_id": "journey", "workspace": workspace}
    answer = door.call("POST", "/chat", body=body)
    names = [table["name"] for table in door.get(f"/bases/{BASE}/schema", workspace=workspace)["tables"]]
    missing = [name for name in names if name not in answer["response"]]
    require(not missing, f"the chat leaves out {', '.join(missing)}")
    return f"chatted: the answer names all {len(names)} tables"


def uses_key(world: World, key: str, workspace: str) -> str:
    """The same key from curl, grpcurl and an MCP client."""
    url = f"{world.plan.http('airtable-gateway')}/bases"
    bases = json.loads(output(["curl", "-sS", "--fail", "--noproxy", "*", "-H", f"Authorization: Bearer {key}", url]))
    require([base["id"] for base in bases["bases"]] == [BASE], f"curl sees {bases}")
    listed = world.grpc(key, "pyairtable.workspaces.v1.WorkspaceService/ListWorkspaces")
    require(f'"{workspace}"' in listed, f"grpcurl sees {listed}")
    called = world.mcp(key, "tools/call", name="list_tables", arguments={})
    require((not called.get("isError") and BASE in json.dumps(called)) or "tables" in json.dumps(called), f"{called}")
    return "an API key works from curl, grpcurl and MCP"


@dataclass
class OpenStream:
    """A chat stream that is being read. `ended_at` is a time of `time.monotonic`, 0 while it is open."""

    url: str
    credential: str
    workspace: str
    started: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    ended_at: float = 0.0
    last: str = ""

    def read(self) -> None:
        body = {"message": "List all tables", "session_id": "removal", "workspace": self.workspace}
        headers = {"authorization": f"Bearer {self.credential}"}
        try:
            with httpx2.stream(
                "POST", f"{self.url}/api/chat/stream", json=body, headers=headers, timeout=60, trust_env=False
            ) as answer:
                for line in answer.iter_lines():
                    self.started.set()
                    self.last = line or self.last
        except httpx2.HTTPError as error:
            self.last = repr(error)
        self.ended_at = time.monotonic()
        self.ended.set()


def removal_holds(world: World, owner: Door, guest: Door, key: str, workspace: str, user_id: str) -> str:
    """Remove the guest while a stream is open; how long until each of three ways in is closed."""
    fault = httpx2.post(f"{world.gemini}/_emulator/faults", json={"kind": "delay", "seconds": 20, "times": 5})
    fault.raise_for_status()
    stream = OpenStream(guest.url, guest.credential, workspace)
    threading.Thread(target=stream.read, daemon=True).start()
    require(stream.started.wait(30), "the stream did not begin")
    require(not stream.ended.is_set(), f"the stream ended before the removal: {stream.last[:200]}")
    owner.delete(f"/workspaces/{workspace}/members/{user_id}")
    removed = time.monotonic()
    by_key = world.door(key)
    took = {
        "the next call": until_refused(lambda: guest.get("/bases", workspace=workspace), removed),
        "the API key": until_refused(lambda: by_key.get("/bases"), removed),
    }
    stream.ended.wait(15)
    httpx2.delete(f"{world.gemini}/_emulator/faults").raise_for_status()
    took["the open stream"] = max(0.0, stream.ended_at - removed) if stream.ended_at else float("inf")
    late = [f"{what} after {seconds:.2f} s" for what, seconds in took.items() if seconds > AT_ONCE]
    require(not late, f"after the removal these ended too late: {'; '.join(late)}")
    require("UNAUTHENTICATED" in stream.last or "DENIED" in stream.last, f"the stream ended with {stream.last[:200]}")
    return "was removed; refused since: " + ", ".join(f"{what} ({seconds:.2f} s)" for what, seconds in took.items())


def until_refused(call: Callable[[], object], since: float) -> float:
    """Repeat a call until it is refused; returns seconds since then."""
    while time.monotonic() < since + 15:
        try:
            call()
        except RefusedError as refusal:
            if refusal.status in REFUSALS:
                return time.monotonic() - since
            raise
        time.sleep(0.02)
    return float("inf")


def refused(call: Callable[[], object], what: str, statuses: tuple[int, ...] = (400, *REFUSALS)) -> None:
    """Raise StepFailedError unless a call is refused."""
    try:
        call()
    except RefusedError as refusal:
        if refusal.status not in statuses:
            raise
        return
    raise StepFailedError(f"{what} was accepted")
