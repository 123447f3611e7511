"""Tokens of Kubernetes ServiceAccounts: the API server says whose they are (TokenReview), and we believe nobody else.

Kubernetes docs: authentication.k8s.io/v1 TokenReview; the token's audience must be that of the API server. auth's own
ServiceAccount needs `create` on tokenreviews and `get` on serviceaccounts (the ClusterRole of the chart).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import orjson

from pyairtable_platform.common.errors import PyAirtableError, Unauthenticated, Unavailable
from pyairtable_platform.common.identity import unproved
from pyairtable_platform.common.kubernetes_api import shown_token
from pyairtable_platform.common.remembered import Remembered, Shared, fingerprint

from .memberships import ServiceAccount

KEPT_SECONDS = 10.0
"""So long the token of a ServiceAccount that was deleted may still be taken here."""
REFUSED_SECONDS = 2.0

_KEPT = 2048
_SUBJECT = "system:serviceaccount:"
_USER_NAME = re.compile(r"system:serviceaccount:([a-z0-9.-]{1,253}):([a-z0-9.-]{1,253})")
_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


@dataclass(frozen=True)
class Reviewed:
    """A token that the API server knows: whose it is, and when it ends."""

    account: ServiceAccount
    ends: datetime | None


class ServiceAccounts:
    """Asks the Kubernetes API; answers are kept for some seconds."""

    def __init__(self, client: httpx2.AsyncClient, token_file: Path) -> None:
        self._client = client
        self._token_file = token_file
        self._known: Remembered[Reviewed | None] = Remembered(_KEPT)
        self._asked: Shared[Reviewed | None] = Shared()

    async def review(self, token: str) -> Reviewed:
        """Whose token it is; raises Unauthenticated, and Unavailable when the API does not answer."""
        known = fingerprint(token)
        found = self._known.get(known) or await self._asked.ask(known, lambda: self._review(token, known))
        if found is None:
            raise Unauthenticated("the ServiceAccount token is not accepted: the Kubernetes API does not know it")
        return found

    async def still_there(self, account: ServiceAccount) -> bool:
        """Whether a ServiceAccount is there and was not made anew meanwhile."""
        path = f"/api/v1/namespaces/{quote(account.namespace, safe='')}/serviceaccounts/{quote(account.name, safe='')}"
        response = await self._request("GET", path)
        if response.status_code == 404:
            return False
        metadata = content_of(response, 200).get("metadata")
        return isinstance(metadata, dict) and metadata.get("uid") == account.uid

    async def _review(self, token: str, known: bytes) -> Reviewed | None:
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        content = content_of(await self._request("POST", _REVIEWS, orjson.dumps(wanted)), 201)
        found = reviewed(content.get("status"), token)
        self._known.put(known, found, KEPT_SECONDS if found else REFUSED_SECONDS)
        return found

    async def _request(self, verb: str, path: str, content: bytes | None = None) -> httpx2.Response:
        try:
            headers = {**shown_token(self._token_file), "content-type": "application/json"}
            return await self._client.request(verb, path, content=content, headers=headers)
        except (httpx2.HTTPError, OSError, ValueError):  # ValueError: a token file that holds no token
            raise away("cannot be reached") from None


def is_service_account(subject: object) -> bool:
    """Whether the claim sub of a token says that it is a ServiceAccount's. It proves nothing: it tells whom to ask."""
    return isinstance(subject, str) and subject.startswith(_SUBJECT)


def reviewed(status: Any, token: str) -> Reviewed | None:
    """What a TokenReview tells of a token; None for one that is not a ServiceAccount's, or does not count."""
    if not isinstance(status, dict) or status.get("authenticated") is not True or status.get("error"):
        return None
    user = status.get("user") or {}
    name = _USER_NAME.fullmatch(str(user.get("username", "")))
    if name is None or not user.get("uid"):
        return None
    return Reviewed(ServiceAccount(name[1], name[2], str(user["uid"])), end_of(token))


def end_of(token: str) -> datetime | None:
    """When a token that was reviewed ends; tokens of old Secrets do not."""
    expires = unproved(token, "exp")
    return datetime.fromtimestamp(expires, UTC) if isinstance(expires, int | float) else None


def content_of(response: httpx2.Response, expected: int) -> dict[str, Any]:
    """The object in an answer of the API; raises Unavailable for any other answer."""
    if response.status_code in (401, 403):
        raise away(
            "does not let this service ask: its ServiceAccount needs the ClusterRole of the chart's auth service"
        )
    try:
        content = orjson.loads(response.content) if response.status_code == expected else None
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise away(f"answers with {response.status_code}")
    return content


def away(how: str) -> PyAirtableError:
    return Unavailable(
        f"the Kubernetes API {how}, and the ServiceAccount token cannot be checked: try again when that is mended",
        dependency="kubernetes",
    )
