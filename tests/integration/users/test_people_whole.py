"""A person from the letter to the deletion: real auth, workspaces, users and door, and the command line before them."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from integration.users.calling import API_KEY, until

from pyairtable_devkit.databases import Postgres, Valkey
from pyairtable_devkit.mailbox.testing import MailboxEmulator
from pyairtable_devkit.ports import free_port
from pyairtable_platform.api_gateway import main as api_gateway
from pyairtable_platform.auth import main as auth
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.testing import started
from pyairtable_platform.users import main as users
from pyairtable_platform.workspaces import main as workspaces
from pyairtable_protos.auth.v1 import account_service_pb2, account_service_pb2_grpc
from pyairtable_protos.users.v1 import user_service_pb2 as rpc
from pyairtable_protos.users.v1 import user_service_pb2_grpc

SERVICES: dict[str, Any] = {"workspaces": workspaces, "auth": auth, "users": users, "api-gateway": api_gateway}
PASSWORD = "plainly-unreal lilac 47 horizon"
EMAIL = "ada@acme.example"


@dataclass
class Installation:
    """Where the door and users are, and the letters that were sent."""

    url: str
    auth_target: str
    users_target: str
    mailbox: MailboxEmulator
    config: Path

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Call the door as anybody."""
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
            answer = await client.post(f"{self.url}{path}", json=body)
            assert answer.status_code == 200, answer.text
            result: dict[str, Any] = answer.json()
            return result

    async def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """Run a command: exit status, standard output, standard error."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pyairtable_platform.cli", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"XDG_CONFIG_HOME": str(self.config), "PYAIRTABLE_URL": self.url},
        )
        out, err = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def export(self) -> httpx2.Response:
        """Ask for the export of who is logged in at the command line."""
        token = json.loads((self.config / "pyairtable" / "login.json").read_text())["access_token"]
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
            return await client.get(f"{self.url}/users/me/export", headers={"authorization": f"Bearer {token}"})

    async def users_call(self, method: str, request: Any) -> Any:
        """Call UserService as a service."""
        async with ServiceChannel(self.users_target, api_key=API_KEY) as channel:
            return await channel.call(getattr(user_service_pb2_grpc.UserServiceStub(channel.channel), method), request)


@pytest.fixture
def mailbox() -> Iterator[MailboxEmulator]:
    with MailboxEmulator() as running:
        yield running


@pytest.fixture
async def installation(
    users_postgres: Postgres, users_valkey: Valkey, mailbox: MailboxEmulator, tmp_path: Path
) -> AsyncIterator[Installation]:
    url = users_postgres.create_database(f"people_{tmp_path.name}".replace("-", "_")[:60])
    await migrate_async(DatabaseSettings(database_url=url))  # type: ignore[arg-type]
    ports = {name: free_port() for name in SERVICES}
    targets = {f"{name.replace('-', '_')}_target": f"127.0.0.1:{port}" for name, port in ports.items()}
    told: dict[str, Any] = {
        "environment": "production",
        "api_key": API_KEY,
        "jwt_secret": "plainly-not-a-real-secret-of-this-test",
        "http_port": 0,
        "shutdown_delay_seconds": 0,
        "shutdown_grace_seconds": 1,
        "database_url": url,
        "redis_url": users_valkey.url,
        "smtp_host": mailbox.smtp_host,
        "smtp_port": mailbox.smtp_port,
        "smtp_starttls": False,
        "sagas_target": "127.0.0.1:1",
        "llm_orchestrator_target": "127.0.0.1:1",
        **targets,
    }
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(
                started(module.build, module.Settings.model_validate({**told, "grpc_port": ports[name]}))
            )
            for name, module in SERVICES.items()
        ]
        yield Installation(
            f"{servers[-1].addresses.http_url}/api", targets["auth_target"], targets["users_target"], mailbox, tmp_path
        )


async def registered(installation: Installation) -> str:
    """Register, prove the address with the token of the letter, get a profile; the user id."""
    await installation.post("/auth/register", email=EMAIL, user_name="ada", password=PASSWORD)
    (letter,) = await asyncio.to_thread(installation.mailbox.letters, EMAIL, wait=60)
    found = re.search(r"pyv_[A-Za-z0-9_-]{43}", letter["text"])
    assert found, letter["text"]
    account = (await installation.post("/auth/verify-email", token=found[0]))["account"]
    user = rpc.User(user_id=account["user_id"], email=EMAIL, user_name="ada", display_name="Ada")
    request = rpc.CreateProfileRequest(user=user, idempotency_key="saga-1:create_profile")
    await installation.users_call("CreateProfile", request)
    return str(account["user_id"])


@pytest.mark.slow
async def test_a_person_from_the_letter_to_the_deletion(installation: Installation) -> None:
    user_id = await registered(installation)
    log_in = ("login", "--login", EMAIL, "--password-stdin")
    status, shown, error = await installation.run(*log_in, stdin=PASSWORD)
    assert (status, shown.endswith("as ada (ada@acme.example).\n"), error) == (0, True, "")
    status, shown, _ = await installation.run("whoami")
    assert (status, f"id\t{user_id}" in shown) == (0, True)
    assert await installation.run("workspaces") == (0, "", "")

    # An administrator deletes the person: the login ends, whatever token it still has.
    await installation.users_call("DeleteUser", rpc.DeleteUserRequest(user_id=user_id))

    async def is_out() -> bool:
        return (await installation.run("whoami"))[0] == 1

    await until(is_out)
    status, _, error = await installation.run(*log_in, stdin=PASSWORD)
    assert status == 1, error

    # And takes it back. What auth's relay told of it meanwhile changes nothing more.
    restored = await installation.users_call("RestoreUser", rpc.RestoreUserRequest(user_id=user_id))
    assert not restored.user.HasField("deleted_at")
    status, _, error = await installation.run(*log_in, stdin=PASSWORD)
    assert (status, error) == (0, "")
    assert (await installation.run("logout"))[1] == "Logged out.\n"


@pytest.mark.slow
async def test_a_profile_follows_what_auth_tells_of_its_account(installation: Installation) -> None:
    user_id = await registered(installation)
    disabled = account_service_pb2.SetAccountStateRequest(
        user_id=user_id, state=account_service_pb2.ACCOUNT_STATE_DISABLED, idempotency_key="saga-2:disable_account"
    )
    async with ServiceChannel(installation.auth_target, api_key=API_KEY) as channel:
        await channel.call(account_service_pb2_grpc.AccountServiceStub(channel.channel).SetAccountState, disabled)

    async def is_deleted() -> bool:
        found = await installation.users_call("LookupUsers", rpc.LookupUsersRequest(user_ids=[user_id]))
        return bool(found.users[0].HasField("deleted_at"))

    await until(is_deleted)
    await installation.users_call("RestoreUser", rpc.RestoreUserRequest(user_id=user_id))
    assert (await installation.run("login", "--login", "ada", "--password-stdin", stdin=PASSWORD))[0] == 0
    answer = await installation.export()
    assert answer.status_code == 503
    assert "because of llm-orchestrator, sagas (" in answer.json()["detail"]
