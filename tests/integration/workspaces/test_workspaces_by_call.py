"""Workspaces that calls make: by sagas, changed, ended; templates, the audit log, a person's data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict
from integration.workspaces.people_kit import Installation, Person, running_installation
from integration.workspaces.stand_ins import Around
from integration.workspaces.test_invitations import reason_of, statement, until_found
from integration.workspaces.test_provisioning_steps import BASE, binding
from redis.asyncio import Redis

from pyairtable_devkit.databases import Valkey
from pyairtable_platform.common.errors import Denied, FailedPrecondition, InvalidInput, NotFound, QuotaExhausted, Reason
from pyairtable_platform.common.event import Event
from pyairtable_protos.sagas.v1 import saga_service_pb2 as saga_rpc
from pyairtable_protos.workspaces.v1 import workspace_pb2


@pytest.fixture
async def shared(around: Around, database_url: str, valkey: Valkey) -> AsyncIterator[Installation]:
    """An installation whose Airtable token is everybody's."""
    async with running_installation(around, database_url, valkey.url, shared_airtable_token=True) as running:
        yield running


@pytest.fixture
async def ada(shared: Installation) -> Person:
    person = shared.person("ada")
    await shared.workspace(person)
    return person


async def bind(installation: Installation, workspace: str = "acme", **base: Any) -> Any:
    fields = {"workspace_name": workspace, "base": binding(**base), "principal": "user:somebody"}
    key = f"{workspace}:{base}"
    return (await installation.peer("BindBase", idempotency_key=key, **fields)).base


# Made and connected by sagas


async def test_create_starts_the_saga_and_returns_what_it_made(shared: Installation) -> None:
    ada = shared.person("ada")

    async def act(given: dict[str, Any]) -> None:
        assert given == {"name": "cafe-zoe", "display_name": "Café Zoë", "user_id": ada.user_id}
        await shared.workspace(ada, given["name"], key="saga-1")

    shared.around.sagas.act = act
    answer = await ada.ask("CreateWorkspace", display_name="Café Zoë", idempotency_key="mine")
    assert (answer.workspace.name, answer.saga_id) == ("cafe-zoe", "s1")
    again = await ada.ask("CreateWorkspace", display_name="Café Zoë", idempotency_key="mine", door=1)
    assert again.workspace.name == "cafe-zoe"
    first, second = shared.around.sagas.asked
    assert first.idempotency_key == second.idempotency_key
    assert first.input == second.input, "the name that was made of the other is kept with the key"
    assert (first.type, first.principal) == ("workspace_creation", f"user:{ada.user_id}")
    assert first.wait_seconds > 0
    await reason_of(ada.ask("CreateWorkspace", display_name="Café Zoë"))
    assert shared.around.sagas.asked[-1].input["name"] == "cafe-zoe-2"


async def test_a_saga_that_takes_its_time(shared: Installation) -> None:
    shared.around.sagas.saga = saga_rpc.Saga(saga_id="s7", state=saga_rpc.SAGA_STATE_RUNNING)
    answer = await shared.person("ada").ask("CreateWorkspace", name="slow", display_name="Slow")
    assert answer.saga_id == "s7"
    assert not answer.HasField("workspace")


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("CONFLICT", FailedPrecondition),
        ("QUOTA_EXHAUSTED", QuotaExhausted),
        ("BASE_NOT_FOUND", NotFound),
        ("DENIED", Denied),
    ],
)
async def test_a_saga_that_failed_is_the_callers_error(
    shared: Installation, reason: str, kind: type[Exception]
) -> None:
    state = saga_rpc.SAGA_STATE_COMPENSATED
    shared.around.sagas.saga = saga_rpc.Saga(saga_id="s7", state=state, error="it says why", error_reason=reason)
    with pytest.raises(kind, match="it says why") as refusal:
        await shared.person("ada").ask("CreateWorkspace", name="acme", display_name="Acme")
    assert str(getattr(refusal.value, "reason", "")) == reason


