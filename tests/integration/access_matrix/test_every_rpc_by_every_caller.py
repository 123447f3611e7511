"""The matrix: every RPC of the contract, by every kind of caller, in every workspace that it can name.

What is expected is computed from the options beside the RPC (`expected`), what happens is asked of a real server of the
kit, in which stand-ins answer for all services.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import MethodDescriptor
from integration.access_matrix.contract import every_rpc
from integration.access_matrix.stand_in import (
    PEER,
    Caller,
    Installation,
    Outcome,
    bearer,
    classes_of,
    installation,
    method_named,
)

from pyairtable_platform.common.access import workspace_fields
from pyairtable_protos.common.v1 import access_pb2

TOLD_AT_THE_END = "told at the end"
"""The property that tests/conftest.py prints after all tests, whichever worker ran them."""

OWN, FOREIGN, NOWHERE, ASLEEP = "acme", "beta", "never-heard-of", "asleep"
HEADER = "pyairtable-workspace"

# Written down once more, not taken from roles.py: a mistake there must show here.
MAY = {
    "viewer": {"NEED_READ"},
    "editor": {"NEED_READ", "NEED_WRITE", "NEED_DESTROY", "NEED_SCHEMA"},
    "admin": {"NEED_READ", "NEED_WRITE", "NEED_DESTROY", "NEED_SCHEMA", "NEED_MANAGE"},
    "owner": {"NEED_READ", "NEED_WRITE", "NEED_DESTROY", "NEED_SCHEMA", "NEED_MANAGE", "NEED_OWN"},
}

IN = "in"
NOT_KNOWN = "UNAUTHENTICATED"
DENIED = "DENIED"
SUSPENDED = "WORKSPACE_SUSPENDED"
REQUIRED = "WORKSPACE_REQUIRED"


@dataclass(frozen=True)
class Who:
    """A kind of caller, as the rules see it."""

    kind: str
    """nobody, wrong (a credential that does not count), peer, person or key."""
    roles: tuple[tuple[str, str], ...] = ()
    """Of a person: the role in each workspace; of a key: the one workspace and its role."""
    is_admin: bool = False
    is_suspended: bool = False


WHO = {
    "owner": Who("person", ((OWN, "owner"),)),
    "admin": Who("person", ((OWN, "admin"),)),
    "editor": Who("person", ((OWN, "editor"),)),
    "viewer": Who("person", ((OWN, "viewer"),)),
    "member of two": Who("person", ((OWN, "viewer"), (FOREIGN, "owner"))),
    "member of another workspace": Who("person", ((FOREIGN, "owner"),)),
    "person in no workspace": Who("person"),
    "administrator": Who("person", is_admin=True),
    "access key": Who("key", ((OWN, "editor"),)),
    "access key of an owner": Who("key", ((OWN, "owner"),)),
    "API key of a person": Who("key", ((OWN, "viewer"),)),
    "identity token of an editor": Who("key", ((OWN, "editor"),)),
    "peer": Who("peer"),
    "peer for a viewer": Who("key", ((OWN, "viewer"),)),
    "anonymous": Who("nobody"),
    "expired": Who("wrong"),
    "wrong audience": Who("wrong"),
    "forged": Who("wrong"),
    "revoked": Who("wrong"),
    "suspended workspace": Who("key", ((ASLEEP, "owner"),), is_suspended=True),
}


def shown(auth: Any) -> dict[str, dict[str, str]]:
    """What each caller sends."""
    for name, who in WHO.items():
        auth.members.update({(workspace, name): role for workspace, role in who.roles})
    auth.admins.add("administrator")
    auth.suspended.add(ASLEEP)
    people = {name: bearer(auth.access_token(name)) for name, who in WHO.items() if who.kind == "person"}
    viewer = auth.signed(auth.claims("user:viewer", "api-key:of-the-viewer", OWN, "viewer", exp=int(time.time()) + 900))
    editor = auth.signed(auth.claims("access-key:e", "access-key:e", OWN, "editor", exp=int(time.time()) + 900))
    revoked = auth.key("pya", OWN, "owner")
    auth.revoke(session=auth.keys[revoked].session)
    now = int(time.time())
    expired = auth.claims("user:owner", "login:owner", OWN, "owner", iat=now - 900, exp=now - 600)
    return {
        **people,
        "access key": bearer(auth.key("pya", OWN, "editor")),
        "access key of an owner": bearer(auth.key("pya", OWN, "owner")),
        "API key of a person": {"x-api-key": auth.key("pyu", OWN, "owner", "viewer")},
        "identity token of an editor": bearer(editor),
        "peer": PEER,
        "peer for a viewer": PEER | bearer(viewer),
        "anonymous": {},
        "expired": bearer(auth.signed(expired)),
        "wrong audience": bearer(auth.signed(auth.claims("user:owner", "login:owner", OWN, "owner", aud="elsewhere"))),
        "forged": bearer(auth.access_token("owner")[:-3] + "AAA"),
        "revoked": bearer(revoked),
        "suspended workspace": bearer(auth.key("pya", ASLEEP, "owner")),
    }


def expected(method: MethodDescriptor, who: Who, named: str) -> str:
    """What the contract says becomes of a call."""
    options = method.GetOptions()
    rule = access_pb2.Caller.Name(options.Extensions[access_pb2.caller])
    need = access_pb2.Need.Name(options.Extensions[access_pb2.need])
    if rule == "CALLER_PUBLIC":
        return IN
    if rule == "CALLER_PEER":
        return {"peer": IN, "nobody": NOT_KNOWN}.get(who.kind, DENIED)
    if who.kind in ("nobody", "wrong"):
        return NOT_KNOWN
    if who.is_suspended:
        return SUSPENDED
    if rule == "CALLER_KNOWN":
        return IN
    if rule == "CALLER_PERSON":
        return IN if who.kind == "person" else DENIED
    if who.kind == "peer":
        return IN
    if rule == "CALLER_ADMIN":
        return IN if who.is_admin else DENIED
    roles = dict(who.roles)
    if not named and len(roles) != 1:
        return REQUIRED
    role = roles.get(named or next(iter(roles)), "")
    return IN if need in MAY.get(role, set()) else DENIED


@dataclass(frozen=True)
class Case:
    """One call."""

    method: MethodDescriptor
    caller: str
    workspace: str
    path: tuple[str, ...] = ()
    """The field that names the workspace; empty: the header does."""

    @property
    def request(self) -> Any:
        request = classes_of(self.method)[0]()
        if self.path and self.workspace:
            holder = request if len(self.path) == 1 else getattr(request, self.path[0])
            setattr(holder, self.path[-1], self.workspace)
        return request

    @property
    def header(self) -> dict[str, str]:
        return {HEADER: self.workspace} if self.workspace and not self.path else {}

    @property
    def expected(self) -> str:
        rule = self.method.GetOptions().Extensions[access_pb2.caller] or access_pb2.CALLER_WORKSPACE
        # Only who enters a workspace, or is in one, is asked which one is meant.
        named = self.workspace if rule == access_pb2.CALLER_WORKSPACE else ""
        return expected(self.method, WHO[self.caller], named)


def cases() -> Iterator[Case]:
    for method in every_rpc():
        for caller in WHO:
            yield Case(method, caller, "")
            for workspace in (OWN, FOREIGN, NOWHERE):
                yield Case(method, caller, workspace)
                for path in workspace_fields(method.input_type):
                    yield Case(method, caller, workspace, path)


def happened(outcome: Outcome) -> str:
    """An outcome in the words of what is expected; what only the contents of a request are refused for came in."""
    came_in = outcome.code is grpc.StatusCode.OK or outcome.reason == "INVALID_INPUT"
    return IN if came_in else outcome.reason


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running() -> AsyncIterator[Installation]:
    async with installation() as found:
        yield found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.asyncio(loop_scope="module")
async def test_every_rpc_by_every_caller(running: Installation, record_property: Callable[[str, object], None]) -> None:
    headers = shown(running.auth)
    counted: Counter[str] = Counter()
    wrong = []
    async with Caller(running.target) as caller:
        for case in cases():
            outcome = await caller.outcome(case.method, case.request, headers[case.caller] | case.header)
            found = happened(outcome)
            counted[found] += 1
            if found != case.expected:
                wrong.append(
                    f"{case.method.full_name} {case.caller} {case.workspace} {case.path}: {outcome} {case.expected}"
                )
    told = ", ".join(f"{count:,} {name}" for name, count in sorted(counted.items()))
    size = f"{len(every_rpc())} RPCs x {len(WHO)} callers = {counted.total():,} calls"
    record_property(TOLD_AT_THE_END, f"access matrix: {size} ({told})")
    assert not wrong, "\n".join(wrong[:40])
    assert counted.total() > 5000


@pytest.mark.asyncio(loop_scope="module")
async def test_who_came_in_is_who_called(running: Installation) -> None:
    """The servicer sees the identity that was let in, in the workspace that was named."""
    headers = shown(running.auth)
    method = method_named("ChatService.ListSessions")
    request = classes_of(method)[0]
    async with Caller(running.target) as caller:
        for name, named, principal, workspace, role in (
            ("viewer", "", "user:viewer", OWN, "viewer"),
            ("member of two", FOREIGN, "user:member of two", FOREIGN, "owner"),
            ("member of two", OWN, "user:member of two", OWN, "viewer"),
            ("API key of a person", "", "user:viewer", OWN, "viewer"),
            ("access key", OWN, running.auth.keys[headers["access key"]["authorization"][7:]].session, OWN, "editor"),
        ):
            running.calls.seen.clear()
            assert (await caller.outcome(method, request(workspace=named), headers[name])).code is grpc.StatusCode.OK
            identity = running.calls.seen[-1].identity
            assert identity is not None
            assert (identity.principal, identity.workspace, identity.role) == (principal, workspace, role)
            assert running.calls.seen[-1].workspace == workspace
        await caller.outcome(method, request(workspace=OWN), PEER)
        assert running.calls.seen[-1].identity is None
        assert running.calls.seen[-1].workspace == OWN


def test_whoever_is_known_lists_workspaces_without_naming_one() -> None:
    method = method_named("WorkspaceService.ListWorkspaces")
    found = {name: expected(method, who, "") for name, who in WHO.items()}
    assert found["member of two"] == found["person in no workspace"] == found["access key"] == IN
    assert {found["anonymous"], found["expired"], found["revoked"]} == {NOT_KNOWN}


def test_the_matrix_would_notice() -> None:
    """Expectations differ by caller and by need; else the matrix would prove nothing."""
    method = method_named("WorkspaceService.DeleteWorkspace")
    found = {name: expected(method, who, OWN) for name, who in WHO.items()}
    assert {name for name, outcome in found.items() if outcome == IN} == {"owner", "access key of an owner", "peer"}
    assert expected(method, replace(WHO["owner"], roles=((FOREIGN, "owner"),)), OWN) == DENIED
