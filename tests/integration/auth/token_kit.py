"""Two replicas of the auth service over one PostgreSQL, with a registry and a users service that tests speak for."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

import grpc
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.auth import main as auth
from pyairtable_platform.auth.accounts.access_tokens import sign_access_token
from pyairtable_platform.auth.signers import Signers
from pyairtable_platform.auth.signing import Seal
from pyairtable_platform.auth.store import AuthStore
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.database import open_engine
from pyairtable_platform.common.errors import Denied, Unauthenticated
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.status import from_rpc_error
from pyairtable_platform.common.testing import started
from pyairtable_platform.common.values import to_timestamp
from pyairtable_protos.auth.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    auth_service_pb2,
    auth_service_pb2_grpc,
)
from pyairtable_protos.users.v1 import user_service_pb2, user_service_pb2_grpc
from pyairtable_protos.workspaces.v1 import workspace_pb2, workspace_service_pb2, workspace_service_pb2_grpc

API_KEY = "plainly-not-a-real-api-key"
JWT_SECRET = "plainly-not-a-real-secret-of-this-test"


class Registry(workspace_service_pb2_grpc.WorkspaceServiceServicer):
    """Tells of the workspaces that a test declares."""

    def __init__(self) -> None:
        self.workspaces: dict[str, workspace_pb2.Workspace] = {}
        self.revision = 1
        self.readers: set[asyncio.Queue[workspace_service_pb2.WatchWorkspacesResponse]] = set()

    async def WatchWorkspaces(self, request: Any, call: Any) -> AsyncIterator[Any]:
        changes: asyncio.Queue[Any] = asyncio.Queue()
        self.readers.add(changes)
        try:
            snapshot = workspace_service_pb2.WorkspaceSnapshot(workspaces=self.workspaces.values())
            yield self._update(snapshot=snapshot)
            while True:
                yield await changes.get()
        finally:
            self.readers.discard(changes)

    def declare(
        self,
        name: str,
        *,
        members: Mapping[str, str] = MappingProxyType({}),
        uid: str = "uid-1",
        suspended: bool = False,
        owners: Sequence[workspace_pb2.Owner] = (),
        joined_at: datetime | None = None,
    ) -> int:
        """A workspace in force; members are roles by user_id. Returns the revision."""
        self.revision += 1
        since = to_timestamp(joined_at) if joined_at else None
        people = [
            workspace_pb2.Member(user_id=user_id, role=role, joined_at=since) for user_id, role in members.items()
        ]
        declared = [
            workspace_pb2.Member(email=owner.name, role="owner", declared=True)
            for owner in owners
            if owner.kind == "User"
        ]
        workspace = workspace_pb2.Workspace(
            name=name,
            suspended=suspended,
            version=self.revision,
            owners=owners,
            members=[*declared, *people],
            source=workspace_pb2.Source(kind="Workspace", uid=uid, generation=self.revision),
        )
        self.workspaces[name] = workspace
        self._tell(applied=workspace)
        return self.revision

    def remove(self, name: str) -> int:
        self.revision += 1
        del self.workspaces[name]
        self._tell(removed=name)
        return self.revision

    def _tell(self, **update: Any) -> None:
        for reader in self.readers:
            reader.put_nowait(self._update(**update))

    def _update(self, **update: Any) -> workspace_service_pb2.WatchWorkspacesResponse:
        return workspace_service_pb2.WatchWorkspacesResponse(registry="r1", revision=self.revision, **update)


class Users(user_service_pb2_grpc.UserServiceServicer):
    """Knows the preferred workspace of people, and counts who asks."""

    def __init__(self) -> None:
        self.preferred: dict[str, str] = {}
        self.asked: list[str] = []

    async def LookupUsers(self, request: Any, call: Any) -> user_service_pb2.LookupUsersResponse:
        self.asked.extend(request.user_ids)
        found = {each: self.preferred[each] for each in request.user_ids if each in self.preferred}
        return user_service_pb2.LookupUsersResponse(
            preferences={each: user_service_pb2.Preferences(default_workspace=name) for each, name in found.items()}
        )


@dataclass
class House:
    """What runs, and what tests do in it."""

    registry: Registry
    users: Users
    engine: AsyncEngine
    signers: Signers
    replicas: list[ServiceChannel] = field(default_factory=list)
    servers: list[Any] = field(default_factory=list)

    async def call(self, method: str, replica: int = 0, /, **fields: Any) -> Any:
        """Call AuthService as a peer."""
        channel = self.replicas[replica]
        stub = auth_service_pb2_grpc.AuthServiceStub(channel.channel)
        return await channel.call(getattr(stub, method), getattr(auth_service_pb2, f"{method}Request")(**fields))

    async def authorize(self, credential: str, workspace: str = "", replica: int = 0, **fields: Any) -> Any:
        return await self.call("Authorize", replica, credential=credential, workspace=workspace, **fields)

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        """Run SQL over all workspaces."""
        async with self.engine.begin() as connection:
            await connection.execute(sqlalchemy.text("SELECT set_config('app.workspace', '*', true)"))
            result = await connection.execute(sqlalchemy.text(statement), values)
            return list(result.all()) if result.returns_rows else []

    async def person(self, email: str = "", *, state: str = "active") -> str:
        """An account; returns its user_id."""
        user_id = uuid.uuid4().hex
        email = email or f"{user_id}@example.com"
        await self.rows(
            "INSERT INTO accounts (user_id, email, email_folded, user_name, user_name_folded, display_name, "
            "password_hash, state, verified_at) VALUES (:id, :email, :email, :id, :id, 'Somebody', '', :state, now())",
            id=user_id,
            email=email,
            state=state,
        )
        return user_id

    async def login(self, user_id: str) -> tuple[str, str]:
        """An open login of a person: its id, and an access token."""
        login_id = uuid.uuid4().hex
        await self.rows(
            "INSERT INTO logins (login_id, user_id, device, address, expires_at, ends_at, refresh_sha256, salt) "
            "VALUES (:id, :user, '', '', now() + interval '1 day', now() + interval '2 days', '', '')",
            id=login_id,
            user=user_id,
        )
        [row] = await self.rows("SELECT now() AS moment")
        token = sign_access_token(
            await self.signers.current(), user_id=user_id, login_id=login_id, issued_at=row.moment, jti=login_id
        )
        return login_id, token


async def until(condition: Callable[..., Any], *arguments: Any) -> None:
    """Wait for a condition, which may be a coroutine function, to hold."""
    async with asyncio.timeout(30):
        while True:
            found = condition(*arguments)
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def house_over(database_url: str, *, registry: Registry | None = None, **settings: Any) -> AsyncIterator[House]:
    """Two replicas of the auth service."""
    async with AsyncExitStack() as stack:
        registry = registry or Registry()  # type: ignore[abstract]
        users = Users()  # type: ignore[abstract]
        server = grpc.aio.server()
        workspace_service_pb2_grpc.add_WorkspaceServiceServicer_to_server(registry, server)
        user_service_pb2_grpc.add_UserServiceServicer_to_server(users, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        stack.push_async_callback(server.stop, None)
        engine = open_engine(DatabaseSettings(database_url=database_url, db_pool_size=5), "auth")  # type: ignore[arg-type]
        stack.push_async_callback(engine.dispose)
        signers = Signers(AuthStore(engine), Seal(JWT_SECRET))
        house = House(registry, users, engine, signers)
        told = {
            "environment": "production",
            "open_access": False,
            "api_key": API_KEY,
            "jwt_secret": JWT_SECRET,
            "http_port": 0,
            "grpc_port": 0,
            "shutdown_delay_seconds": 0,
            "shutdown_grace_seconds": 1,
            "database_url": database_url,
            "workspaces_target": f"127.0.0.1:{port}",
            "users_target": f"127.0.0.1:{port}",
            **settings,
        }
        async with asyncio.timeout(60):
            for _ in range(2):
                running = await stack.enter_async_context(started(auth.build, auth.Settings.model_validate(told)))
                house.servers.append(running)
                channel = ServiceChannel(running.addresses.grpc_target, api_key=API_KEY)
                house.replicas.append(await stack.enter_async_context(channel))
        yield house


@dataclass
class Somebody:
    """A person who is signed in, and calls AccountService."""

    house: House
    user_id: str
    token: str

    async def call(self, method: str, replica: int = 0, /, credential: str = "", **fields: Any) -> Any:
        stub = account_service_pb2_grpc.AccountServiceStub(self.house.replicas[replica].channel)
        request = getattr(account_service_pb2, f"{method}Request")(**fields)
        return await called(getattr(stub, method), request, credential or self.token)

    async def auth_call(self, method: str, replica: int = 0, /, **fields: Any) -> Any:
        """Call AuthService as a person in the workspace that the request names."""
        stub = auth_service_pb2_grpc.AuthServiceStub(self.house.replicas[replica].channel)
        request = getattr(auth_service_pb2, f"{method}Request")(**fields)
        return await called(getattr(stub, method), request, self.token)

    async def key(self, workspace: str, **fields: Any) -> Any:
        return await self.call("CreateApiKey", workspace=workspace, **fields)


async def called(method: Any, request: Any, credential: str) -> Any:
    try:
        return await method(request, metadata=(("authorization", f"Bearer {credential}"),), timeout=30)
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error


_names = (f"team-{number}" for number in itertools.count())


def new_name() -> str:
    """The name of a workspace that there is not yet."""
    return next(_names)


async def somebody(house: House, role: str, workspace: str = "") -> tuple[Somebody, str]:
    """A person with a role in a workspace of theirs, which both replicas know."""
    user_id = await house.person()
    _, token = await house.login(user_id)
    workspace = workspace or new_name()
    house.registry.declare(workspace, members={user_id: role})

    async def known(replica: int) -> bool:
        try:
            return bool((await house.authorize(token, workspace, replica)).role == role)
        except Denied:
            return False

    for replica in range(2):
        await until(known, replica)
    return Somebody(house, user_id, token), workspace


async def refused(house: House, key: str, replica: int = 0) -> bool:
    try:
        await house.authorize(key, replica=replica)
    except Unauthenticated:
        return True
    return False
