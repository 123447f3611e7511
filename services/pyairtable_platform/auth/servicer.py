"""AuthService: messages to plain values and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pyairtable_platform.common.values import to_timestamp
from pyairtable_protos.auth.v1 import auth_service_pb2 as rpc

from .authorizing import Authorizing
from .local import told_message
from .moments import moment
from .records import AccessKey, Declared
from .revocations import RevocationFeed
from .service import AuthService
from .signers import Signers
from .signing import StoredSigningKey, base64url

DEFAULT_PAGE_SIZE = 100


class AuthServicer:
    """Implements pyairtable.auth.v1.AuthService."""

    def __init__(self, service: AuthService, authorizing: Authorizing, signers: Signers, feed: RevocationFeed) -> None:
        self._service = service
        self._authorizing = authorizing
        self._signers = signers
        self._feed = feed

    async def Authorize(self, request: rpc.AuthorizeRequest, call: Any) -> rpc.AuthorizeResponse:
        found = await self._authorizing.authorize(request.credential, request.workspace, enter=request.enter)
        return rpc.AuthorizeResponse(
            identity_token=found.token,
            principal=found.principal,
            workspace=found.workspace,
            role=found.role,
            expires_at=to_timestamp(datetime.fromtimestamp(found.expires_at, UTC)),
        )

    async def WatchRevocations(
        self, request: rpc.WatchRevocationsRequest, call: Any
    ) -> AsyncIterator[rpc.WatchRevocationsResponse]:
        async for told in self._feed.watch():
            yield told_message(told)

    async def RotateSigningKey(self, request: rpc.RotateSigningKeyRequest, call: Any) -> rpc.RotateSigningKeyResponse:
        return rpc.RotateSigningKeyResponse(key=signing_key_message(await self._signers.rotate()))

    async def GetSigningKeys(self, request: rpc.GetSigningKeysRequest, call: Any) -> rpc.GetSigningKeysResponse:
        return rpc.GetSigningKeysResponse(keys=map(signing_key_message, await self._signers.stored()))

    async def CreateAccessKey(self, request: rpc.CreateAccessKeyRequest, call: Any) -> rpc.CreateAccessKeyResponse:
        expires_at = moment(request, "expires_at")
        text, key = await self._service.create(request.workspace, request.name, request.role, expires_at)
        return rpc.CreateAccessKeyResponse(key=text, access_key=to_message(key))

    async def ListAccessKeys(self, request: rpc.ListAccessKeysRequest, call: Any) -> rpc.ListAccessKeysResponse:
        size = request.page_size or DEFAULT_PAGE_SIZE
        page, token = await self._service.page(request.workspace, request.key_id_prefix, size, request.page_token)
        return rpc.ListAccessKeysResponse(access_keys=map(to_message, page), next_page_token=token)

    async def RotateAccessKey(self, request: rpc.RotateAccessKeyRequest, call: Any) -> rpc.RotateAccessKeyResponse:
        overlap = timedelta(seconds=request.overlap_seconds)
        text, key, old = await self._service.rotate(request.workspace, request.key_id, overlap)
        return rpc.RotateAccessKeyResponse(key=text, access_key=to_message(key), replaced=to_message(old))

    async def RevokeAccessKey(self, request: rpc.RevokeAccessKeyRequest, call: Any) -> rpc.RevokeAccessKeyResponse:
        key = await self._service.revoke(request.workspace, request.key_id)
        return rpc.RevokeAccessKeyResponse(access_key=to_message(key))

    async def ApplyAccessKeys(self, request: rpc.ApplyAccessKeysRequest, call: Any) -> rpc.ApplyAccessKeysResponse:
        declared = [
            Declared(key.key_id, bytes.fromhex(key.sha256), moment(key, "expires_at", f"keys[{at}].expires_at"))
            for at, key in enumerate(request.keys)
        ]
        changed = await self._service.apply(request.workspace, declared, uid=request.uid)
        return rpc.ApplyAccessKeysResponse(changed=changed)


def signing_key_message(key: StoredSigningKey) -> rpc.SigningKey:
    """The public part of a signing key."""
    return rpc.SigningKey(kid=key.kid, kty="OKP", crv="Ed25519", alg="EdDSA", use="sig", x=base64url(key.public_key))


def to_message(key: AccessKey) -> rpc.AccessKey:
    """A key as callers see it."""
    times = {name: getattr(key, name) for name in ("expires_at", "last_used_at", "revoked_at")}
    return rpc.AccessKey(
        key_id=key.key_id,
        workspace=key.workspace,
        name=key.name,
        role=key.role,
        declared=key.is_declared,
        made_by=key.made_by,
        created_at=to_timestamp(key.created_at),
        **{name: to_timestamp(value) for name, value in times.items() if value is not None},
    )
