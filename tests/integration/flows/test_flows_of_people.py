"""People over every service that keeps something of them: onboarded once when they prove their address, erased to the
last table when they ask for it, or long after they were deleted."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from integration.flows.installation import API_KEY, PASSWORD, Installation, Person, until
from redis.asyncio import Redis

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.database import open_engine
from pyairtable_platform.common.errors import Denied, FailedPrecondition, NotFound, Unauthenticated
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.values import dict_to_struct, struct_to_dict
from pyairtable_platform.users.peers import Erasures
from pyairtable_platform.users.purge import Purge
from pyairtable_platform.users.store import UserStore

NAME, DISPLAY_NAME = "pquill7731", "Philippa Quillfeather"
EMAIL = "philippa.quillfeather@acme.example"
TRACES = re.compile("philippa|quillfeather", re.IGNORECASE)
"""In name and address. The user name is another matter: the first workspace of a person is called like it."""

NAMES_OF_WORKSPACES = {
    "auth.audit",
    "llm_orchestrator.forgotten_costs",
    "workspaces.audit_log",
    "workspaces.outbox",
    "workspaces.workspaces",
}
"""Tables that keep the name of a workspace when it has ended (docs/users.md: what stays)."""
ONBOARDINGS = "SELECT state FROM sagas.sagas WHERE type = 'user_onboarding' AND business_key = $1"


async def test_an_event_that_comes_twice_gives_one_onboarding(installation: Installation) -> None:
    first = await installation.person("nils")
    await installation.rows("UPDATE auth.outbox SET published_at = NULL WHERE subject = $1", first.user_id)
    await installation.person("onno")  # heard after the repeat
    assert [row["state"] for row in await installation.rows(ONBOARDINGS, first.user_id)] == ["COMPLETED"]
    spaces = (await first.ask("ListMyWorkspaces")).workspaces
    assert [space.name for space in spaces] == [first.workspace]


async def test_an_emptied_valkey_loses_no_onboarding(installation: Installation) -> None:
    """An address is proved while nobody hears; then Valkey loses the stream."""
    before = await installation.person("nils")
    token = await installation.registered("pia")
    await asyncio.to_thread(installation.stop, "sagas")
    user_id = (await installation.anybody().ask("VerifyEmail", token=token)).account.user_id

    async def published() -> list[Any]:
        query = (
            "SELECT 1 FROM auth.outbox WHERE subject = $1 AND type = 'user.verified.v1' AND published_at > '2000-1-1'"
        )
        return await installation.rows(query, user_id)

    await until(published, "the event in the stream")
    valkey: Any = Redis.from_url(installation.valkey.url)
    await valkey.flushall()
    await valkey.aclose()
    await asyncio.to_thread(installation.start, "sagas")
    assert (await installation.onboarding_of(user_id))["state"] == "COMPLETED"
    for person in (before.user_id, user_id):
        assert [row["state"] for row in await installation.rows(ONBOARDINGS, person)] == ["COMPLETED"]


async def test_who_was_deleted_long_ago_is_erased_once(installation: Installation) -> None:
    """Two replicas look at once, with the clock of a month later."""
    person = await installation.person("nils")
    await installation.peer.ask("DeleteUser", user_id=person.user_id)
    engine = open_engine(DatabaseSettings.model_validate({"database_url": installation.database_url}), "users")
    async with ServiceChannel(f"127.0.0.1:{installation.ports['sagas']}", api_key=API_KEY) as sagas:

        def after(days: int) -> Purge:
            later = datetime.now(UTC) + timedelta(days=days)
            return Purge(UserStore(engine), Erasures(sagas), lambda: later)

        assert await after(29).purge() == [], "it can be taken back still"
        begun = await asyncio.gather(after(31).purge(), after(31).purge())
        again = await after(31).purge()
        ids = {saga_id for found in (*begun, again) for saga_id in found}
        assert len(ids) == 1

        async def gone() -> bool:
            return not await installation.rows("SELECT 1 FROM users.profiles WHERE user_id = $1", person.user_id)

        await until(gone, "the erasure")

        async def ended() -> list[Any]:
            query = "SELECT state FROM sagas.sagas WHERE saga_id = $1 AND ended_at IS NOT NULL"
            return await installation.rows(query, ids.copy().pop())

        assert [row["state"] for row in await until(ended, "the end")] == ["COMPLETED"]
        assert await after(60).purge() == []
    await engine.dispose()


async def ended(installation: Installation, saga_id: str) -> dict[str, Any]:
    """A saga when it has ended; nobody else may look by then."""

    async def found() -> list[Any]:
        return await installation.rows("SELECT * FROM sagas.sagas WHERE saga_id = $1 AND ended_at IS NOT NULL", saga_id)

    return dict((await until(found, f"the end of saga {saga_id}"))[0])


async def somebody_who_was_busy(installation: Installation, olga: Person) -> tuple[Person, str]:
    """A person who left something everywhere; and an API key of theirs."""
    person = await installation.person(NAME, email=EMAIL, display_name=DISPLAY_NAME)
    await person.ask("UpdateMyProfile", about=f"I am {DISPLAY_NAME}", time_zone="Europe/Berlin")
    await person.ask("UpdateMyPreferences", preferences={"default_workspace": person.workspace, "show_costs": True})
    await installation.join(olga, person, "admin")
    second = await olga.ask("CreateWorkspace", name="olga-second", display_name="Second")
    await olga.ask("CreateInvitation", workspace="olga-second", email=EMAIL.upper(), role="viewer")
    await person.ask("CreateInvitation", workspace=olga.workspace, email="guest@acme.example", role="viewer")
    await person.ask("CreateInvitation", workspace=person.workspace, email="other@acme.example", role="viewer")
    key = (await person.ask("CreateApiKey", workspace=olga.workspace, name="Philippa's laptop")).key
    assert second.saga_id
    await installation.anybody(key).ask("GetWorkspace", workspace=olga.workspace)
    for workspace in (person.workspace, olga.workspace):
        await person.ask("Chat", workspace=workspace, session_id="s1", message=f"My name is {DISPLAY_NAME}, {EMAIL}")
    return person, key


async def test_a_person_is_erased_everywhere(installation: Installation) -> None:
    olga = await installation.person("olga")
    person, key = await somebody_who_was_busy(installation, olga)
    await audit_heard(installation, olga.workspace, person.workspace)
    log = (await olga.ask("ListAuditLog", workspace=olga.workspace, action_prefix="invitation.created")).entries
    assert {entry.details["email"] for entry in log} == {EMAIL, "guest@acme.example"}
    export = struct_to_dict((await person.ask("ExportMyData")).data)
    assert set(export) >= {"users", "auth", "workspaces", "llm-orchestrator", "sagas"}
    assert len(export["llm-orchestrator"]["sessions"]) == 2 and export["workspaces"]["invitations_received"]
    before = {name for name, text in (await installation.tables()).items() if TRACES.search(text)}
    assert {"users.profiles", "auth.accounts", "workspaces.members", "workspaces.invitations"} <= before

    with pytest.raises(Exception, match="confirm_email"):
        await person.ask("EraseMe", confirm_email="olga@acme.example")
    saga_id = (await person.ask("EraseMe", confirm_email=EMAIL.upper())).saga_id
    saga = await ended(installation, saga_id)
    assert saga["state"] == "COMPLETED", saga
    await audit_heard(installation, olga.workspace)

    assert await traces_left(installation, TRACES) == {}
    left = await traces_left(installation, re.compile(NAME, re.IGNORECASE))
    assert left.keys() <= NAMES_OF_WORKSPACES, left
    assert not await installation.rows("SELECT * FROM workspaces.audit_log WHERE details ->> 'email' LIKE 'other@%'")
    assert await traces_in_valkey(installation) == []
    await nothing_opens_any_more(installation, person, key)
    members = (await olga.ask("ListMembers", workspace=olga.workspace)).members
    assert [member.email for member in members] == [olga.email]
    log = (await olga.ask("ListAuditLog", workspace=olga.workspace)).entries
    assert "user:erased" in {entry.principal for entry in log} and not TRACES.search(str(log))
    with pytest.raises(Denied):
        await olga.ask("GetWorkspace", workspace=person.workspace)
    await erased_again(installation, person)


async def audit_heard(installation: Installation, *workspaces: str) -> None:
    """Wait until every event of these workspaces is in their audit log."""
    unheard = (
        "SELECT event_id, workspace FROM workspaces.outbox UNION ALL SELECT event_id, workspace FROM sagas.outbox "
        "EXCEPT SELECT event_id, workspace FROM workspaces.audit_log"
    )

    async def all_heard() -> bool:
        return not [row for row in await installation.rows(unheard) if row["workspace"] in workspaces]

    await until(all_heard, "the audit log to hear everything")


async def traces_left(installation: Installation, traces: re.Pattern[str]) -> dict[str, list[str]]:
    """Lines of tables in which something of the person still stands."""
    found = {}
    for name, text in (await installation.tables()).items():
        if lines := [line for line in text.splitlines() if traces.search(line)]:
            found[name] = lines
    return found


async def traces_in_valkey(installation: Installation) -> list[str]:
    """Keys of Valkey in which the person's name or address stands, as a key or in a stream."""
    valkey: Any = Redis.from_url(installation.valkey.url)
    found = []
    async for key in valkey.scan_iter():
        kept = await valkey.xrange(key) if await valkey.type(key) == b"stream" else b""
        if TRACES.search(f"{key!r} {kept!r}"):
            found.append(f"{key!r} {kept!r}")
    await valkey.aclose()
    return found


