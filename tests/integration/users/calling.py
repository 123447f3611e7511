"""Clients of a running user service, and the services beside it as small ones of ours."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import message_factory
from jwt.algorithms import OKPAlgorithm

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.server import RunningService
from pyairtable_platform.common.values import dict_to_struct, struct_to_dict
from pyairtable_protos.auth.v1 import (
    account_service_pb2,
    auth_service_pb2,
)
from pyairtable_protos.common.v1 import person_data_pb2, person_data_pb2_grpc
from pyairtable_protos.sagas.v1 import saga_service_pb2
from pyairtable_protos.users.v1 import user_service_pb2 as rpc
from pyairtable_protos.users.v1 import user_service_pb2_grpc

API_KEY = "plainly-not-a-real-api-key"
_numbers = itertools.count(1)


SERVED = [
    account_service_pb2.DESCRIPTOR.services_by_name["AccountService"],
    auth_service_pb2.DESCRIPTOR.services_by_name["AuthService"],
    person_data_pb2.DESCRIPTOR.services_by_name["PersonDataService"],
    saga_service_pb2.DESCRIPTOR.services_by_name["SagaService"],
]


@dataclass
class FakePeers:
    """auth, sagas and the keepers of data in one server. What they are told is kept with the metadata of the call."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    accounts: dict[str, account_service_pb2.Account] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    fails: bool = False
    target: str = ""

    def token(self, user_id: str, scope: str = "") -> str:
        """An identity token of a person who is signed in, as auth signs them."""
        now = int(time.time())
        claims = {"iss": "pyairtable-auth", "aud": "pyairtable", "sub": f"user:{user_id}", "sid": f"login:{user_id}"}
        claims |= {"workspace": "", "role": "", "scope": scope, "jti": uuid.uuid4().hex}
        times: dict[str, Any] = {"iat": now, "exp": now + 600, "rev": 0}
        return jwt.encode(claims | times, self.key, "EdDSA", {"kid": "k1", "typ": "JWT"})

    def add(self, user_id: str, **fields: Any) -> account_service_pb2.Account:
        """An account that can log in."""
        account = account_service_pb2.Account(
            user_id=user_id,
            email=f"{user_id}@acme.example",
            user_name=user_id,
            state=account_service_pb2.ACCOUNT_STATE_ACTIVE,
        )
        account.MergeFrom(account_service_pb2.Account(**fields))
        self.accounts[user_id] = account
        return account

    async def GetSigningKeys(self, request: Any, call: Any) -> auth_service_pb2.GetSigningKeysResponse:
        public: dict[str, Any] = OKPAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        key = auth_service_pb2.SigningKey(kid="k1", kty="OKP", crv="Ed25519", alg="EdDSA", use="sig", x=public["x"])
        return auth_service_pb2.GetSigningKeysResponse(keys=[key])

    async def WatchRevocations(self, request: Any, call: Any) -> AsyncIterator[Any]:
        yield auth_service_pb2.WatchRevocationsResponse(is_snapshot=True)
        await asyncio.Event().wait()

    async def LookupAccounts(self, request: Any, call: Any) -> account_service_pb2.LookupAccountsResponse:
        await self._told("LookupAccounts", request, call)
        found = [self.accounts[user_id] for user_id in request.user_ids if user_id in self.accounts]
        return account_service_pb2.LookupAccountsResponse(accounts=found)

    async def SetAccountState(self, request: Any, call: Any) -> account_service_pb2.SetAccountStateResponse:
        await self._told("SetAccountState", request, call)
        self.accounts[request.user_id].state = request.state
        return account_service_pb2.SetAccountStateResponse(account=self.accounts[request.user_id])

    async def ExportPerson(self, request: Any, call: Any) -> person_data_pb2.ExportPersonResponse:
        await self._told("ExportPerson", request, call)
        return person_data_pb2.ExportPersonResponse(data=dict_to_struct({"things": [request.user_id]}))

    async def StartSagaFor(self, request: Any, call: Any) -> saga_service_pb2.StartSagaForResponse:
        await self._told("StartSagaFor", request, call)
        saga = saga_service_pb2.Saga(saga_id="saga-1", type=request.type, input=request.input)
        return saga_service_pb2.StartSagaForResponse(saga=saga, started=True)

    def of(self, method: str) -> list[Any]:
        """The requests of a method."""
        return [request for name, request in self.calls if name == method]

    async def _told(self, method: str, request: Any, call: Any) -> None:
        self.calls.append((method, request))
        self.metadata.append(dict(call.invocation_metadata()))
        if self.fails:
            await call.abort(grpc.StatusCode.UNAVAILABLE, "away")


def handlers(peers: FakePeers, service: Any) -> Any:
    """What the peers serve of a service: the methods they have."""
    methods: dict[str, Any] = {}
    for method in service.methods:
        if serve := getattr(peers, method.name, None):
            make = (
                grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
            )
            request = message_factory.GetMessageClass(method.input_type)
            methods[method.name] = make(serve, request.FromString, lambda answer: answer.SerializeToString())
    return grpc.method_handlers_generic_handler(service.full_name, methods)


@asynccontextmanager
async def serving(peers: FakePeers) -> AsyncIterator[grpc.aio.Server]:
    """The peers behind a real server; `peers.target` says where."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(tuple(handlers(peers, service) for service in SERVED))
    peers.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield server
    finally:
        await server.stop(None)


@dataclass
class UsersClient:
    """A running user service, its peers, and calls to it."""

    server: RunningService
    peers: FakePeers
    channel: ServiceChannel

    def __post_init__(self) -> None:
        self._stub: Any = user_service_pb2_grpc.UserServiceStub(self.channel.channel)
        self._person_data: Any = person_data_pb2_grpc.PersonDataServiceStub(self.channel.channel)

    async def peer(self, method: str, request: Any) -> Any:
        """Call as a service of the installation."""
        stub = self._person_data if hasattr(self._person_data, method) else self._stub
        return await getattr(stub, method)(request, metadata=(("x-api-key", API_KEY),), timeout=30)

    async def person(self, user_id: str, method: str, request: Any, scope: str = "") -> Any:
        """Call as a person."""
        metadata = (("authorization", f"Bearer {self.peers.token(user_id, scope)}"),)
        return await getattr(self._stub, method)(request, metadata=metadata, timeout=30)

    async def admin(self, method: str, request: Any) -> Any:
        """Call as an administrator."""
        return await self.person("root", method, request, "admin")

    async def rest(self, user_id: str, verb: str, path: str, **options: Any) -> httpx2.Response:
        """Call over REST as a person."""
        headers = {"authorization": f"Bearer {self.peers.token(user_id)}"}
        async with httpx2.AsyncClient(base_url=self.server.addresses.http_url, trust_env=False) as client:
            return await client.request(verb, path, headers=headers, **options)

    async def add(self, user_id: str, **fields: Any) -> rpc.User:
        """A person with account and profile."""
        account = self.peers.add(user_id)
        user = rpc.User(user_id=user_id, email=account.email, user_name=account.user_name, **fields)
        request = rpc.CreateProfileRequest(user=user, idempotency_key=f"saga-{user_id}:create_profile")
        answer: rpc.CreateProfileResponse = await self.peer("CreateProfile", request)
        return answer.user

    async def get(self, user_id: str) -> rpc.User:
        """A person as an administrator sees it."""
        answer: rpc.GetUserResponse = await self.admin("GetUser", rpc.GetUserRequest(user_id=user_id))
        return answer.user


async def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Wait for an async condition to hold."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.02)


def plain(struct: Any) -> dict[str, Any]:
    """A Struct as plain values."""
    return struct_to_dict(struct)
