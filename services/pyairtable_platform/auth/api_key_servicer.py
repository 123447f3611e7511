"""The RPCs of AccountService about API keys: messages to plain values and back."""

from __future__ import annotations

from typing import Any

from pyairtable_platform.common.values import to_timestamp
from pyairtable_protos.auth.v1 import account_service_pb2 as rpc

from .accounts.servicer import person
from .api_key_store import ApiKey
from .api_keys import ApiKeys
from .moments import moment

DEFAULT_PAGE_SIZE = 100


class ApiKeyCalls:
    """Implements accounts.servicer.ApiKeyCalls."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    async def CreateApiKey(self, request: rpc.CreateApiKeyRequest, call: Any) -> rpc.CreateApiKeyResponse:
        user_id, login_id = person()
        text, key = await self._keys.create(
            user_id, login_id, request.workspace, request.name, request.role, moment(request, "expires_at")
        )
        return rpc.CreateApiKeyResponse(key=text, api_key=to_message(key))

    async def ListApiKeys(self, request: rpc.ListApiKeysRequest, call: Any) -> rpc.ListApiKeysResponse:
        size = request.page_size or DEFAULT_PAGE_SIZE
        user_id, _ = person()
        page, token = await self._keys.page(user_id, request.workspace, request.key_id_prefix, size, request.page_token)
        return rpc.ListApiKeysResponse(api_keys=map(to_message, page), next_page_token=token)

    async def RevokeApiKey(self, request: rpc.RevokeApiKeyRequest, call: Any) -> rpc.RevokeApiKeyResponse:
        user_id, _ = person()
        return rpc.RevokeApiKeyResponse(api_key=to_message(await self._keys.revoke(user_id, request.key_id)))


def to_message(key: ApiKey) -> rpc.ApiKey:
    """A key as its owner sees it."""
    times = {name: getattr(key, name) for name in ("expires_at", "last_used_at", "revoked_at")}
    return rpc.ApiKey(
        key_id=key.key_id,
        workspace=key.workspace,
        name=key.name,
        role=key.role,
        created_at=to_timestamp(key.created_at),
        **{name: to_timestamp(value) for name, value in times.items() if value is not None},
    )
