"""An auth service that decides by tables in memory, and a service that answers every RPC of the contract.

Both run in the kit's own server, over real gRPC and HTTP.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from integration.access_matrix.contract import every_rpc
from starlette.routing import BaseRoute

from pyairtable_platform.common import context
from pyairtable_platform.common.errors import Denied, InvalidInput, Reason, Unauthenticated
from pyairtable_platform.common.roles import lesser, scope_of
from pyairtable_platform.common.server import RunningService, Service, Servicer
from pyairtable_platform.common.settings import ServiceSettings
from pyairtable_platform.common.status import from_rpc_error
from pyairtable_platform.common.testing import started
from pyairtable_protos.auth.v1 import auth_service_pb2 as rpc
from pyairtable_protos.auth.v1 import auth_service_pb2_grpc

API_KEY = "plainly-not-a-real-api-key"


@dataclass
class SigningPair:
    """A key that signs, as JSON Web Key."""

    kid: str = "kid-1"
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def message(self) -> rpc.SigningKey:
        x = jwt.utils.base64url_encode(self.public).decode()
        return rpc.SigningKey(kid=self.kid, kty="OKP", crv="Ed25519", alg="EdDSA", use="sig", x=x)


@dataclass(frozen=True)
class Key:
    """An access key of a workspace, or, with a user, an API key of a person."""

    session: str
    workspace: str
    role: str
    user: str = ""


class StandInAuth(auth_service_pb2_grpc.AuthServiceServicer):
    """People, members and keys in memory; tokens that are really signed."""

    def __init__(self) -> None:
        self.signing = [SigningPair()]
        self.members: dict[tuple[str, str], str] = {}
        self.admins: set[str] = set()
        self.suspended: set[str] = set()
        self.keys: dict[str, Key] = {}
        self.revision = 1
        self.ended: list[rpc.Revocation] = []
        self.asked: list[rpc.AuthorizeRequest] = []
        self.watching: set[asyncio.Queue[rpc.Revocation | None]] = set()

    def key(self, prefix: str, workspace: str, role: str, user: str = "") -> str:
        """A new key (prefix pya or pyu)."""
        key_id = uuid.uuid4().hex[:12]
        text = f"{prefix}_{key_id}_{'x' * 43}"
        kind = "api-key" if user else "access-key"
        self.keys[text] = Key(f"{kind}:{key_id}", workspace, role, user)
        return text

    def claims(
        self, principal: str, session: str, workspace: str = "", role: str = "", /, **other: Any
    ) -> dict[str, Any]:
        """The claims of an identity token."""
        now = int(time.time())
        scope = scope_of(role) if workspace else "admin" if principal.removeprefix("user:") in self.admins else ""
        told = {"iss": "pyairtable-auth", "aud": "pyairtable", "sub": principal, "sid": session, "workspace": workspace}
        times = {"iat": now, "exp": now + 60, "jti": uuid.uuid4().hex}
        return {**told, "rev": self.revision if workspace else 0, "role": role, "scope": scope, **times, **other}

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        """Any claims, signed as ours are."""
        pair = self.signing[0]
        return jwt.encode(claims, pair.private, "EdDSA", {"kid": pair.kid, **header})

    def access_token(self, user: str, login: str = "", **other: Any) -> str:
        """What a person shows after the login."""
        claims = self.claims(f"user:{user}", f"login:{login or user}")
        for name in ("workspace", "role", "rev", "scope"):
            del claims[name]
        return self.signed({**claims, "aud": "pyairtable-login", **other}, typ="at+jwt")

    def revoke(self, *, session: str = "", workspace: str = "", user: str = "") -> None:
        """End a session, or outdate rights in a workspace (of everybody, without a user)."""
        if workspace:
            self.revision += 1
        principal = f"user:{user}" if user else ""
        revision = self.revision if workspace else 0
        revocation = rpc.Revocation(session=session, workspace=workspace, principal=principal, revision=revision)
        self.ended.append(revocation)
        for reader in self.watching:
            reader.put_nowait(revocation)

    async def Authorize(self, request: rpc.AuthorizeRequest, call: Any) -> rpc.AuthorizeResponse:
        self.asked.append(request)
        principal, session, workspace, role = self._decided(request.credential, request.workspace, request.enter)
        if any(each.session == session for each in self.ended if each.session):
            raise Unauthenticated("it was revoked")
        if workspace in self.suspended:
            raise Denied("suspended", reason=Reason.WORKSPACE_SUSPENDED, workspace=workspace)
        token = self.signed(self.claims(principal, session, workspace, role))
        return rpc.AuthorizeResponse(identity_token=token, principal=principal, workspace=workspace, role=role)

    async def GetSigningKeys(self, request: rpc.GetSigningKeysRequest, call: Any) -> rpc.GetSigningKeysResponse:
        return rpc.GetSigningKeysResponse(keys=[pair.message() for pair in self.signing])

    async def WatchRevocations(
        self, request: rpc.WatchRevocationsRequest, call: Any
    ) -> AsyncIterator[rpc.WatchRevocationsResponse]:
        mine: asyncio.Queue[rpc.Revocation | None] = asyncio.Queue()  # None ends the stream
        self.watching.add(mine)
        try:
            yield rpc.WatchRevocationsResponse(is_snapshot=True, revocations=self.ended)
            while (revocation := await mine.get()) is not None:
                yield rpc.WatchRevocationsResponse(revocations=[revocation])
        finally:
            self.watching.discard(mine)

    def _decided(self, credential: str, workspace: str, enter: bool) -> tuple[str, str, str, str]:
        if credential.startswith(("pya_", "pyu_")):
            return self._of_key(self.keys.get(credential), workspace)
        claims = self._verified(credential)
        session, principal = claims["sid"], claims["sub"]
        if not session.startswith("login:"):
            found = next((key for key in self.keys.values() if key.session == session), None)
            return self._of_key(found, workspace)
        workspace = workspace or claims.get("workspace", "")
        if not workspace and not enter:
            return principal, session, "", ""
        mine = {name: role for (name, user), role in self.members.items() if f"user:{user}" == principal}
        if not workspace and len(mine) != 1:
            raise InvalidInput.at("workspace", "name one", reason=Reason.WORKSPACE_REQUIRED)
        workspace = workspace or next(iter(mine))
        if workspace not in mine:
            raise Denied(f'no member of "{workspace}"')
        return principal, session, workspace, mine[workspace]

    def _of_key(self, key: Key | None, workspace: str) -> tuple[str, str, str, str]:
        if key is None:
            raise Unauthenticated("no such key")
        if workspace not in ("", key.workspace):
            raise Denied("another workspace")
        if not key.user:
            return key.session, key.session, key.workspace, key.role
        own = self.members.get((key.workspace, key.user))
        if own is None:
            raise Unauthenticated("no member any more")
        return f"user:{key.user}", key.session, key.workspace, lesser(key.role, own)

    def _verified(self, token: str) -> dict[str, Any]:
        typ = jwt.get_unverified_header(token).get("typ")
        audience = "pyairtable-login" if typ == "at+jwt" else "pyairtable"
        for pair in self.signing:
            try:
                return jwt.decode(
                    token, pair.private.public_key(), ["EdDSA"], audience=audience, issuer="pyairtable-auth"
                )
            except jwt.InvalidTokenError:
                continue
        raise Unauthenticated("not ours")


@dataclass
class EveryRpc(grpc.GenericRpcHandler):
    """Answers every RPC of the contract with an empty message, and remembers how the last call came in.

    A stream sends one message and stays open when the test says so.
    """

    seen: list[context.CallContext] = field(default_factory=list)
    stays_open: bool = False
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._handlers = {path_of(method): self._handler(method) for method in every_rpc()}

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._handlers.get(str(details.method))

    def _handler(self, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
        request, answer = classes_of(method)

        async def unary(message: Any, call: Any) -> Any:
            self.seen.append(context.current())
            return answer()

        async def stream(message: Any, call: Any) -> AsyncIterator[Any]:
            self.seen.append(context.current())
            try:
                yield answer()
                if self.stays_open:
                    await asyncio.Event().wait()
            finally:
                self.left.set()

        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream, request.FromString, answer.SerializeToString)
        return grpc.unary_unary_rpc_method_handler(unary, request.FromString, answer.SerializeToString)


@dataclass
class Installation:
    """A running auth stand-in and a service that asks it."""

    auth: StandInAuth
    auth_server: RunningService
    server: RunningService
    calls: EveryRpc

    @property
    def target(self) -> str:
        return self.server.addresses.grpc_target

    @property
    def url(self) -> str:
        return self.server.addresses.http_url


def quick(**fields: Any) -> ServiceSettings:
    """Settings of a service that stops at once, with an API_KEY."""
    return ServiceSettings(
        **{
            "api_key": API_KEY,
            "open_access": False,
            "shutdown_delay_seconds": 0,
            "shutdown_grace_seconds": 0.2,
            **fields,
        }
    )


def auth_service(auth: StandInAuth) -> Callable[[ServiceSettings], Any]:
    """Builds the auth stand-in."""

    @asynccontextmanager
    async def build(settings: ServiceSettings) -> AsyncIterator[Service]:
        descriptor = rpc.DESCRIPTOR.services_by_name["AuthService"]
        add = auth_service_pb2_grpc.add_AuthServiceServicer_to_server
        yield Service(name="auth", title="Auth", servicers=[Servicer(auth, add, descriptor)])

    return build


def every_service() -> list[ServiceDescriptor]:
    return list({method.containing_service.full_name: method.containing_service for method in every_rpc()}.values())


@asynccontextmanager
async def installation(routes: tuple[BaseRoute, ...] = (), **fields: Any) -> AsyncIterator[Installation]:
    """The two, on free ports. `fields` are settings of the service."""
    auth, calls = StandInAuth(), EveryRpc()  # type: ignore[abstract] # the rest answers UNIMPLEMENTED
    servicers = [Servicer(None, lambda *_: None, descriptor) for descriptor in every_service()]

    @asynccontextmanager
    async def build(settings: ServiceSettings) -> AsyncIterator[Service]:
        yield Service(name="every", title="Every RPC", servicers=servicers, generic_handlers=[calls], routes=routes)

    async with AsyncExitStack() as stack:
        auth_server = await stack.enter_async_context(started(auth_service(auth), quick()))
        settings = quick(auth_target=auth_server.addresses.grpc_target, **fields)
        server = await stack.enter_async_context(started(build, settings))
        yield Installation(auth, auth_server, server, calls)


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def classes_of(method: MethodDescriptor) -> tuple[Any, Any]:
    """The classes of a request and an answer."""
    return message_factory.GetMessageClass(method.input_type), message_factory.GetMessageClass(method.output_type)


@dataclass(frozen=True)
class Outcome:
    """How a call ended: the status code, and the reason of ours."""

    code: grpc.StatusCode
    reason: str = ""


class Caller:
    """Calls any RPC over one channel."""

    def __init__(self, target: str) -> None:
        self._channel = grpc.aio.insecure_channel(target)
        self._methods: dict[str, Any] = {}

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    def start(self, method: MethodDescriptor, request: Any, metadata: dict[str, str]) -> Any:
        """The call, begun."""
        path = path_of(method)
        if path not in self._methods:
            make: Any = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
            request_class, answer = classes_of(method)
            self._methods[path] = make(path, request_class.SerializeToString, answer.FromString)
        return self._methods[path](request, metadata=tuple(metadata.items()), timeout=60)

    async def outcome(self, method: MethodDescriptor, request: Any, metadata: dict[str, str]) -> Outcome:
        """How a call ends."""
        call = self.start(method, request, metadata)
        try:
            if method.server_streaming:
                async for _ in call:
                    pass
            else:
                await call
        except grpc.aio.AioRpcError as error:
            return Outcome(error.code(), reason_of(error))
        return Outcome(grpc.StatusCode.OK)


def reason_of(error: grpc.aio.AioRpcError) -> str:
    return str(from_rpc_error(error).reason)


def method_named(name: str) -> MethodDescriptor:
    """An RPC by `Service.Method`."""
    return next(each for each in every_rpc() if f"{each.containing_service.name}.{each.name}" == name)


def bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


PEER = {"x-api-key": API_KEY}
