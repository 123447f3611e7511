"""What stands in for the services around: accounts and letters, sagas, the gateway to Airtable."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.json_format import MessageToDict

from pyairtable_platform.common.roles import scope_of
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as gateway_rpc
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2_grpc, schema_pb2
from pyairtable_protos.auth.v1 import account_service_pb2 as account_rpc
from pyairtable_protos.auth.v1 import account_service_pb2_grpc, auth_service_pb2_grpc
from pyairtable_protos.auth.v1 import auth_service_pb2 as auth_rpc
from pyairtable_protos.sagas.v1 import saga_service_pb2 as saga_rpc
from pyairtable_protos.sagas.v1 import saga_service_pb2_grpc

API_KEY = "plainly-not-a-real-api-key"


class Auth(auth_service_pb2_grpc.AuthServiceServicer, account_service_pb2_grpc.AccountServiceServicer):
    """Accounts by user_id, and the letters that were sent. While `is_away`, it knows nothing and sends nothing."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.accounts: dict[str, str] = {}
        self.letters: list[account_rpc.SendLetterRequest] = []
        self.is_away = False

    def token(self, principal: str, workspace: str = "", role: str = "", session: str = "") -> str:
        """An identity token."""
        session = session or (f"login:{principal}" if principal.startswith("user:") else principal)
        now = int(time.time())
        claims = {
            "iss": "pyairtable-auth",
            "aud": "pyairtable",
            "sub": principal,
            "sid": session,
            "workspace": workspace,
            "rev": 0,
            "role": role,
            "scope": scope_of(role),
            "iat": now,
            "exp": now + 60,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": "k1"})

    async def GetSigningKeys(self, request: Any, call: Any) -> auth_rpc.GetSigningKeysResponse:
        public = jwt.algorithms.OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        key = auth_rpc.SigningKey(kid="k1", kty="OKP", crv="Ed25519", alg="EdDSA", use="sig", x=public["x"])
        return auth_rpc.GetSigningKeysResponse(keys=[key])

    async def WatchRevocations(self, request: Any, call: Any) -> AsyncIterator[auth_rpc.WatchRevocationsResponse]:
        yield auth_rpc.WatchRevocationsResponse(is_snapshot=True)
        await asyncio.Event().wait()

    async def LookupAccounts(self, request: Any, call: Any) -> account_rpc.LookupAccountsResponse:
        await self._require_peer(call)
        wanted = {email.lower() for email in request.emails}
        found = [
            self._account(user_id, email)
            for user_id, email in self.accounts.items()
            if user_id in request.user_ids or email.lower() in wanted
        ]
        return account_rpc.LookupAccountsResponse(accounts=found)

    async def SendLetter(self, request: Any, call: Any) -> account_rpc.SendLetterResponse:
        await self._require_peer(call)
        self.letters.append(request)
        return account_rpc.SendLetterResponse()

    async def _require_peer(self, call: Any) -> None:
        shown = dict(call.invocation_metadata())
        if self.is_away:
            await call.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if shown.get("x-api-key") != API_KEY or "authorization" in shown:
            await call.abort(grpc.StatusCode.PERMISSION_DENIED, "this is for peers")

    @staticmethod
    def _account(user_id: str, email: str) -> account_rpc.Account:
        account = account_rpc.Account(user_id=user_id, email=email, state=account_rpc.ACCOUNT_STATE_ACTIVE)
        account.verified_at.GetCurrentTime()
        return account


class SagaService(saga_service_pb2_grpc.SagaServiceServicer):
    """Answers StartSagaFor with `saga`, after it has called `act` with what it was given."""

    def __init__(self) -> None:
        self.asked: list[saga_rpc.StartSagaForRequest] = []
        self.saga = saga_rpc.Saga(saga_id="s1", state=saga_rpc.SAGA_STATE_COMPLETED)
        self.act: Any = None

    async def StartSagaFor(self, request: Any, call: Any) -> saga_rpc.StartSagaForResponse:
        if "authorization" in dict(call.invocation_metadata()):
            await call.abort(grpc.StatusCode.PERMISSION_DENIED, "this is for peers")
        self.asked.append(request)
        if self.act is not None:
            await self.act(MessageToDict(request.input))
        return saga_rpc.StartSagaForResponse(saga=self.saga, started=True)


class Gateway(airtable_gateway_service_pb2_grpc.AirtableGatewayServiceServicer):
    """One base whose tables can be made."""

    def __init__(self) -> None:
        self.tables: list[schema_pb2.Table] = []
        self.made: list[schema_pb2.NewTable] = []
        self.callers: list[dict[str, str]] = []

    async def GetBaseSchema(self, request: Any, call: Any) -> gateway_rpc.GetBaseSchemaResponse:
        self.callers.append(dict(call.invocation_metadata()))
        return gateway_rpc.GetBaseSchemaResponse(base_id=request.base_id, tables=self.tables)

    async def CreateTable(self, request: Any, call: Any) -> gateway_rpc.CreateTableResponse:
        self.made.append(request.table)
        table = schema_pb2.Table(id=f"tbl{len(self.tables):014}", name=request.table.name)
        self.tables.append(table)
        return gateway_rpc.CreateTableResponse(table=table)


@dataclass
class Around:
    """The services around, behind one target."""

    target: str = ""
    auth: Auth = field(default_factory=Auth)
    sagas: SagaService = field(default_factory=SagaService)
    gateway: Gateway = field(default_factory=Gateway)


@asynccontextmanager
async def running_around() -> AsyncIterator[Around]:
    """Serve all of them."""
    around = Around()
    server = grpc.aio.server()
    auth_service_pb2_grpc.add_AuthServiceServicer_to_server(around.auth, server)
    account_service_pb2_grpc.add_AccountServiceServicer_to_server(around.auth, server)
    saga_service_pb2_grpc.add_SagaServiceServicer_to_server(around.sagas, server)
    airtable_gateway_service_pb2_grpc.add_AirtableGatewayServiceServicer_to_server(around.gateway, server)
    around.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield around
    finally:
        await server.stop(None)
