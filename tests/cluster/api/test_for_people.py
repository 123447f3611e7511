"""What people see: columns, short names, explanations of every field, selection by fields, and the rules' sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes_kit.callers import Body, Requests
from kubernetes_kit.plane import CRDS, REPOSITORY
from kubernetes_kit.wait import eventually
from kubernetes_kit.workspace_cases import workspace

from pyairtable_devkit.cluster.control_plane import ControlPlane

Store = Callable[[Body], Body]
PLURALS = ("workspaces", "basebindings")

READY = {
    "type": "Ready",
    "status": "False",
    "reason": "TokenRejected",
    "message": "x",
    "lastTransitionTime": "2026-11-22T10:00:00Z",
}


def schema(plural: str) -> Body:
    """The schema as the chart has it."""
    definition = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    found: Body = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def fields(body: Body, path: str) -> Iterator[tuple[str, Body]]:
    """Every field below a schema with its path, as `kubectl explain` wants it."""
    for name, field in body.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field.get("items", field), f"{path}.{name}")


def parts(body: Body, path: str = "") -> Iterator[tuple[str, Body]]:
    """Every schema below a schema: properties, items and values of maps."""
    yield path, body
    for name, field in body.get("properties", {}).items():
        yield from parts(field, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in body:
            yield from parts(body[name], f"{path}[]")


EXPLAINED = [
    (plural, path) for plural in PLURALS for path, _ in fields(schema(plural), plural) if not path.endswith("metadata")
]


@pytest.mark.parametrize("plural", PLURALS)
def test_every_field_is_explained_by_the_server(crds: ControlPlane, plural: str) -> None:
    """`kubectl explain` prints what the server publishes in OpenAPI v3: every field of ours is there with our text."""
    published = crds.api.get("/openapi/v3/apis/pyairtable.dev/v1alpha1").raise_for_status().json()
    kind = {"workspaces": "Workspace", "basebindings": "BaseBinding"}[plural]
    served = dict(fields(published["components"]["schemas"][f"dev.pyairtable.v1alpha1.{kind}"], plural))
    silent = [path for one, path in EXPLAINED if one == plural and len(served[path].get("description", "")) < 8]
    assert silent == []
    assert len(EXPLAINED) > 60


def test_kubectl_explain_prints_our_text(crds: ControlPlane) -> None:
    crds.kubectl("get", "pws")  # has kubectl look again for kinds, which explain alone does not
    text = " ".join(crds.kubectl("explain", "pws.spec.airtable.tokenSecretRef").stdout.split())
    assert "never in the tenant's" in text
    assert "Key in the Secret's data" in text


@pytest.mark.parametrize("plural", PLURALS)
def test_every_string_list_and_map_is_bounded(plural: str) -> None:
    """The API server computes the cost of rules from the bounds, and etcd holds what they let in."""
    bounds = {"string": ("maxLength", "enum", "format"), "array": ("maxItems",), "integer": ("minimum",)}
    unbounded = [
        path
        for path, part in parts(schema(plural))
        if path not in (".apiVersion", ".kind")
        and not any(bound in part for bound in bounds.get(part["type"], ("type",)))
    ]
    maps = [
        path for path, part in parts(schema(plural)) if "additionalProperties" in part and "maxProperties" not in part
    ]
    assert unbounded + maps == []


@pytest.mark.parametrize("plural", PLURALS)
def test_every_list_says_how_appliers_share_it(plural: str) -> None:
    lists = [
        path for path, part in parts(schema(plural)) if part["type"] == "array" and "x-kubernetes-list-type" not in part
    ]
    assert lists == []


@pytest.mark.parametrize("plural", PLURALS)
def test_only_optional_fields_have_defaults(plural: str) -> None:
    wrong = [
        f"{path}.{name}"
        for path, part in parts(schema(plural))
        for name in part.get("required", ())
        if "default" in part["properties"].get(name, {})
    ]
    assert wrong == []


@pytest.mark.parametrize("plural", PLURALS)
def test_every_rule_has_a_sentence(plural: str) -> None:
    rules = [rule for _, part in parts(schema(plural)) for rule in part.get("x-kubernetes-validations", ())]
    assert len(rules) >= 3
    assert all(len(rule["message"]) > 20 for rule in rules)


def test_columns_of_workspaces(crds: ControlPlane, requests: Requests, stored: Store) -> None:
    made = stored(workspace("columns", {"suspend": True}))
    made["status"] = {
        "phase": "Suspended",
        "namespace": "ws-columns",
        "bases": "0/1",
        "conditions": [READY],
        "accessKey": {"rotatedAt": "2020-01-01T00:00:00Z"},
        "usage": {"calls": 1234},
    }
    assert requests.replace(made, subresource="status", real=True).accepted
    head, row = crds.kubectl("get", "pws", "columns").stdout.splitlines()
    assert head.split() == ["NAME", "READY", "REASON", "NAMESPACE", "BASES", "SUSPENDED", "AGE"]
    assert row.split()[:6] == ["columns", "False", "TokenRejected", "ws-columns", "0/1", "true"]
    head, row = crds.kubectl("get", "pws", "columns", "-o", "wide").stdout.splitlines()
    assert head.split()[7:] == ["KEY", "AGE", "CALLS", "PHASE"]
    assert row.split()[8:] == ["1234", "Suspended"]
    assert row.split()[7].endswith(("y", "d"))


def test_columns_of_bindings(crds: ControlPlane, requests: Requests, stored: Store) -> None:
    body = {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "BaseBinding",
        "metadata": {"name": "columns", "namespace": "default"},
        "spec": {"baseId": "app" + "C" * 14},
    }
    made = stored(body)
    made["status"] = {"baseName": "Acme", "conditions": [READY, {**READY, "type": "SchemaCurrent", "status": "True"}]}
    assert requests.replace(made, subresource="status", real=True).accepted
    head, row = crds.kubectl("get", "pbb", "columns").stdout.splitlines()
    assert head.split() == ["NAME", "READY", "REASON", "BASE", "ACCESS", "SCHEMA", "CURRENT", "AGE"]
    assert row.split()[:6] == ["columns", "False", "TokenRejected", "Acme", "ReadWrite", "True"]


def test_the_category_lists_both_kinds(crds: ControlPlane, stored: Store) -> None:
    stored(workspace("category", {}))
    assert "workspace.pyairtable.dev/category" in crds.kubectl("get", "pyairtable", "-o", "name").stdout


def test_workspaces_are_selected_by_suspend_and_phase(crds: ControlPlane, requests: Requests, stored: Store) -> None:
    on, off = stored(workspace("select-on", {"suspend": True})), stored(workspace("select-off", {}))
    for body, phase in ((on, "Suspended"), (off, "Ready")):
        assert requests.replace({**body, "status": {"phase": phase}}, subresource="status", real=True).accepted
    assert selected(crds, "spec.suspend=true") == {"select-on"}
    assert selected(crds, "spec.suspend=false") == {"select-off"}
    assert selected(crds, "status.phase=Ready,spec.suspend=false") == {"select-off"}
    assert selected(crds, "status.phase!=Ready") == {"select-on"}


def selected(crds: ControlPlane, fields: str) -> set[str]:
    """Names of our Workspaces that a field selector finds."""
    names = crds.kubectl("get", "pws", "--field-selector", fields, "-o", "name").stdout.split()
    return {name for one in names if (name := one.partition("/")[2]).startswith("select-")}


def test_workspaces_can_be_waited_for(crds: ControlPlane, requests: Requests, stored: Store) -> None:
    made = stored(workspace("wait", {}))
    made["status"] = {"conditions": [{**READY, "status": "True"}]}
    assert requests.replace(made, subresource="status", real=True).accepted
    assert "condition met" in crds.kubectl("wait", "--for=condition=Ready", "--timeout=20s", "pws/wait").stdout


def test_the_example_folder_is_applied_as_it_is(crds: ControlPlane, requests: Requests) -> None:
    folder = REPOSITORY / "examples" / "acme"
    try:
        assert "acme created" in crds.kubectl("apply", "-f", folder).stdout
        assert "acme unchanged" in crds.kubectl("apply", "-f", folder).stdout
    finally:
        crds.kubectl("delete", "-f", folder, "--ignore-not-found")
        eventually(lambda: requests.get(workspace("acme")).status == 404, what="the end of the example")


def test_definitions_are_plain_and_named_for_what_they_define() -> None:
    for path in sorted(Path(CRDS).glob("*.yaml")):
        definition = yaml.safe_load(path.read_text())
        assert definition["metadata"] == {"name": f"{path.stem}.pyairtable.dev"}
