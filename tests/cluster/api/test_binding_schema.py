"""Every rule and bound of the BaseBinding schema on a real API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes_kit.callers import Body, Requests

Store = Callable[[Body], Body]

ID = "app" + "A" * 14


def binding(name: str = "crm", **spec: Any) -> Body:
    """A document in the namespace `default`; its base id is ID unless given."""
    return {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "BaseBinding",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"baseId": ID, **spec},
    }


@pytest.mark.parametrize(
    "body",
    [
        binding(),
        binding("a" * 63),
        *(binding(access=access) for access in ("ReadOnly", "ReadWrite", "Schema")),
        binding(default=True),
        binding(tables=[f"t{number}" for number in range(500)]),
        binding(tables=["t" * 255]),
    ],
    ids=lambda body: str(body["spec"])[:60],
)
def test_a_good_binding_is_accepted(requests: Requests, body: Body) -> None:
    answer = requests.create(body)
    assert answer.accepted, answer.message


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (binding("a.b"), "callers name the base by it"),
        (binding("a" * 64), "at most 63 lower-case letters"),
        ({**binding(), "spec": {}}, "spec.baseId: Required value"),
        ({name: value for name, value in binding().items() if name != "spec"}, "spec: Required value"),
        (binding(baseId="tbl" + "A" * 14), "must be Airtable's id of the base"),
        (binding(baseId="app" + "A" * 13 + "\n"), "must be Airtable's id of the base"),
        (binding(baseId=ID + "A"), "Too long"),
        (binding(baseId=""), "should be at least 1 chars long"),
        (binding(access="Everything"), "Unsupported value"),
        (binding(default="yes"), "Invalid value"),
        (binding(tables=[f"t{number}" for number in range(501)]), "must have at most 500"),
        (binding(tables=["a", "a"]), "Duplicate value"),
        (binding(tables=["t" * 256]), "Too long"),
        (binding(tables=[""]), "should be at least 1 chars long"),
        (binding(tokenSecretRef={"name": "other"}), 'unknown field "spec.tokenSecretRef"'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_binding_is_refused(requests: Requests, body: Body, says: str) -> None:
    answer = requests.create(body)
    assert answer.status in (400, 422)
    assert says in answer.message


def test_the_base_of_a_binding_cannot_change(requests: Requests, stored: Store) -> None:
    made = stored(binding("fixed"))
    answer = requests.replace({**made, "spec": {**made["spec"], "baseId": "app" + "B" * 14}})
    assert answer.status == 422
    assert "make one with another name" in answer.message
    assert requests.replace({**made, "spec": {**made["spec"], "access": "ReadOnly", "tables": ["a"]}}).accepted


TABLE = {"id": "tbl1", "name": "Projects", "fingerprint": "0" * 64}
STATUS: Body = {
    "observedGeneration": 1,
    "baseName": "Acme",
    "permissionLevel": "create",
    "fingerprint": "0" * 64,
    "tables": [{**TABLE, "id": f"tbl{number}"} for number in range(1000)],
    "baseline": {"fingerprint": "0" * 64, "acceptedAt": "2026-11-22T10:00:00Z", "tables": [TABLE]},
    "changedTables": ["Projects"],
    "lastVerifiedAt": "2026-11-22T10:00:00Z",
    "conditions": [
        {
            "type": "Reachable",
            "status": "True",
            "reason": "Verified",
            "message": "",
            "lastTransitionTime": "2026-11-22T10:00:00Z",
        }
    ],
}


def test_a_whole_status_is_kept(requests: Requests, stored: Store) -> None:
    answer = requests.replace({**stored(binding("status")), "status": STATUS}, subresource="status")
    assert answer.accepted, answer.message
    assert answer.body["status"] == STATUS


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("tables", [*STATUS["tables"], TABLE | {"id": "tblMore"}], "must have at most 1000"),
        ("tables", [TABLE, TABLE], "Duplicate value"),
        ("tables", [{"id": "tbl1"}], "Required value"),
        ("changedTables", ["t"] * 1001, "must have at most 1000"),
        ("fingerprint", "0" * 65, "Too long"),
        ("baseline", {"tables": [{"id": "tbl1"}]}, "Required value"),
        ("conditions", [{"type": "Ready"}], "Required value"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_status_is_refused(requests: Requests, stored: Store, field: str, value: Any, says: str) -> None:
    body = {**stored(binding("wrong")), "status": {**STATUS, field: value}}
    answer = requests.replace(body, subresource="status")
    assert answer.status == 422
    assert says in answer.message
