"""Secrets of Kubernetes before a fake of its API; the real one is in tests/cluster/platform."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.common.secret_sources import KubernetesSecrets, SecretSettings
from pyairtable_platform.common.secrets import NotUsable
from pyairtable_platform.common.workspace import SecretRef

REF = SecretRef("acme-airtable", "token")
VALUE = b"value-of-nobody"


def secret(workspace: str | None = "acme", **data: str) -> dict[str, Any]:
    labels = {} if workspace is None else {"pyairtable.dev/workspace": workspace}
    return {"kind": "Secret", "metadata": {"labels": labels}, "data": data or {"token": encoded(VALUE)}}


def encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


@dataclass
class FakeApi:
    """Answers every request with `answer`, or breaks."""

    answer: Any = field(default_factory=secret)
    status: int = 200
    is_broken: bool = False
    requests: list[httpx2.Request] = field(default_factory=list)
    now: float = 0.0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if self.is_broken:
            raise httpx2.ConnectError("no route")
        return httpx2.Response(self.status, json=self.answer)


def write(file: Path, token: str) -> None:
    """Rotate a token; "" takes the file away."""
    file.write_text(token) if token else file.unlink()


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("first\n")
    return file


@pytest.fixture
async def secrets(api: FakeApi, token_file: Path) -> AsyncIterator[KubernetesSecrets]:
    async with httpx2.AsyncClient(base_url="https://api.test", transport=httpx2.MockTransport(api)) as client:
        yield KubernetesSecrets(client, "credentials", token_file, clock=lambda: api.now)


async def test_the_named_secret_alone_is_asked_for_with_the_token_of_now(
    secrets: KubernetesSecrets, api: FakeApi, token_file: Path
) -> None:
    assert await secrets.read("acme", REF) == VALUE
    write(token_file, "second")
    await secrets.read("acme", REF)
    assert [(request.method, request.url.path) for request in api.requests] == [
        ("GET", "/api/v1/namespaces/credentials/secrets/acme-airtable")
    ] * 2
    assert [request.headers["authorization"] for request in api.requests] == ["Bearer first", "Bearer second"]


async def test_a_name_cannot_leave_the_namespace(secrets: KubernetesSecrets, api: FakeApi) -> None:
    await secrets.read("acme", SecretRef("../../kube-system/secrets/x", "token"))
    assert api.requests[0].url.raw_path == (
        b"/api/v1/namespaces/credentials/secrets/..%2F..%2Fkube-system%2Fsecrets%2Fx"
    )


@pytest.mark.parametrize("label", [None, "mallory", ""])
async def test_a_secret_that_did_not_opt_in_is_refused_with_how_to(
    secrets: KubernetesSecrets, api: FakeApi, label: str | None
) -> None:
    api.answer = secret(label)
    with pytest.raises(NotUsable) as caught:
        await secrets.read("acme", REF)
    assert "pyairtable.dev/workspace=acme" in caught.value.remedy
    assert "mallory" not in caught.value.remedy, "whose Secret it is is nobody's business"


@pytest.mark.parametrize(
    ("status", "answer", "remedy"),
    [
        (404, {}, "no such Secret"),
        (403, {}, "Role"),
        (200, secret(other="eA=="), "no such key"),
        (200, secret(token="not base64!"), "not base64"),
    ],
)
async def test_what_cannot_be_used_says_why(
    secrets: KubernetesSecrets, api: FakeApi, status: int, answer: Any, remedy: str
) -> None:
    api.status, api.answer = status, answer
    with pytest.raises(NotUsable, match=remedy):
        await secrets.read("acme", REF)


@pytest.mark.parametrize("how", ["broken", "500", "401", "list", "no token"])
async def test_an_api_that_is_away_is_left_alone_for_a_growing_while(
    secrets: KubernetesSecrets, api: FakeApi, token_file: Path, how: str
) -> None:
    api.is_broken = how == "broken"
    api.status = int(how) if how.isdigit() else 200
    api.answer = [] if how == "list" else secret()
    if how == "no token":
        write(token_file, "")
    looked_at: list[float] = []
    for step in range(400):
        before = secrets._away_until
        with pytest.raises(Unavailable) as caught:
            await secrets.read("acme", SecretRef(f"secret-{step}", "token"))
        assert "Bearer" not in str(caught.value)
        if secrets._away_until != before:
            looked_at.append(api.now)
        api.now += 0.25
    pauses = [later - earlier for earlier, later in pairwise(looked_at)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    write(token_file, "back")
    api.is_broken, api.status, api.answer = False, 200, secret()
    api.now += 30
    assert await secrets.read("acme", REF) == VALUE


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"secrets_namespace": "credentials"}, "KUBERNETES_API_URL"),
        ({"secrets_namespace": "credentials", "kubernetes_api_url": "http://api.test"}, "https"),
        ({"secrets_namespace": "credentials", "secrets_path": "/"}, "not both"),
        ({"secrets_namespace": "No Namespace"}, "pattern"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        SecretSettings(**values)


@pytest.mark.parametrize(("host", "url"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")])
def test_in_a_cluster_the_api_is_known(host: str, url: str) -> None:
    assert SecretSettings(secrets_namespace="credentials", kubernetes_service_host=host).kubernetes_url() == url
