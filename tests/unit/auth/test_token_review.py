"""What is believed of the Kubernetes API's answers about tokens, and how often it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import jwt
import orjson
import pytest

from pyairtable_platform.auth.memberships import ServiceAccount
from pyairtable_platform.auth.token_review import ServiceAccounts
from pyairtable_platform.common.errors import Unauthenticated, Unavailable

TOKEN = jwt.encode({"sub": "system:serviceaccount:ws-acme:bot", "exp": 2_000_000_000}, "k" * 32, "HS256")
USER = {"username": "system:serviceaccount:ws-acme:bot", "uid": "uid-1"}
BOT = ServiceAccount("ws-acme", "bot", "uid-1")


@dataclass
class Api:
    """Answers as it is told, and counts."""

    status: int = 201
    answer: Any = field(default_factory=lambda: {"status": {"authenticated": True, "user": USER}})
    asked: list[httpx2.Request] = field(default_factory=list)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        await asyncio.sleep(0)
        return httpx2.Response(self.status, content=orjson.dumps(self.answer))


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def accounts(api: Api, tmp_path: Path) -> AsyncIterator[ServiceAccounts]:
    token = tmp_path / "token"
    token.write_text("our-own-token\n")
    async with httpx2.AsyncClient(base_url="https://api", transport=httpx2.MockTransport(api)) as client:
        yield ServiceAccounts(client, token)


async def test_a_hundred_callers_ask_once(api: Api, accounts: ServiceAccounts) -> None:
    found = await asyncio.gather(*(accounts.review(TOKEN) for _ in range(100)))
    assert {each.account for each in found} == {BOT}
    assert found[0].ends is not None
    assert found[0].ends.timestamp() == 2_000_000_000
    assert len(api.asked) == 1
    assert api.asked[0].headers["authorization"] == "Bearer our-own-token"
    assert orjson.loads(api.asked[0].content)["spec"] == {"token": TOKEN}


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        {"authenticated": False, "user": USER},
        {"authenticated": "true", "user": USER},
        {"authenticated": True, "user": USER, "error": "expired"},
        {"authenticated": True},
        {"authenticated": True, "user": {"username": USER["username"]}},
        {"authenticated": True, "user": {"username": "kubernetes-admin", "uid": "uid-1"}},
        {"authenticated": True, "user": {"username": "system:serviceaccount:ws-acme", "uid": "uid-1"}},
        {"authenticated": True, "user": {"username": "system:serviceaccount:a:b:c", "uid": "uid-1"}},
        {"authenticated": True, "user": {"username": "x system:serviceaccount:a:b", "uid": "uid-1"}},
    ],
)
async def test_only_a_service_account_that_is_known_is_one(api: Api, accounts: ServiceAccounts, status: Any) -> None:
    api.answer = {"status": status}
    with pytest.raises(Unauthenticated):
        await accounts.review(TOKEN)


@pytest.mark.parametrize(("status", "answer"), [(403, {}), (401, {}), (500, {}), (200, {}), (201, []), (429, {})])
async def test_an_api_that_does_not_answer_refuses_nobody(
    api: Api, accounts: ServiceAccounts, status: int, answer: Any
) -> None:
    api.status, api.answer = status, answer
    with pytest.raises(Unavailable) as failure:
        await accounts.review(TOKEN)
    assert TOKEN not in str(failure.value)
    api.status, api.answer = 201, {"status": {"authenticated": True, "user": USER}}
    assert (await accounts.review(TOKEN)).account == BOT, "a failure is not remembered"


@pytest.mark.parametrize(
    ("status", "answer", "is_there"),
    [
        (200, {"metadata": {"uid": "uid-1"}}, True),
        (200, {"metadata": {"uid": "uid-2"}}, False),
        (200, {}, False),
        (404, {}, False),
    ],
)
async def test_an_account_is_the_same_by_its_uid(
    api: Api, accounts: ServiceAccounts, status: int, answer: Any, is_there: bool
) -> None:
    api.status, api.answer = status, answer
    assert await accounts.still_there(BOT) is is_there
    assert api.asked[0].url.path == "/api/v1/namespaces/ws-acme/serviceaccounts/bot"
