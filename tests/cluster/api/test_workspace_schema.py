"""Every rule and bound of the Workspace schema on a real API server: what passes, what does not, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes_kit.callers import Body, Requests
from kubernetes_kit.workspace_cases import (
    ACCEPTED,
    NAMES_ACCEPTED,
    NAMES_REFUSED,
    REFUSED,
    Case,
    airtable,
    base,
    base_id,
    namespace,
    workspace,
)

Store = Callable[[Body], Body]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.rule)
def test_a_good_spec_is_accepted(requests: Requests, case: Case) -> None:
    answer = requests.create(workspace(spec=case.spec))
    assert answer.accepted, answer.message


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.rule)
def test_a_wrong_spec_is_refused_with_place_and_reason(requests: Requests, case: Case) -> None:
    answer = requests.create(workspace(spec=case.spec))
    assert answer.status in (400, 422)
    assert case.at in answer.message
    assert case.says in answer.message


@pytest.mark.parametrize("name", NAMES_ACCEPTED)
def test_a_name_that_fits_a_namespace_is_accepted(requests: Requests, name: str) -> None:
    assert requests.create(workspace(name, {})).accepted


@pytest.mark.parametrize("name", NAMES_REFUSED)
def test_a_name_that_fits_no_namespace_is_refused(requests: Requests, name: str) -> None:
    answer = requests.create(workspace(name, {}))
    assert answer.status == 422
    assert "name" in answer.message


def test_a_long_name_is_refused_in_our_words(requests: Requests) -> None:
    assert "choose a shorter or simpler name" in requests.create(workspace("a" * 61, {})).message


def test_what_is_left_out_has_the_documented_defaults(requests: Requests) -> None:
    spec = {
        "airtable": {"tokenSecretRef": {"name": "a"}, "bases": [base()]},
        "llm": {},
        "namespace": {},
        "accessKey": {},
    }
    assert requests.create(workspace(spec=spec)).body["spec"] == {
        "airtable": {
            "tokenSecretRef": {"name": "a", "key": "token"},
            "monthlyCallBudget": 0,
            "bases": [{**base(), "access": "ReadWrite", "default": False}],
        },
        "llm": {"approval": "Never"},
        "namespace": {"networkPolicy": "Strict", "podSecurity": "restricted"},
        "accessKey": {"rotateAfterSeconds": 7_776_000, "overlapSeconds": 86_400},
        "suspend": False,
        "deletionPolicy": "Retain",
    }


def test_a_workspace_without_spec_can_be_selected_by_it(requests: Requests) -> None:
    assert requests.create(workspace()).body["spec"] == {"suspend": False, "deletionPolicy": "Retain"}


NAMED = namespace(name="tenant")
ONE = airtable(bases=[base(1)])
OTHER = [base(1), base(2, default=True)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, namespace(name="ws-try")),
        (namespace(name="ws-try"), {}),
        (namespace(name="ws-try"), namespace()),
        (NAMED, {**NAMED, "suspend": True}),
        (ONE, airtable(bases=[base(1, access="ReadOnly", tables=["a"], default=True)])),
        (ONE, airtable(bases=[])),
        (ONE, airtable(bases=[{**base(1), "name": "renamed"}])),
        (ONE, airtable(bases=OTHER)),
    ],
    ids=str,
)
def test_a_change_that_moves_nothing_is_accepted(requests: Requests, stored: Store, before: Body, after: Body) -> None:
    answer = requests.replace(following(stored(workspace(spec=before)), after))
    assert answer.accepted, answer.message


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ({}, namespace(name="elsewhere"), "the namespace of a workspace cannot change"),
        (NAMED, namespace(name="elsewhere"), "put the old name back"),
        (NAMED, {}, "make a second Workspace"),
        (NAMED, namespace(), "the namespace of a workspace cannot change"),
        (ONE, airtable(bases=[{**base(1), "baseId": base_id(2)}]), "the baseId of a base cannot change"),
        (ONE, airtable(bases=[base(2, default=True), {**base(1), "baseId": base_id(3)}]), "under another name"),
    ],
    ids=str,
)
def test_a_change_that_moves_a_tenant_is_refused(
    requests: Requests, stored: Store, before: Body, after: Body, says: str
) -> None:
    answer = requests.replace(following(stored(workspace(spec=before)), after))
    assert answer.status == 422
    assert says in answer.message


def following(body: Body, spec: Body) -> Body:
    """The object with another spec."""
    return {**body, "spec": spec}


STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "phase": "Ready",
    "namespace": "ws-try",
    "credential": {"hash": "0" * 16, "verifiedAt": "2026-11-22T10:00:00Z", "userId": "usr1"},
    "accessKey": {
        "secretName": "pyairtable-access",
        "keyId": "k",
        "hash": "0" * 16,
        "rotatedAt": "2026-11-22T10:00:00Z",
    },
    "bases": "1/1",
    "usage": {"month": "2026-11", "calls": 5, "percent": 1},
    "inventory": [{"kind": "Namespace", "name": "ws-try", "hash": "0", "appliedAt": "2026-11-22T10:00:00Z"}] * 300,
    "plan": [{"action": "Create", "kind": "Secret", "name": "s", "namespace": "ws-try", "fields": ["data"]}],
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Ready",
            "message": "",
            "lastTransitionTime": "2026-11-22T10:00:00Z",
            "observedGeneration": 1,
        }
    ],
}


def test_a_whole_status_is_kept(requests: Requests, stored: Store) -> None:
    body = {**stored(workspace(spec={})), "status": STATUS}
    answer = requests.replace(body, subresource="status")
    assert answer.accepted, answer.message
    assert answer.body["status"] == STATUS


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("phase", "Odd", "Unsupported value"),
        ("bases", "1" * 21, "Too long"),
        ("inventory", STATUS["inventory"] + STATUS["inventory"][:1], "must have at most 300"),
        ("plan", STATUS["plan"] * 301, "must have at most 300"),
        ("conditions", STATUS["conditions"] * 2, "Duplicate value"),
        (
            "conditions",
            [{**STATUS["conditions"][0], "type": str(number)} for number in range(21)],
            "must have at most 20",
        ),
        ("conditions", [{**STATUS["conditions"][0], "status": "Perhaps"}], "Unsupported value"),
        ("conditions", [{**STATUS["conditions"][0], "message": "m" * 4097}], "Too long"),
        ("observedGeneration", -1, "greater than or equal to 0"),
        ("accessKey", {"rotatedAt": "yesterday"}, "date-time"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_status_is_refused(requests: Requests, stored: Store, field: str, value: Any, says: str) -> None:
    body = {**stored(workspace(spec={})), "status": {**STATUS, field: value}}
    answer = requests.replace(body, subresource="status")
    assert answer.status == 422
    assert says in answer.message


def test_the_status_is_not_written_with_the_spec(requests: Requests, stored: Store) -> None:
    made = stored({**workspace(spec={}), "status": STATUS})
    assert "status" not in made
    assert "status" not in requests.replace({**made, "status": STATUS}).body


def test_bases_of_two_appliers_are_merged(requests: Requests, stored: Store) -> None:
    stored(workspace(spec={}))
    requests.apply(workspace(spec=airtable(bases=[base(1, default=True)])), manager="one", real=True)
    spec = requests.apply(workspace(spec=airtable(bases=[base(2)])), manager="two").body["spec"]
    assert [one["name"] for one in spec["airtable"]["bases"]] == ["base-1", "base-2"]
