"""What the gateway remembers of a workspace, and looks for anew when its bindings change."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pyairtable_platform.airtable_gateway.bindings import Bindings
from pyairtable_platform.airtable_gateway.credentials import WHAT, Credentials
from pyairtable_platform.common.errors import FailedPrecondition, Unavailable
from pyairtable_platform.common.events import Event
from pyairtable_platform.common.secrets import NotUsable, Secrets, SecretSource
from pyairtable_platform.common.workspace import Workspace, from_message
from pyairtable_protos.workspaces.v1 import workspace_pb2


@dataclass
class Source(SecretSource):
    """Keeps what it gave for as long as the test lasts."""

    contents: dict[str, bytes] = field(default_factory=dict)
    is_away: bool = False
    reads: list[str] = field(default_factory=list)
    keep_seconds: float = 1000.0
    longest_pause: float = 1000.0

    async def read(self, workspace: str, secret: object) -> bytes:
        self.reads.append(workspace)
        if self.is_away:
            raise Unavailable("the place is away")
        if workspace not in self.contents:
            raise NotUsable("it is not there")
        return self.contents[workspace]


def workspace(name: str) -> Workspace:
    secret = workspace_pb2.SecretRef(name="a-secret", key="token")
    airtable = workspace_pb2.Workspace(name=name, airtable_token=secret)
    airtable.source.kind, airtable.source.uid = "Workspace", "uid-1"
    return from_message(airtable)


@pytest.fixture
def source() -> Source:
    return Source({"acme": b"first-of-nobody", "beta": b"other-of-nobody"})


@pytest.fixture
def credentials(source: Source) -> Credentials:
    return Credentials(secrets=Secrets(source, WHAT, clock=lambda: 0.0), token="")


async def value(credentials: Credentials, name: str = "acme") -> str:
    return (await credentials.of(workspace(name))).value


@pytest.mark.parametrize("kind", ["binding.connected.v1", "binding.disconnected.v1"])
async def test_a_binding_that_changes_is_looked_at_anew_and_no_other(
    source: Source, credentials: Credentials, kind: str
) -> None:
    await value(credentials)
    await value(credentials, "beta")
    source.contents = {"acme": b"second-of-nobody", "beta": b"second-of-nobody"}
    Bindings(credentials).heard(Event(kind, "crm", workspace="acme"))
    assert await value(credentials) == "second-of-nobody"
    assert await value(credentials, "beta") == "other-of-nobody"
    assert source.reads == ["acme", "beta", "acme"]


async def test_what_was_missing_is_looked_for_at_once(source: Source, credentials: Credentials) -> None:
    source.contents = {}
    for _ in range(2):
        with pytest.raises(FailedPrecondition):
            await value(credentials)
    assert len(source.reads) == 1, "a pause"
    source.contents = {"acme": b"first-of-nobody"}
    Bindings(credentials).heard(Event("binding.connected.v1", "crm", workspace="acme"))
    assert await value(credentials) == "first-of-nobody"


async def test_events_about_other_things_change_nothing(source: Source, credentials: Credentials) -> None:
    await value(credentials)
    Bindings(credentials).heard(Event("workspace.member_joined.v1", "u1", workspace="acme"))
    await value(credentials)
    assert len(source.reads) == 1


async def test_when_events_may_have_been_missed_all_is_looked_at_anew_but_nothing_lost(
    source: Source, credentials: Credentials
) -> None:
    await value(credentials)
    await value(credentials, "beta")
    Bindings(credentials).missed()
    source.is_away = True
    assert await value(credentials) == "first-of-nobody"
    assert await value(credentials, "beta") == "other-of-nobody"
    assert len(source.reads) == 4


async def test_a_token_of_the_environment_is_not_remembered() -> None:
    Bindings(Credentials(secrets=None, token="x")).missed()
