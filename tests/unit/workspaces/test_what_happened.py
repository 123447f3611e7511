"""Events of changes, entries of the audit log, masks and sagas' errors: pure translation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st
from unit.workspaces.memory_store import workspace

from pyairtable_platform.common import errors
from pyairtable_platform.common.errors import InvalidInput, Reason
from pyairtable_platform.common.workspace import BaseBinding, LlmPolicy, SecretRef
from pyairtable_platform.workspaces.audit import log
from pyairtable_platform.workspaces.audit.log import Entry, action_of
from pyairtable_platform.workspaces.edit_requests import edit_of
from pyairtable_platform.workspaces.provisioning.kubernetes import manifest, spec_of
from pyairtable_platform.workspaces.sagas import error_of
from pyairtable_platform.workspaces.writing import happened
from pyairtable_protos.sagas.v1 import saga_service_pb2 as saga_rpc
from pyairtable_protos.workspaces.v1 import workspace_pb2, workspace_service_pb2

CRM = BaseBinding("crm", "appAcmeRenovation", "ReadWrite", True, ())


def told(current: Any, wanted: Any) -> list[str]:
    return [event.type for event in happened("acme", current, wanted, "user:u")]


def test_what_happened_is_told() -> None:
    bare = workspace()
    bound = replace(bare, bases=(CRM,))
    assert told(None, bare) == ["workspace.created.v1"]
    assert told(None, bound) == ["workspace.created.v1", "binding.connected.v1"]
    assert told(bare, bound) == ["binding.connected.v1"]
    assert told(bound, bare) == ["binding.disconnected.v1"]
    assert told(bound, replace(bound, bases=(replace(CRM, access="Schema"),))) == ["binding.connected.v1"]
    assert told(bound, replace(bound, bases=(replace(CRM, is_default=False),))) == []
    assert told(bound, None) == ["workspace.deleted.v1"]
    assert told(None, None) == []
    assert told(bound, workspace(uid="another")) == ["workspace.created.v1"], "made anew under its name"
    (changed,) = happened("acme", bare, replace(bare, suspended=True, display_name="New"), "user:u")
    assert changed.data == {"tenant": bare.tenant, "fields": ["display_name", "suspended"]}
    assert (changed.workspace, changed.principal) == ("acme", "user:u")


@pytest.mark.parametrize(
    ("event", "action"),
    [
        ("workspace.member_removed.v1", "member.removed"),
        ("workspace.member_role_changed.v1", "member.role_changed"),
        ("workspace.invitation_created.v1", "invitation.created"),
        ("workspace.template_applied.v2", "template.applied"),
        ("workspace.deleted.v1", "workspace.deleted"),
        ("binding.connected.v1", "binding.connected"),
        ("saga.compensated.v1", "saga.compensated"),
    ],
)
def test_entries_are_called_after_their_events(event: str, action: str) -> None:
    assert action_of(event) == action


@given(st.datetimes(timezones=st.just(UTC)), st.text(alphabet="0123456789abcdef", min_size=1, max_size=32))
def test_a_page_goes_on_where_the_last_one_ended(moment: datetime, event_id: str) -> None:
    entry = Entry(event_id, moment, "a", "", "", {})
    assert log._read_token(log._token(entry)) == (moment, event_id)


@given(st.text(max_size=80))
def test_tokens_that_are_none_are_refused(text: str) -> None:
    try:
        moment, event_id = log._read_token(text)
    except InvalidInput as error:
        assert error.reason is Reason.PAGE_TOKEN_INVALID
    else:
        assert moment.tzinfo is not None
        assert event_id


def update(*paths: str, **fields: Any) -> workspace_service_pb2.UpdateWorkspaceRequest:
    mask = FieldMask(paths=paths) if paths else None
    return workspace_service_pb2.UpdateWorkspaceRequest(workspace="acme", update_mask=mask, **fields)


def test_masks() -> None:
    key = SecretRef("s", "k")
    current = workspace(llm=LlmPolicy("m", "5", "Writes", key), display_name="Old", monthly_call_budget=3)
    unchanged = edit_of(update(), can_suspend=False)(current)
    assert unchanged == current
    changed = edit_of(update(display_name=" New ", llm=workspace_pb2.LlmPolicy(model="n")), can_suspend=False)(current)
    assert (changed.display_name, changed.llm) == ("New", replace(current.llm, model="n"))
    emptied = edit_of(update("*"), can_suspend=False)(current)
    assert (emptied.display_name, emptied.monthly_call_budget) == ("acme", 0)
    assert emptied.llm == LlmPolicy("", "", "Never", key), "the key is not a call's to change"
    for bad in ("owners", "bases", "llm.api_key", "name", "", "display_nam"):
        with pytest.raises(InvalidInput, match="update_mask"):
            edit_of(update(bad), can_suspend=False)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_of_a_saga_is_an_error_of_its_kind(reason: Reason) -> None:
    error = error_of(saga_rpc.Saga(saga_id="s", error="why", error_reason=reason))
    assert (error.reason, error.message) == (reason, "why")
    if reason.endswith("_NOT_FOUND"):
        assert isinstance(error, errors.NotFound)


def test_a_saga_that_does_not_say_why() -> None:
    error = error_of(saga_rpc.Saga(saga_id="s", error_reason="INVENTED"))
    assert error.reason is Reason.INTERNAL
    assert error.metadata == {"saga": "s"}


def test_an_object_says_what_calls_can_set_and_nothing_else() -> None:
    made = manifest("acme", "u-1", spec_of(workspace(bases=(CRM,), airtable_secret=SecretRef("s", "k"))))
    assert made["metadata"] == {
        "name": "acme",
        "labels": {"app.kubernetes.io/managed-by": "pyairtable-api"},
        "annotations": {"pyairtable.dev/made-for": "u-1"},
    }
    assert set(made["spec"]) == {"displayName", "suspend", "airtable", "llm"}
    assert set(made["spec"]["airtable"]) == {"monthlyCallBudget", "bases"}, "a credential stays whoever gave it"


def test_times_of_other_zones_are_read() -> None:
    moment = datetime(2026, 11, 22, 12, tzinfo=timezone(timedelta(hours=2)))
    assert log._read_token(log._token(Entry("e", moment, "a", "", "", {}))) == (moment, "e")