@pytest.mark.parametrize(
    "fields",
    [{"name": "Not A Name", "display_name": "x"}, {"display_name": "   "}, {"display_name": ""}],
)
async def test_what_cannot_be_made_starts_nothing(shared: Installation, fields: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        await shared.person("ada").ask("CreateWorkspace", **fields)
    assert not shared.around.sagas.asked


async def test_connect_starts_the_saga(shared: Installation, ada: Person) -> None:
    async def act(given: dict[str, Any]) -> None:
        assert given == {
            "workspace": "acme",
            "base_id": BASE,
            "name": "crm",
            "access": "Schema",
            "tables": [],
            "is_default": False,
            "template": "crm",
        }
        await bind(shared, access=workspace_pb2.BASE_ACCESS_SCHEMA)

    shared.around.sagas.act = act
    fields = {"base_id": BASE, "name": "crm", "template": "crm", "workspace": "acme", "own": "owner"}
    with pytest.raises(InvalidInput, match="SCHEMA"):
        await ada.ask("ConnectBase", **fields)
    answer = await ada.ask("ConnectBase", access=workspace_pb2.BASE_ACCESS_SCHEMA, **fields)
    assert (answer.base.name, answer.base.is_default) == ("crm", True)
    assert shared.around.sagas.asked[0].principal == f"user:{ada.user_id}"
    with pytest.raises(FailedPrecondition, match="bound already"):
        await ada.ask("ConnectBase", access=workspace_pb2.BASE_ACCESS_SCHEMA, **fields)
    with pytest.raises(NotFound) as refusal:
        await ada.ask("ConnectBase", own="owner", workspace="acme", base_id=BASE, template="none", access=3)
    assert refusal.value.reason is Reason.TEMPLATE_NOT_FOUND


# Bases


async def test_bases_are_bound_once_and_taken_out(shared: Installation, ada: Person) -> None:
    first = await bind(shared)
    assert first.is_default, "the first one is"
    assert await bind(shared) == first, "the same step again"
    assert await reason_of(bind(shared, base_id="appOtherRenovatio")) == "CONFLICT", "its name is taken"
    assert await reason_of(bind(shared, name="other")) == "CONFLICT", "it is bound"
    other = await bind(shared, name="Other Base", base_id="appOtherRenovatio", is_default=True)
    assert other.name == "other-base"
    bases = (await ada.ask("GetWorkspace", own="owner", workspace="acme", door=1)).workspace.bases
    assert [(base.name, base.is_default) for base in bases] == [("crm", False), ("other-base", True)]
    await ada.ask("DisconnectBase", own="owner", workspace="acme", base=other.base_id)
    bases = (await ada.ask("GetWorkspace", own="owner", workspace="acme")).workspace.bases
    assert [(base.name, base.is_default) for base in bases] == [("crm", True)]
    with pytest.raises(NotFound) as refusal:
        await ada.ask("DisconnectBase", own="owner", workspace="acme", base="gone")
    assert refusal.value.reason is Reason.BASE_NOT_FOUND


async def test_unbinding_takes_back_what_the_step_did(shared: Installation, ada: Person) -> None:
    fields = {"workspace_name": "acme", "base": binding(), "principal": "user:x"}
    await shared.peer("BindBase", idempotency_key="s:bind", **fields)
    assert (await shared.peer("UnbindBase", undoes="s:bind", door=1)).undone
    assert (await shared.peer("UnbindBase", undoes="s:bind")).undone
    assert not (await shared.peer("GetWorkspace", workspace="acme")).workspace.bases
    assert await reason_of(shared.peer("BindBase", idempotency_key="s:bind", **fields)) == "CONFLICT"
    assert not (await shared.peer("UnbindBase", undoes="never")).undone


async def test_a_base_of_the_shared_token_is_one_workspaces_only(shared: Installation, ada: Person) -> None:
    await bind(shared)
    eve = shared.person("eve")
    await shared.workspace(eve, "evil")
    with pytest.raises(FailedPrecondition, match="another workspace") as refusal:
        await bind(shared, "evil")
    assert "acme" not in str(refusal.value)
    with pytest.raises(FailedPrecondition, match="another workspace"):
        await eve.ask("ConnectBase", own="owner", workspace="evil", base_id=BASE)


async def test_a_base_that_an_object_declares_is_nobodys_who_comes_by_a_call(shared: Installation, ada: Person) -> None:
    """Else whoever may register reads the bases of the installation's own workspaces."""
    wanted = workspace_pb2.Workspace(name="operators", bases=[binding(is_default=True)])
    source = workspace_pb2.Source(kind="Workspace", uid="uid-1", generation=1)
    await shared.peer("ApplyWorkspace", workspace=wanted, source=source)
    with pytest.raises(FailedPrecondition, match="another workspace") as refusal:
        await bind(shared)
    assert "operators" not in str(refusal.value)
    with pytest.raises(FailedPrecondition, match="another workspace"):
        await ada.ask("ConnectBase", own="owner", workspace="acme", base_id=BASE)


async def test_two_workspaces_that_bind_a_base_at_once(shared: Installation, ada: Person) -> None:
    await shared.workspace(shared.person("eve"), "evil")
    fields = {"base": binding(), "principal": ""}
    found = await asyncio.gather(
        *(
            reason_of(shared.peer("BindBase", door=n, workspace_name=name, idempotency_key=name, **fields))
            for n, name in enumerate(("acme", "evil"))
        )
    )
    assert sorted(found) == ["CONFLICT", "done"]


# Fields, and the end


async def test_fields_change_as_the_mask_says(shared: Installation, ada: Person) -> None:
    async def update(*paths: str, **fields: Any) -> Any:
        mask = FieldMask(paths=paths) if paths else None
        request = {"workspace": "acme", "own": "owner", "update_mask": mask, **fields}
        return (await ada.ask("UpdateWorkspace", **request)).workspace

    changed = await update(display_name="New", llm=workspace_pb2.LlmPolicy(approval="Writes", model="m"))
    assert (changed.display_name, changed.llm.approval, changed.llm.model) == ("New", "Writes", "m")
    changed = await update("monthly_call_budget", display_name="Not this", monthly_call_budget=7)
    assert (changed.display_name, changed.monthly_call_budget) == ("New", 7)
    changed = await update("llm.approval", "monthly_call_budget")
    assert (changed.llm.approval, changed.llm.model, changed.monthly_call_budget) == ("Never", "m", 0)
    changed = await update("llm")
    assert changed.llm.model == ""
    assert (await update("llm")).version == changed.version, "what changes nothing is no change"
    assert (await update("display_name")).display_name == "acme", "emptied, it is the name"
    for bad in ({"llm": workspace_pb2.LlmPolicy(approval="Sometimes")}, {"monthly_call_budget": 2**32 - 1}):
        with pytest.raises(InvalidInput):
            await update(**bad)
    with pytest.raises(InvalidInput, match="update_mask"):
        await update("owners")


async def test_nobody_suspends_their_own_workspace(shared: Installation, ada: Person) -> None:
    """Nobody could take it back: who is in it gets no identity there any more, and an admin would lock out owners."""
    for own in ("admin", "owner"):
        with pytest.raises(Denied, match="nobody"):
            await ada.ask("UpdateWorkspace", own=own, workspace="acme", suspended=True)
    mask = FieldMask(paths=["*"])
    request = {"workspace": "acme", "update_mask": mask, "display_name": "New"}
    assert (await ada.ask("UpdateWorkspace", own="owner", **request)).workspace.display_name == "New"
    assert (await shared.peer("UpdateWorkspace", workspace="acme", suspended=True)).workspace.suspended
    with pytest.raises(Denied):
        await ada.ask("GetWorkspace", own="owner", workspace="acme")
    back = await shared.peer("UpdateWorkspace", workspace="acme", update_mask=FieldMask(paths=["suspended"]))
    assert not back.workspace.suspended


async def test_what_others_declare_is_changed_there(shared: Installation) -> None:
    await shared.declare("declared", "ada@acme.example")
    ada = shared.person("ada")
    for call, fields in {
        "UpdateWorkspace": {"display_name": "x"},
        "DeleteWorkspace": {},
        "ConnectBase": {"base_id": BASE},
        "DisconnectBase": {"base": "crm"},
    }.items():
        with pytest.raises(FailedPrecondition, match="kubectl edit workspace declared") as refusal:
            await ada.ask(call, own="owner", workspace="declared", **fields)
        assert refusal.value.reason is Reason.OWNED_ELSEWHERE
        assert refusal.value.metadata["object"] == "Workspace/declared"


async def test_what_an_owner_may_spend_on_the_installations_key_is_bounded(shared: Installation, ada: Person) -> None:
    found = (await ada.ask("GetWorkspace", own="owner", workspace="acme", door=1)).workspace
    assert found.made_by_call
    assert not (await made_anew_by_an_object(shared)).made_by_call
    given = {"own": "owner", "workspace": "acme"}
    await ada.ask("UpdateWorkspace", **given, llm=workspace_pb2.LlmPolicy(model="large"))
    with pytest.raises(InvalidInput, match="SELF_SERVICE_MONTHLY_COST") as refusal:
        await ada.ask("UpdateWorkspace", **given, llm=workspace_pb2.LlmPolicy(monthly_cost_limit="25.01"))
    assert refusal.value.violations[0].field == "llm.monthly_cost_limit"


async def made_anew_by_an_object(installation: Installation) -> Any:
    """Another workspace, which an operator declares."""
    await installation.declare("operators")
    return (await installation.peer("GetWorkspace", workspace="operators")).workspace


async def test_the_end_takes_everything_but_the_audit_log(shared: Installation, ada: Person) -> None:
    await shared.join("acme", ada, "bob", "editor")
    await ada.ask("CreateInvitation", own="owner", workspace="acme", email="x@acme.example", role="viewer")
    admin = await shared.join("acme", ada, "admin", "admin")
    with pytest.raises(Denied):
        await admin.ask("DeleteWorkspace", own="admin", workspace="acme")
    await ada.ask("DeleteWorkspace", own="owner", workspace="acme")
    with pytest.raises(NotFound):
        await shared.peer("GetWorkspace", workspace="acme")
    for table in ("members", "invitations", "reservations"):
        assert not await statement(shared.database_url, f"SELECT 1 FROM {table}")  # noqa: S608
    await heard(shared, "workspace.deleted")
    await shared.workspace(ada, key="again")
    entries = (await ada.ask("ListAuditLog", own="owner", workspace="acme")).entries
    assert not [entry for entry in entries if entry.action == "member.joined"], "who takes the name sees its own only"


# Templates


async def test_templates_are_told_to_everybody(shared: Installation) -> None:
    answer = await shared.doors[0].ask("ListTemplates", ())
    names = [template.name for template in answer.templates]
    assert names == ["blank", "content-calendar", "crm", "event-planning", "inventory", "project-management"]
    assert all(template.title and template.description and template.tables for template in answer.templates)


async def test_a_template_makes_its_tables_once(shared: Installation, ada: Person) -> None:
    await bind(shared, access=workspace_pb2.BASE_ACCESS_SCHEMA)
    fields = {"own": "owner", "workspace": "acme", "base": "crm", "template": "crm"}
    answer = await ada.ask("ApplyTemplate", **fields)
    assert list(answer.created) == ["Companies", "Contacts", "Deals", "Activities"]
    again = await ada.ask("ApplyTemplate", **fields)
    assert (list(again.created), list(again.kept)) == ([], list(answer.created))
    gateway = shared.around.gateway
    contacts = next(table for table in gateway.made if table.name == "Contacts")
    link = next(field for field in contacts.fields if field.name == "Company")
    assert MessageToDict(link.options) == {"linkedTableId": gateway.tables[0].id}
    assert all("authorization" in shown for shown in gateway.callers), "it is the caller who makes them"
    with pytest.raises(NotFound) as refusal:
        await ada.ask("ApplyTemplate", **{**fields, "template": "none"})
    assert refusal.value.reason is Reason.TEMPLATE_NOT_FOUND
    with pytest.raises(NotFound) as refusal:
        await ada.ask("ApplyTemplate", **{**fields, "base": "none"})
    assert refusal.value.reason is Reason.BASE_NOT_FOUND


# The audit log


async def heard(installation: Installation, action: str, workspace: str = "acme") -> None:
    """Wait until the log has an entry."""
    wanted = f"SELECT 1 FROM audit_log WHERE workspace = '{workspace}' AND action = '{action}'"  # noqa: S608
    await until_found(installation.database_url, wanted)


async def test_changes_stand_in_the_log_with_who_made_them(shared: Installation, ada: Person, valkey: Valkey) -> None:
    bob = await shared.join("acme", ada, "bob", "editor")
    await ada.ask("UpdateMember", own="owner", workspace="acme", user_id=bob.user_id, role="viewer")
    await ada.ask("UpdateWorkspace", own="owner", workspace="acme", display_name="New")
    await bind(shared)
    await ada.ask("RemoveMember", own="owner", workspace="acme", user_id=bob.user_id)
    key_made = Event("access_key.created.v1", "k1", "acme", f"user:{ada.user_id}", {"name": "", "role": "editor"})
    async with Redis.from_url(valkey.url) as stream:
        await stream.xadd("events:user", key_made.to_fields())  # type: ignore[arg-type]
    await heard(shared, "access_key.created")
    await heard(shared, "member.removed")
    entries = (await ada.ask("ListAuditLog", own="owner", workspace="acme", door=1)).entries
    told = {entry.action: (entry.principal, entry.subject) for entry in entries}
    assert told == {
        "workspace.created": (f"user:{ada.user_id}", "acme"),
        "invitation.created": (f"user:{ada.user_id}", told["invitation.created"][1]),
        "invitation.accepted": (f"user:{bob.user_id}", told["invitation.created"][1]),
        "member.joined": (f"user:{bob.user_id}", bob.user_id),
        "member.role_changed": (f"user:{ada.user_id}", bob.user_id),
        "workspace.updated": (f"user:{ada.user_id}", "acme"),
        "binding.connected": ("user:somebody", "crm"),
        "member.removed": (f"user:{ada.user_id}", bob.user_id),
        "access_key.created": (f"user:{ada.user_id}", "k1"),
    }
    changed = next(entry for entry in entries if entry.action == "member.role_changed")
    assert MessageToDict(changed.details) == {"before": "editor", "role": "viewer"}
    times = [entry.occurred_at.ToNanoseconds() for entry in entries]
    assert times == sorted(times, reverse=True), "newest first"

    seen: list[str] = []
    token = ""
    while True:
        page = await ada.ask("ListAuditLog", own="owner", workspace="acme", page_size=3, page_token=token)
        seen += [entry.event_id for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert seen == [entry.event_id for entry in entries]
    only = await ada.ask("ListAuditLog", own="owner", workspace="acme", action_prefix="member.")
    assert {entry.action for entry in only.entries} == {"member.joined", "member.role_changed", "member.removed"}
    for bad in ("x", "####", "MjAyNg", "\u202e"):
        with pytest.raises(InvalidInput) as refusal:
            await ada.ask("ListAuditLog", own="owner", workspace="acme", page_token=bad)
        assert refusal.value.reason is Reason.PAGE_TOKEN_INVALID


# A person's data


async def test_a_person_reads_and_loses_their_data(shared: Installation, ada: Person) -> None:
    bob = await shared.join("acme", ada, "bob", "owner")
    await shared.workspace(bob, "bobs-own", key="bob")
    await bob.ask("CreateInvitation", own="owner", workspace="acme", email="x@acme.example", role="viewer")
    await heard(shared, "member.joined")
    data = MessageToDict((await shared.peer("ExportPerson", user_id=bob.user_id)).data)
    assert [item["workspace"] for item in data["memberships"]] == ["acme", "bobs-own"]
    assert [item["email"] for item in data["invitations_received"]] == [bob.email]
    assert [item["email"] for item in data["invitations_sent"]] == ["x@acme.example"]
    assert "member.joined" in [item["action"] for item in data["audit_log"]]

    fields = {"user_id": bob.user_id, "idempotency_key": "erase"}
    planned = await shared.peer("ErasePerson", dry_run=True, **fields)
    assert dict(planned.erased) == {"workspaces": 1, "memberships": 2}
    assert [item.name for item in (await bob.ask("ListMyWorkspaces")).workspaces] == ["acme", "bobs-own"]
    done = await shared.peer("ErasePerson", **fields)
    assert await shared.peer("ErasePerson", door=1, **fields) == done
    with pytest.raises(NotFound):
        await shared.peer("GetWorkspace", workspace="bobs-own")
    members = (await ada.ask("ListMembers", own="owner", workspace="acme")).members
    assert [member.user_id for member in members] == [ada.user_id]
    for table in ("members", "invitations", "reservations", "audit_log", "outbox"):
        for (row,) in await statement(shared.database_url, f"SELECT t::text FROM {table} t"):  # noqa: S608
            assert bob.user_id not in row
            assert bob.email not in row
    nobody = await shared.peer("ErasePerson", user_id="nobody", idempotency_key="none")
    assert not any(nobody.erased.values())


async def test_the_last_owner_cannot_be_erased_from_under_others(shared: Installation, ada: Person) -> None:
    await shared.join("acme", ada, "bob", "admin")
    for dry_run in (True, False):
        with pytest.raises(FailedPrecondition, match="last owner") as refusal:
            await shared.peer("ErasePerson", user_id=ada.user_id, idempotency_key="e", dry_run=dry_run)
        assert refusal.value.reason is Reason.CONFLICT


async def test_an_owner_of_a_declaration_is_taken_out_there_first(shared: Installation) -> None:
    ada = shared.person("ada")
    await shared.declare("declared", ada.email)
    with pytest.raises(FailedPrecondition, match="Workspace/declared"):
        await shared.peer("ErasePerson", user_id=ada.user_id, idempotency_key="e")
