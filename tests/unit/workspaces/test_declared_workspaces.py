"""What ApplyWorkspace is given is held to the rules of documents, and comes out of the store as it went in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.common.workspace import Member, Owner, SecretRef, Source, from_message, to_message
from pyairtable_platform.workspaces.declared import from_request
from pyairtable_platform.workspaces.store import from_json, to_json
from pyairtable_protos.workspaces.v1 import workspace_pb2 as messages

SOURCE = messages.Source(kind="Workspace", uid="u-1", generation=4)
VERSION = "0123456789abcdef"


def base(name: str = "crm", base_id: str = "appAcmeRenovation", **fields: Any) -> messages.BaseBinding:
    return messages.BaseBinding(
        **{"name": name, "base_id": base_id, "access": messages.BASE_ACCESS_READ_WRITE, **fields}
    )


def message(**fields: Any) -> messages.Workspace:
    given: dict[str, Any] = {
        "name": "acme",
        "display_name": "Acme",
        "owners": [
            messages.Owner(kind="User", name="ada@acme.example"),
            messages.Owner(kind="ServiceAccount", name="app", namespace="ws-acme"),
        ],
        "airtable_token": messages.SecretRef(name="acme-airtable", key="token", version=VERSION),
        "monthly_call_budget": 100,
        "bases": [base()],
        "llm": messages.LlmPolicy(
            monthly_cost_limit="25.00",
            approval="Writes",
            api_key=messages.SecretRef(name="acme-gemini", key="key", version=VERSION),
        ),
    }
    return messages.Workspace(**{**given, **fields})


def test_everything_that_is_declared_is_kept() -> None:
    workspace = from_request(message(), SOURCE)
    assert workspace.source == Source("Workspace", "u-1", 4)
    assert workspace.owners == (Owner("User", "ada@acme.example"), Owner("ServiceAccount", "app", "ws-acme"))
    assert workspace.airtable_secret == SecretRef("acme-airtable", "token", VERSION)
    assert workspace.llm.api_key == SecretRef("acme-gemini", "key", VERSION)
    assert workspace.bases[0].is_default, "the only base is the default one"
    assert from_message(to_message(workspace)) == workspace
    assert from_json(to_json(workspace), workspace.version) == workspace


def test_a_bare_workspace_is_one() -> None:
    workspace = from_request(messages.Workspace(name="bare"), SOURCE)
    assert (workspace.display_name, workspace.bases, workspace.airtable_secret) == ("bare", (), None)


def test_what_a_later_version_stored_is_read() -> None:
    stored = to_json(from_request(message(), SOURCE))
    assert from_json(stored.replace('{"name"', '{"invented":1,"name"', 1), 7).version == 7


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"name": "Not A Name"}, "name"),
        ({"bases": [base(base_id="app1")]}, "baseId"),
        ({"bases": [base(name="CRM!")]}, "name"),
        ({"bases": [base(), base()]}, "twice"),
        ({"bases": [base(), base("b", "appBcmeRenovation")]}, "default"),
        ({"bases": [base(access=messages.BASE_ACCESS_UNSPECIFIED)]}, "access"),
        ({"bases": [base(tables=["t"] * 501)]}, "tables"),
        ({"llm": messages.LlmPolicy(monthly_cost_limit="a lot")}, "monthlyCostLimit"),
        ({"llm": messages.LlmPolicy(approval="Sometimes")}, "approval"),
        ({"display_name": "x" * 101}, "displayName"),
        ({"owners": [messages.Owner(kind="Robot", name="r2")]}, "owners"),
        ({"airtable_token": messages.SecretRef(name="../other", key="token")}, "tokenSecretRef"),
        ({"airtable_token": messages.SecretRef(name="a", key="token", version="latest")}, "airtable_token"),
        ({"monthly_call_budget": 2**31}, "monthlyCallBudget"),
    ],
)
def test_what_a_document_may_not_say_is_refused_with_its_place(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidInput, match=place):
        from_request(message(**fields), SOURCE)


@pytest.mark.parametrize(
    "source",
    [
        messages.Source(kind="File", uid="x"),
        messages.Source(kind="Workspace"),
        messages.Source(kind="Workspace", uid="a b:c"),
    ],
)
def test_only_custom_resources_declare_by_call(source: messages.Source) -> None:
    with pytest.raises(InvalidInput, match="source"):
        from_request(message(), source)


def test_people_who_own_by_declaration_are_members_and_others_are_not() -> None:
    workspace = from_request(message(), SOURCE)
    assert workspace.members == (Member("", "ada@acme.example", "owner", declared=True),)
    assert to_message(workspace).members[0].declared


def test_members_pass_the_stream_as_they_are() -> None:
    joined = Member("u1", "bob@acme.example", "editor", datetime(2026, 11, 22, tzinfo=UTC), "u0")
    workspace = replace(from_request(message(), SOURCE), members=(joined,))
    assert from_message(to_message(workspace)) == workspace


def test_what_a_call_made_inherits_nothing_from_its_name() -> None:
    workspace = replace(from_request(message(), SOURCE), source=Source("Api", "u-9"))
    assert workspace.tenant == "acme:u-9"