async def nothing_opens_any_more(installation: Installation, person: Person, key: str) -> None:
    for credential, rpc in ((person, "GetMe"), (person, "ListSagas"), (installation.anybody(key), "ListMyWorkspaces")):
        with pytest.raises(Unauthenticated):
            await credential.ask(rpc)
    with pytest.raises(Unauthenticated):
        await installation.anybody(key).ask("GetWorkspace", workspace="olga")
    with pytest.raises(Unauthenticated):
        await installation.anybody().ask("Refresh", refresh_token=person.refresh_token)
    for login in (EMAIL, NAME):
        with pytest.raises(Unauthenticated):
            await installation.anybody().ask("Login", login=login, password=PASSWORD)


async def erased_again(installation: Installation, person: Person) -> None:
    """Erasing somebody who is not there any more is no harm, however it is asked for."""
    with pytest.raises(NotFound):
        await installation.peer.ask("EraseUser", user_id=person.user_id)
    given: dict[str, Any] = {"type": "person_erasure", "input": dict_to_struct({"user_id": person.user_id})}
    asked = [installation.peer.ask("StartSagaFor", idempotency_key=f"again-{n}", **given) for n in range(3)]
    for answer in await asyncio.gather(*asked):
        assert (await ended(installation, answer.saga.saga_id))["state"] == "COMPLETED"


async def test_the_last_owner_is_told_what_to_do_first(installation: Installation) -> None:
    owner, member = await installation.person("lasse"), await installation.person("onno")
    await installation.join(owner, member, "admin")
    saga_id = (await owner.ask("EraseMe", confirm_email=owner.email)).saga_id
    saga = await owner.end_of(saga_id)
    assert "last owner of workspace" in saga.error and "make another member its owner, or delete it" in saga.error
    steps = await owner.steps(saga_id)
    assert not steps["disable_account"].attempts, "she was not locked out meanwhile"
    with pytest.raises(FailedPrecondition, match="cannot be taken back"):
        await owner.ask("CancelSaga", saga_id=saga_id)

    # She does, and is erased then; the workspace stays with the other owner.
    await owner.ask("UpdateMember", workspace=owner.workspace, user_id=member.user_id, role="owner")
    saga = await ended(installation, (await owner.ask("EraseMe", confirm_email=owner.email)).saga_id)
    assert saga["state"] == "COMPLETED", saga
    members = (await member.ask("ListMembers", workspace=owner.workspace)).members
    assert [one.user_id for one in members] == [member.user_id]
