"""Accounts at the doors of the auth service: REST and gRPC, letters by SMTP, rights as the contract says."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from integration.auth.accounts.desks import PASSWORD, MailServer, mail_server
from integration.auth.token_kit import API_KEY, House, house_over, until

from pyairtable_platform.common.errors import PyAirtableError, Reason
from pyairtable_protos.auth.v1 import account_service_pb2 as rpc
from pyairtable_protos.auth.v1 import account_service_pb2_grpc
from pyairtable_protos.common.v1 import person_data_pb2, person_data_pb2_grpc

ADMIN = "root@acme.example"
PEER = {"x-api-key": API_KEY}


@dataclass
class Door:
    """The HTTP side of one replica."""

    house: House
    mail: MailServer
    http: httpx2.AsyncClient

    async def post(self, path: str, headers: dict[str, str] | None = None, **body: Any) -> httpx2.Response:
        return await self.http.post(path, json=body, headers=headers)

    async def get(self, path: str, token: str = "") -> httpx2.Response:
        return await self.http.get(path, headers=bearer(token) if token else None)

    async def peer(self, method: str, **fields: Any) -> Any:
        """Call AccountService as a service."""
        channel = self.house.replicas[0]
        stub = account_service_pb2_grpc.AccountServiceStub(channel.channel)
        return await channel.call(getattr(stub, method), getattr(rpc, f"{method}Request")(**fields))

    async def letter_token(self, email: str, purpose: str) -> str:
        await until(lambda: self.mail.token_for(email, purpose))
        return self.mail.token_for(email, purpose)

    async def tokens(self, email: str) -> dict[str, Any]:
        """Register, prove the address, log in."""
        answer = await self.post("/auth/register", email=email, password=PASSWORD, display_name="Somebody")
        assert answer.status_code == 200, answer.text
        verified = await self.post("/auth/verify-email", token=await self.letter_token(email, "pyv"))
        assert verified.json()["account"]["state"] == "ACCOUNT_STATE_ACTIVE"
        answer = await self.post("/auth/login", login=email, password=PASSWORD, device="test")
        tokens: dict[str, Any] = answer.json()["tokens"]
        return tokens


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest_asyncio.fixture(scope="module")
async def door(module_database_url: str) -> AsyncIterator[Door]:
    with mail_server() as (server, port):
        settings: dict[str, Any] = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_starttls": False}
        async with door_of(module_database_url, server, admin_emails=ADMIN, **settings) as opened:
            yield opened


@asynccontextmanager
async def door_of(database_url: str, server: MailServer, **settings: Any) -> AsyncIterator[Door]:
    async with house_over(database_url, **settings) as house:
        url = house.servers[0].addresses.http_url
        async with httpx2.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
            yield Door(house, server, http)


async def test_the_way_of_a_person(door: Door) -> None:
    email = "ada@acme.example"
    tokens = await door.tokens(email)
    me = (await door.get("/auth/me", tokens["access_token"])).json()
    assert me["account"]["email"] == email
    door.house.registry.declare("acme", members={me["account"]["user_id"]: "editor"})

    async def is_member() -> bool:
        answer = (await door.get("/auth/me", tokens["access_token"])).json()
        return bool(answer["memberships"] == [{"workspace": "acme", "role": "editor", "suspended": False}])

    await until(is_member)
    logins = (await door.get("/auth/logins", tokens["access_token"])).json()["logins"]
    assert [(login["login_id"], login["is_current"], login["device"]) for login in logins] == [
        (tokens["login_id"], True, "test")
    ]
    said = (await door.post("/auth/validate", token=tokens["access_token"])).json()
    assert said["principal"] == f"user:{me['account']['user_id']}"
    refreshed = (await door.post("/auth/refresh", refresh_token=tokens["refresh_token"])).json()["tokens"]
    changed = await door.post(
        "/auth/change-password",
        bearer(refreshed["access_token"]),
        current_password=PASSWORD,
        new_password="eight green teapots",
    )
    assert changed.status_code == 200, changed.text
    assert (await door.get("/auth/me", refreshed["access_token"])).status_code == 200, "its own login goes on"
    mine = (await door.get("/auth/me/audit", refreshed["access_token"])).json()["events"]
    actions = [event["action"] for event in mine if event["action"] != "authorize"]
    assert actions == ["change_password", "refresh", "login", "verify_email", "register"]
    await door.post("/auth/logout", refresh_token=refreshed["refresh_token"])

    async def is_out() -> bool:
        return (await door.get("/auth/me", refreshed["access_token"])).status_code == 401

    await until(is_out)
    refused = await door.post("/auth/refresh", refresh_token=refreshed["refresh_token"])
    assert refused.status_code == 401


async def test_nothing_tells_who_has_an_account(door: Door) -> None:
    await door.tokens("bea@acme.example")
    for path, known, unknown in [
        (
            "/auth/login",
            {"login": "bea@acme.example", "password": "wrong password"},
            {"login": "bea-bob@acme.example", "password": "wrong password"},
        ),
        (
            "/auth/register",
            {"email": "bea@acme.example", "password": PASSWORD},
            {"email": "bea-bob@acme.example", "password": PASSWORD},
        ),
        ("/auth/resend-verification", {"email": "bea@acme.example"}, {"email": "bea-eve@acme.example"}),
        ("/auth/request-password-reset", {"email": "bea@acme.example"}, {"email": "bea-eve@acme.example"}),
    ]:
        answers = [await door.post(path, {"x-request-id": "one"}, **body) for body in (known, unknown)]
        assert answers[0].status_code == answers[1].status_code
        assert answers[0].content == answers[1].content
        names = [{name: value for name, value in answer.headers.items() if name != "date"} for answer in answers]
        assert names[0] == names[1]


async def test_too_many_attempts_say_when_to_come_back(door: Door) -> None:
    statuses = []
    for _ in range(12):
        answer = await door.post("/auth/login", login="nobody", password="wrong password")
        statuses.append(answer.status_code)
    assert statuses == [401] * 10 + [429] * 2
    assert 1 <= int(answer.headers["retry-after"]) <= 90
    assert answer.json()["reason"] == "RATE_LIMITED"


async def test_the_address_of_a_caller_is_believed_from_a_door_only(door: Door) -> None:
    tokens = await door.tokens("cleo@acme.example")
    claimed = {"pyairtable-client-address": "203.0.113.77", "x-forwarded-for": "203.0.113.77"}
    await door.post("/auth/login", claimed, login="cleo@acme.example", password=PASSWORD)
    channel = door.house.replicas[0]
    stub = account_service_pb2_grpc.AccountServiceStub(channel.channel)
    request = rpc.LoginRequest(login="cleo@acme.example", password=PASSWORD)
    metadata = [("x-api-key", API_KEY), ("pyairtable-client-address", "203.0.113.88")]
    await stub.Login(request, metadata=metadata)
    logins = (await door.get("/auth/logins", tokens["access_token"])).json()["logins"]
    addresses = [login["address"] for login in logins]
    assert addresses[0] == "203.0.113.88"
    assert "203.0.113.77" not in addresses


async def test_what_is_for_services_is_for_no_person(door: Door) -> None:
    tokens = await door.tokens("dora@acme.example")
    me = (await door.get("/auth/me", tokens["access_token"])).json()["account"]
    channel = door.house.replicas[0]
    stub = account_service_pb2_grpc.AccountServiceStub(channel.channel)
    data = person_data_pb2_grpc.PersonDataServiceStub(channel.channel)
    shown = [("authorization", f"Bearer {tokens['access_token']}")]
    calls: list[tuple[Any, Any]] = [
        (stub.LookupAccounts, rpc.LookupAccountsRequest(user_ids=[me["user_id"]])),
        (stub.SetAccountState, rpc.SetAccountStateRequest(user_id=me["user_id"], state=rpc.ACCOUNT_STATE_DISABLED)),
        (stub.SendLetter, rpc.SendLetterRequest(email="a@b.example", template="welcome", idempotency_key="k")),
        (data.ErasePerson, person_data_pb2.ErasePersonRequest(user_id=me["user_id"], idempotency_key="k")),
        (data.ExportPerson, person_data_pb2.ExportPersonRequest(user_id=me["user_id"])),
        (stub.ListAuditEvents, rpc.ListAuditEventsRequest()),
    ]
    for method, request in calls:
        for metadata in (shown, []):
            with pytest.raises(Exception, match=r"PERMISSION_DENIED|UNAUTHENTICATED"):
                await method(request, metadata=metadata)
    with pytest.raises(PyAirtableError) as error:
        await door.peer("GetMe")
    assert error.value.reason in (Reason.UNAUTHENTICATED, Reason.DENIED)
    assert (await door.peer("LookupAccounts", emails=["DORA@acme.example"])).accounts[0].user_id == me["user_id"]


async def test_an_administrator_reads_everybodys_audit(door: Door) -> None:
    tokens = await door.tokens(ADMIN)
    me = (await door.get("/auth/me", tokens["access_token"])).json()
    assert me["account"]["is_admin"]
    events = await door.get("/auth/audit?action=login&page_size=1", tokens["access_token"])
    assert [event["user_id"] for event in events.json()["events"]] == [me["account"]["user_id"]]


async def test_a_disabled_person_is_out_within_a_moment_everywhere(door: Door) -> None:
    tokens = await door.tokens("emma@acme.example")
    me = (await door.get("/auth/me", tokens["access_token"])).json()["account"]
    answer = await door.peer("SetAccountState", user_id=me["user_id"], state=rpc.ACCOUNT_STATE_DISABLED)
    assert answer.account.state == rpc.ACCOUNT_STATE_DISABLED
    for server in door.house.servers:
        async with httpx2.AsyncClient(base_url=server.addresses.http_url, timeout=60, trust_env=False) as http:

            async def is_out(client: httpx2.AsyncClient = http) -> bool:
                return (await client.get("/auth/me", headers=bearer(tokens["access_token"]))).status_code == 401

            await until(is_out)
    assert (await door.post("/auth/refresh", refresh_token=tokens["refresh_token"])).status_code == 401
    with pytest.raises(PyAirtableError, match="state"):
        await door.peer("SetAccountState", user_id=me["user_id"], state=rpc.ACCOUNT_STATE_UNVERIFIED)


async def test_a_person_is_exported_and_erased(door: Door) -> None:
    tokens = await door.tokens("fay@acme.example")
    me = (await door.get("/auth/me", tokens["access_token"])).json()["account"]
    channel = door.house.replicas[0]
    data = person_data_pb2_grpc.PersonDataServiceStub(channel.channel)
    exported = await channel.call(data.ExportPerson, person_data_pb2.ExportPersonRequest(user_id=me["user_id"]))
    assert exported.data.fields["account"].struct_value.fields["email"].string_value == "fay@acme.example"
    asked = {"user_id": me["user_id"], "idempotency_key": "saga-1:erase_auth"}
    dry = await channel.call(data.ErasePerson, person_data_pb2.ErasePersonRequest(dry_run=True, **asked))
    assert dry.erased["accounts"] == 1
    for _ in range(2):
        erased = await channel.call(data.ErasePerson, person_data_pb2.ErasePersonRequest(**asked))
        assert erased.erased["accounts"] == 1
    assert (await door.peer("LookupAccounts", user_ids=[me["user_id"]])).accounts == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{" * 10_000,
        b'{"login": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"login": "ada", "password": 5}',
        b'{"login": "ada", "password": "x", "role": "owner"}',
        b'{"login": "ada", "password": "' + b"x" * 2_000 + b'"}',
        b'{"login": "a\\u0000da", "password": "x", "device": "\\u0000"}',
        b'{"login": "\\ud800", "password": "x"}',
        b"\xff\xfe",
    ],
    ids=range(10),
)
async def test_odd_bodies_are_refused_and_nothing_breaks(door: Door, body: bytes) -> None:
    for path in ("/auth/login", "/auth/register"):
        answer = await door.http.post(path, content=body, headers={"content-type": "application/json"})
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_of_ten_megabytes_is_refused(door: Door) -> None:
    started = time.monotonic()
    answer = await door.post("/auth/login", login="ada", password="x" * 10_000_000)
    assert answer.status_code in (400, 413)
    assert time.monotonic() - started < 60


async def test_health_tells_of_the_mail_server(door: Door) -> None:
    checks = (await door.get("/health")).json()["checks"]
    assert checks["mail"]["status"] == "healthy"


async def test_without_a_mail_server_it_serves_and_says_so(database_url: str) -> None:
    async with door_of(database_url, MailServer()) as door:
        health = (await door.get("/health")).json()
        assert "SMTP_HOST" in health["checks"]["mail"]["error"]
        assert health["status"] == "degraded"
        answer = await door.post("/auth/register", email="ada@acme.example", password=PASSWORD)
        assert answer.status_code == 200
        assert [row.state for row in await door.house.rows("SELECT state FROM letters")] == ["queued"]
