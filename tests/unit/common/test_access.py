"""Who may call what: the rule of the contract, what a caller shows, and from where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import jwt
import pytest
from integration.access_matrix.contract import every_rpc
from pydantic import SecretStr

from pyairtable_platform.common import context
from pyairtable_platform.common.access import (
    ADMIN,
    PEER,
    PERSON,
    PUBLIC,
    WORKSPACE,
    Access,
    check_need,
    check_workspaces,
    credentials,
    grpc_peer_address,
    is_loopback,
    named_workspaces,
    rule_of,
)
from pyairtable_platform.common.authorizer import Authorizer
from pyairtable_platform.common.context import CallContext
from pyairtable_platform.common.errors import Denied, Internal, InvalidInput, PyAirtableError, Unauthenticated
from pyairtable_platform.common.identity import Identity
from pyairtable_platform.common.remembered import Remembered
from pyairtable_platform.common.revocations import Revocations
from pyairtable_platform.common.roles import Need, scope_of
from pyairtable_platform.common.settings import ServiceSettings
from pyairtable_protos.chat.v1 import chat_service_pb2 as chat
from pyairtable_protos.workspaces.v1 import workspace_pb2
from pyairtable_protos.workspaces.v1 import workspace_service_pb2 as workspaces

HERE, ELSEWHERE = "127.0.0.1", "10.0.0.1"
API_KEY = "not-a-secret-but-long"
KEY = "pya_abcdefghijkl_" + "x" * 43
WRONG_KEY = "pya_abcdefghijkl_" + "y" * 43
TOKEN, WRONG_TOKEN = (
    jwt.encode({"iss": "pyairtable-auth", "jti": name}, "x" * 32, "HS256") for name in ("good", "wrong")
)


def identity(role: str = "editor") -> Identity:
    return Identity("access-key:abcdefghijkl", "acme", role, frozenset(scope_of(role).split()), 2e9, TOKEN)


@dataclass
class FakeAuthorizer:
    """Knows one key and one token."""

    revocations: Revocations = field(default_factory=Revocations)

    async def of_credential(self, credential: str, workspace: str) -> Identity:
        return self._found(credential == KEY)

    async def of_token(self, token: str) -> Identity:
        return self._found(token == TOKEN)

    def known(self, key: str) -> Identity | None:
        return identity() if key == KEY else None

    def _found(self, right: bool) -> Identity:
        if not right:
            raise Unauthenticated("not accepted")
        return identity()


def access(api_key: str = "", auth: bool = True) -> Access:
    settings = ServiceSettings(api_key=SecretStr(api_key) if api_key else None)
    return Access(settings, cast(Authorizer, FakeAuthorizer()) if auth else None)


def bearer(credential: str, api_key: str = "") -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"} | ({"x-api-key": api_key} if api_key else {})


NOTHING: dict[str, str] = {}
TENANT, AS_PEER, REFUSED, DENIED = "tenant", "peer", Unauthenticated, Denied

OPEN = [  # development without API_KEY: shown, from, WORKSPACE, PEER
    (NOTHING, HERE, AS_PEER, AS_PEER),
    (NOTHING, ELSEWHERE, REFUSED, REFUSED),
    (bearer(KEY), HERE, TENANT, DENIED),
    (bearer(KEY), ELSEWHERE, TENANT, DENIED),
    ({"x-api-key": KEY}, ELSEWHERE, TENANT, DENIED),
    (bearer(KEY) | {"x-api-key": KEY}, HERE, TENANT, DENIED),
    (bearer(TOKEN), ELSEWHERE, TENANT, DENIED),
    (bearer(WRONG_KEY), HERE, REFUSED, DENIED),
    (bearer(WRONG_TOKEN), HERE, REFUSED, DENIED),
    (bearer(KEY) | {"x-api-key": WRONG_KEY}, HERE, REFUSED, REFUSED),
    ({"x-api-key": "anything"}, HERE, REFUSED, REFUSED),
    (bearer(KEY, "anything"), HERE, REFUSED, DENIED),
    ({"authorization": "Basic YTpi"}, HERE, REFUSED, REFUSED),
    ({"authorization": "Bearer"}, HERE, REFUSED, REFUSED),
    ({"authorization": KEY}, HERE, REFUSED, REFUSED),
]
CLOSED = [  # with API_KEY
    (NOTHING, HERE, REFUSED, REFUSED),
    ({"x-api-key": API_KEY}, ELSEWHERE, AS_PEER, AS_PEER),
    ({"x-api-key": API_KEY[:-1]}, HERE, REFUSED, REFUSED),
    ({"x-api-key": API_KEY + " "}, HERE, REFUSED, REFUSED),
    ({"x-api-key": "kéy"}, HERE, REFUSED, REFUSED),
    (bearer(API_KEY), HERE, REFUSED, DENIED),
    (bearer(KEY), ELSEWHERE, TENANT, DENIED),
    (bearer(TOKEN, API_KEY), ELSEWHERE, TENANT, DENIED),
    (bearer(KEY, "smuggled"), ELSEWHERE, REFUSED, DENIED),
    (bearer(WRONG_TOKEN, API_KEY), ELSEWHERE, REFUSED, DENIED),
]


async def outcome(access: Access, rule: int, address: str, headers: dict[str, str]) -> Any:
    try:
        found = await access.admit(rule, address, headers)
    except PyAirtableError as error:
        return type(error)
    return AS_PEER if found is None else TENANT


@pytest.mark.parametrize(
    ("api_key", "shown", "address", "workspace", "peer"),
    [("", *row) for row in OPEN] + [(API_KEY, *row) for row in CLOSED],
)
async def test_the_rules(api_key: str, shown: dict[str, str], address: str, workspace: Any, peer: Any) -> None:
    rules = access(api_key)
    assert await outcome(rules, WORKSPACE, address, shown) == workspace
    assert await outcome(rules, PEER, address, shown) == peer
    assert await outcome(rules, PUBLIC, address, shown) == AS_PEER


def made(principal: str, session: str, workspace: str, role: str, scope: str) -> Identity:
    return Identity(principal, workspace, role, frozenset(scope.split()), 2e9, "t", None, session, 1)


CALLERS: dict[str, Identity | None] = {
    "person in no workspace": made("user:1", "login:1", "", "", ""),
    "person in a workspace": made("user:1", "login:1", "acme", "viewer", "read"),
    "administrator": made("user:1", "login:1", "", "", "admin"),
    "administrator in a workspace": made("user:1", "login:1", "acme", "owner", "read own admin"),
    "API key of an administrator": made("user:1", "api-key:1", "acme", "owner", "read own admin"),
    "access key": made("access-key:1", "access-key:1", "acme", "owner", "read own"),
    "access key that says it is an administrator's": made("access-key:1", "access-key:1", "acme", "owner", "admin"),
    "access key that says it is a login": made("access-key:1", "login:1", "acme", "owner", "admin"),
    "ServiceAccount": made("service-account:a:b", "service-account:u", "acme", "owner", "read own"),
    "peer": None,
}
COME_IN: dict[int, set[str]] = {
    PERSON: {
        "person in no workspace",
        "person in a workspace",
        "administrator",
        "administrator in a workspace",
    },
    ADMIN: {"administrator", "administrator in a workspace", "peer"},
    WORKSPACE: set(CALLERS),
    PEER: {"peer"},
}


@pytest.mark.parametrize("rule", list(COME_IN))
@pytest.mark.parametrize("name", list(CALLERS))
async def test_people_and_administrators(rule: int, name: str) -> None:
    who = CALLERS[name]

    class Knows(FakeAuthorizer):
        async def of_credential(self, credential: str, workspace: str) -> Identity:
            assert who is not None
            return who

    settings = ServiceSettings(api_key=SecretStr(API_KEY))
    rules = Access(settings, cast(Authorizer, Knows()))
    shown = {"x-api-key": API_KEY} if who is None else bearer(KEY)
    expected = (AS_PEER if who is None else TENANT) if name in COME_IN[rule] else DENIED
    assert await outcome(rules, rule, ELSEWHERE, shown) == expected
    if who is not None:  # a peer that calls for somebody may no more
        assert await outcome(rules, rule, ELSEWHERE, shown | {"x-api-key": API_KEY}) == expected


@pytest.mark.parametrize("rule", [PERSON, ADMIN])
async def test_nobody_is_no_person(rule: int) -> None:
    assert await outcome(access(API_KEY), rule, HERE, NOTHING) is REFUSED
    is_open = await outcome(access(), rule, HERE, NOTHING)
    assert is_open == (REFUSED if rule == PERSON else AS_PEER)


class Elsewhere(FakeAuthorizer):
    """Answers for another workspace, or another person, than was asked for."""

    answer = made("user:2", "login:2", "beta", "owner", "read")

    async def entered(self, identity: Identity, workspace: str) -> Identity:
        return self.answer


async def test_an_answer_for_somebody_else_is_not_taken() -> None:
    rules = Access(ServiceSettings(api_key=SecretStr(API_KEY)), cast(Authorizer, Elsewhere()))
    for principal, workspace in (("user:1", "beta"), ("user:2", "acme")):
        with pytest.raises(Internal):
            await rules.entered(made(principal, "login:1", "", "", ""), workspace)
    assert (await rules.entered(made("user:2", "login:2", "", "", ""), "")).workspace == "beta"
    with pytest.raises(Denied, match='"acme" only'):
        await rules.entered(identity(), "beta")
    assert await rules.entered(identity(), "acme") == identity()


PERSONS = jwt.encode({"iss": "pyairtable-auth"}, "x" * 32, "HS256", headers={"typ": "at+jwt"})
PODS = jwt.encode({"iss": "https://kubernetes.example"}, "x" * 32, "HS256")


@dataclass
class Changing(FakeAuthorizer):
    """Accepts everything until it is closed, and notes what it was asked."""

    is_closed: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def of_credential(self, credential: str, workspace: str) -> Identity:
        self.asked.append(("credential", workspace))
        return self._found(not self.is_closed)

    async def of_token(self, token: str) -> Identity:
        self.asked.append(("token", ""))
        return self._found(not self.is_closed)


@pytest.mark.parametrize(
    ("credential", "asked"),
    [
        (KEY, ("credential", "")),
        (TOKEN, ("token", "")),
        (PERSONS, ("credential", "")),
        (PODS, ("credential", "acme")),
    ],
    ids=["key", "identity token", "access token", "ServiceAccount token"],
)
async def test_a_credential_seen_before_is_asked_about_in_the_same_way(
    credential: str, asked: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    authorizer = Changing()
    rules = Access(ServiceSettings(), cast(Authorizer, authorizer))
    await rules.admit(WORKSPACE, HERE, bearer(credential), "acme")
    # Parsing is what a credential seen before does not cost again.
    monkeypatch.setattr("pyairtable_platform.common.access.kind_of", None)
    await rules.admit(WORKSPACE, HERE, bearer(credential), "acme")
    assert authorizer.asked == [asked, asked]
    authorizer.is_closed = True
    with pytest.raises(Unauthenticated):
        await rules.admit(WORKSPACE, HERE, bearer(credential), "acme")


async def test_what_strangers_show_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    authorizer = Changing()
    rules = Access(ServiceSettings(), cast(Authorizer, authorizer))
    monkeypatch.setattr(rules, "_kinds", Remembered(1))
    await rules.admit(WORKSPACE, HERE, bearer(TOKEN))
    authorizer.is_closed = True
    with pytest.raises(Unauthenticated):
        await rules.admit(WORKSPACE, HERE, bearer(WRONG_TOKEN))
    authorizer.is_closed = False
    monkeypatch.setattr("pyairtable_platform.common.access.kind_of", None)
    await rules.admit(WORKSPACE, HERE, bearer(TOKEN))


async def test_without_an_auth_service_no_tenant_comes_in() -> None:
    assert await outcome(access(auth=False), WORKSPACE, HERE, bearer(KEY)) is Unauthenticated
    assert await outcome(access(auth=False), WORKSPACE, HERE, NOTHING) == AS_PEER
    assert await outcome(access(auth=False), WORKSPACE, ELSEWHERE, NOTHING) is Denied


def test_production_is_never_open() -> None:
    assert not Access(ServiceSettings(environment="production", open_access=True)).is_open


def test_nothing_is_open_without_being_told_to() -> None:
    assert not Access(ServiceSettings(open_access=False)).is_open
    assert not Access(ServiceSettings(open_access=True, api_key=SecretStr(API_KEY))).is_open
    assert Access(ServiceSettings(open_access=True)).is_open


def test_credentials_never_show() -> None:
    assert "pya_" not in repr(credentials(bearer(KEY))) + repr(identity())
    assert TOKEN not in repr(identity())


@pytest.mark.parametrize("headers", [NOTHING, bearer(WRONG_KEY), {"x-api-key": "other"}, {"authorization": "Basic x"}])
def test_what_is_not_proved_has_no_name(headers: dict[str, str]) -> None:
    assert access(API_KEY).known_principal(headers) == ""


def test_what_is_proved_has_one() -> None:
    assert access(API_KEY).known_principal(bearer(KEY)) == "access-key:abcdefghijkl"
    assert access(API_KEY).known_principal({"x-api-key": API_KEY}) == "peer"
    assert access().known_principal({"x-api-key": API_KEY}) == ""


@pytest.mark.parametrize(
    ("rpc", "rule"),
    [
        ("pyairtable.auth.v1.AuthService.Authorize", PEER),
        ("pyairtable.auth.v1.AuthService.GetSigningKeys", PUBLIC),
        ("pyairtable.workspaces.v1.WorkspaceService.WatchWorkspaces", PEER),
        ("pyairtable.airtable.v1.AirtableGatewayService.VerifyBindings", PEER),
        ("pyairtable.chat.v1.ChatService.Chat", WORKSPACE),
    ],
)
def test_the_contract_says_who(rpc: str, rule: int) -> None:
    assert rule_of(rpc) == rule


def test_a_workspace_is_found_wherever_a_request_names_it() -> None:
    assert named_workspaces(chat.ChatRequest(workspace="beta")) == ["beta"]
    assert named_workspaces(chat.StreamChatRequest(chat=chat.ChatRequest(workspace="beta"))) == ["beta"]
    assert named_workspaces(chat.ChatRequest()) == []
    assert named_workspaces(workspaces.ApplyWorkspaceRequest(workspace=workspace_pb2.Workspace(name="beta"))) == []


@pytest.mark.parametrize("name", ["", "acme"])
def test_a_tenant_works_in_its_own_workspace(name: str) -> None:
    check_workspaces(identity(), [name])


def test_a_tenant_names_no_other_workspace() -> None:
    with pytest.raises(Denied, match='"acme" only'):
        check_workspaces(identity(), ["beta"])


every_rpc()  # the pool knows what was imported

CALLS_BY_NEED = {
    "read": "pyairtable.airtable.v1.AirtableGatewayService.ListRecords",
    "write": "pyairtable.airtable.v1.AirtableGatewayService.CreateRecords",
    "destroy": "pyairtable.airtable.v1.AirtableGatewayService.DeleteRecords",
    "schema": "pyairtable.airtable.v1.AirtableGatewayService.CreateField",
    "manage": "pyairtable.workspaces.v1.MemberService.CreateInvitation",
    "own": "pyairtable.workspaces.v1.WorkspaceService.DeleteWorkspace",
}
MAY = {
    "owner": {"read", "write", "destroy", "schema", "manage", "own"},
    "admin": {"read", "write", "destroy", "schema", "manage"},
    "editor": {"read", "write", "destroy", "schema"},
    "viewer": {"read"},
    "unknown": set[str](),
}


def allowed(call: CallContext) -> set[str]:
    """The needs that a call may have."""
    found = set()
    with context.entered(call):
        for need, rpc in CALLS_BY_NEED.items():
            try:
                check_need(rpc)
                found.add(need)
            except Denied as error:
                assert need in error.message
    return found


@pytest.mark.parametrize("role", list(MAY))
def test_what_a_role_may(role: str) -> None:
    assert allowed(CallContext(identity=identity(role))) == MAY[role]
    with context.entered(CallContext(identity=identity(role))), pytest.raises(Denied, match=f'role "{role}"'):
        context.check_allowed(cast(Need, "more than anybody may"))


@pytest.mark.parametrize("role", ["owner", "admin", "editor", "viewer"])
def test_work_is_limited_to_the_role_of_who_began_it(role: str) -> None:
    """A chat goes on as a peer when its caller has left: with the caller's rights, no more."""
    assert allowed(CallContext(role=role)) == MAY[role]
    assert allowed(CallContext(identity=identity("editor"), role=role)) == MAY[role] & MAY["editor"]
    assert allowed(CallContext()) == MAY["owner"]


@pytest.mark.parametrize("role", ["root", "Viewer", "viewer,owner"])
def test_a_limit_that_is_no_role_is_refused(role: str) -> None:
    with pytest.raises(InvalidInput):
        context.accepted_role(role)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", ""])
def test_this_machine(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.5", "::ffff:10.0.0.1", "2001:db8::1", "localhost", "unknown"]
)
def test_other_machines(address: str) -> None:
    assert not is_loopback(address)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:4711", "127.0.0.1"),
        ("ipv4:10.1.2.3:80", "10.1.2.3"),
        ("ipv6:[::1]:4711", "::1"),
        ("ipv6:%5B::1%5D:4711", "::1"),
        ("unix:", ""),
        ("vsock:1:2", "1"),
        ("", "unknown"),
    ],
)
def test_the_address_in_a_grpc_peer(peer: str, address: str) -> None:
    assert grpc_peer_address(peer) == address
