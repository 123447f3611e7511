"""The policies themselves: they fail closed, deny, type-check, and every refusal has a sentence."""

from __future__ import annotations

from typing import Any

from kubernetes_kit.callers import Body, Requests, collection
from kubernetes_kit.guarded import Guarded
from kubernetes_kit.wait import eventually


def policies(requests: Requests, kind: str = "ValidatingAdmissionPolicy") -> list[Body]:
    items: list[Body] = requests.api.get(collection(kind)).raise_for_status().json()["items"]
    return items


def test_every_policy_fails_closed_and_denies(guarded: Guarded, requests: Requests) -> None:
    assert guarded.managed
    found = {body["metadata"]["name"]: body["spec"] for body in policies(requests)}
    bound = {
        body["spec"]["policyName"]: body["spec"] for body in policies(requests, "ValidatingAdmissionPolicyBinding")
    }
    assert set(found) == set(bound)
    assert len(found) == 8
    assert {spec["failurePolicy"] for spec in found.values()} == {"Fail"}
    assert {tuple(spec["validationActions"]) for spec in bound.values()} == {("Deny",)}


def test_every_refusal_has_a_sentence_with_a_remedy(requests: Requests) -> None:
    silent = [
        rule["expression"]
        for body in policies(requests)
        for rule in body["spec"]["validations"]
        if not rule.get("message")
    ]
    assert silent == []


def test_every_expression_type_checks(requests: Requests) -> None:
    """The controller manager checks them against the schemas of the kinds they match."""

    def checked() -> list[Any]:
        found = policies(requests)
        assert all(body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"] for body in found)
        return found

    warnings = {
        body["metadata"]["name"]: body["status"]["typeChecking"]["expressionWarnings"]
        for body in eventually(checked, what="type checking")
        if body["status"].get("typeChecking", {}).get("expressionWarnings")
    }
    assert warnings == {}
