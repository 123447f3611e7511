"""An auth service that says yes to some keys, for tests of those who ask it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc

from pyairtable_platform.auth.signing import Seal, SigningKey, StoredSigningKey, base64url
from pyairtable_platform.common.values import to_timestamp
from pyairtable_protos.auth.v1 import auth_service_pb2 as rpc

SEAL = Seal("a secret of this test")


@dataclass
class FakeAuth:
    """Says yes to keys that begin with `pya_good`, and counts."""

    stored: StoredSigningKey = field(default_factory=SEAL.new)
    asked: list[str] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    suspended: bool = False
    seconds: float = 60
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def signer(self) -> SigningKey:
        return SEAL.open(self.stored)

    async def Authorize(self, request: rpc.AuthorizeRequest, call: Any) -> rpc.AuthorizeResponse:
        self.asked.append(request.credential)
        self.metadata.append(dict(call.invocation_metadata()))
        await self.gate.wait()
        if self.suspended:
            await call.abort(grpc.StatusCode.PERMISSION_DENIED, "suspended")
        if not request.credential.startswith("pya_good"):
            await call.abort(grpc.StatusCode.UNAUTHENTICATED, "no such key")
        ends = datetime.fromtimestamp(time.time() + self.seconds, UTC)
        token, told = self.signer().sign(principal="access-key:1", workspace="acme", role="editor", ends=ends)
        return rpc.AuthorizeResponse(
            identity_token=token, workspace="acme", expires_at=to_timestamp(datetime.fromtimestamp(told, UTC))
        )

    async def GetSigningKeys(self, request: Any, call: Any) -> rpc.GetSigningKeysResponse:
        key = rpc.SigningKey(
            kid=self.stored.kid, kty="OKP", crv="Ed25519", alg="EdDSA", x=base64url(self.stored.public_key)
        )
        return rpc.GetSigningKeysResponse(keys=[key])


@asynccontextmanager
async def serving(fake: FakeAuth) -> AsyncIterator[tuple[str, grpc.aio.Server]]:
    """The fake behind a real server: its target, and the server to stop."""
    server = grpc.aio.server()
    servicer: Any = fake
    handlers: dict[str, tuple[Any, Any]] = {
        "Authorize": (servicer.Authorize, rpc.AuthorizeRequest),
        "GetSigningKeys": (servicer.GetSigningKeys, rpc.GetSigningKeysRequest),
    }
    methods: dict[str, Any] = {
        name: grpc.unary_unary_rpc_method_handler(serve, request.FromString, lambda answer: answer.SerializeToString())
        for name, (serve, request) in handlers.items()
    }
    generic = grpc.method_handlers_generic_handler("pyairtable.auth.v1.AuthService", methods)
    server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}", server
    finally:
        await server.stop(None)
