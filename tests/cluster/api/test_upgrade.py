"""Objects stored under yesterday's schema live on under today's.

A rule that became tighter spares a value that is there already (ratcheting), as long as that value does not change. The
definitions get a group of their own here, so that the other tests keep theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from kubernetes_kit.callers import Answer, Body
from kubernetes_kit.plane import CRDS
from kubernetes_kit.wait import eventually

from pyairtable_devkit.cluster.control_plane import ControlPlane

GROUP = "upgrade.pyairtable.dev"
YESTERDAY = Path(__file__).parent / "yesterday"
PLURALS = {"Workspace": "workspaces", "BaseBinding": "namespaces/default/basebindings"}

OLD_WORKSPACE: Body = {
    "displayName": "x" * 150,
    "owners": [{"kind": "ServiceAccount", "name": "ci"}],
    "airtable": {
        "tokenSecretRef": {"name": "Not.A.Label", "key": "a/b"},
        "bases": [
            {"name": "CRM", "baseId": "appTooShort", "default": True},
            {"name": "hr", "baseId": "app" + "B" * 14, "tables": ["a"]},
        ],
    },
    "llm": {"monthlyCostLimit": "about twenty"},
    "namespace": {"name": "pyairtable-tenant", "quota": {"request.cpu": "two"}, "limits": {"pods": "1"}},
}
OLD_BINDING: Body = {"baseId": "appTooShort", "tables": [f"t{number}" for number in range(600)]}


class Upgraded:
    """Old objects in a server that has today's definitions since."""

    def __init__(self, api: httpx2.Client) -> None:
        self.api = api

    def path(self, kind: str, name: str = "old") -> str:
        return f"/apis/{GROUP}/v1alpha1/{PLURALS[kind]}/{name}"

    def body(self, kind: str, spec: Body, name: str = "old") -> Body:
        return {"apiVersion": f"{GROUP}/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}

    def read(self, kind: str) -> Body:
        found: Body = self.api.get(self.path(kind)).raise_for_status().json()
        return found

    def patch(self, kind: str, patch: Body, subresource: str = "") -> Answer:
        headers = {"Content-Type": "application/merge-patch+json"}
        path = self.path(kind) + (f"/{subresource}" if subresource else "")
        answer = self.api.patch(path, json=patch, params={"dryRun": "All"}, headers=headers)
        return Answer(answer.status_code, answer.json())

    def create(self, kind: str, spec: Body) -> Answer:
        path = self.path(kind).rpartition("/")[0]
        answer = self.api.post(path, json=self.body(kind, spec, "new"), params={"dryRun": "All"})
        return Answer(answer.status_code, answer.json())


def definitions(folder: Path) -> Iterator[Body]:
    """The definitions of a folder, in our group and without the names that must be unique for kubectl."""
    for path in sorted(folder.glob("*.yaml")):
        definition = yaml.safe_load(path.read_text())
        names = {
            name: value
            for name, value in definition["spec"]["names"].items()
            if name not in ("shortNames", "categories")
        }
        definition["metadata"]["name"] = f"{names['plural']}.{GROUP}"
        definition["spec"] |= {"group": GROUP, "names": names}
        yield definition


def install(plane: ControlPlane, folder: Path) -> None:
    """Apply the definitions of a folder."""
    plane.kubectl("apply", "--server-side", "-f", "-", input=yaml.safe_dump_all(list(definitions(folder))))


@pytest.fixture(scope="module")
def upgraded(control_plane: ControlPlane) -> Iterator[Upgraded]:
    """Yesterday's server with an object of each kind, then today's definitions."""
    install(control_plane, YESTERDAY)
    result = Upgraded(control_plane.api)
    eventually(lambda: stored(result, "Workspace", OLD_WORKSPACE), what="yesterday's Workspace")
    eventually(lambda: stored(result, "BaseBinding", OLD_BINDING), what="yesterday's BaseBinding")
    install(control_plane, CRDS)
    eventually(lambda: not result.create("Workspace", {"displayName": "x" * 101}).accepted, what="today's definitions")
    yield result
    names = ",".join(f"crd/{definition['metadata']['name']}" for definition in definitions(CRDS)).split(",")
    control_plane.kubectl("delete", *names)


def stored(server: Upgraded, kind: str, spec: Body) -> bool:
    """Whether an old object could be stored by now."""
    path = server.path(kind).rpartition("/")[0]
    answer = server.api.post(path, json=server.body(kind, spec))
    assert answer.status_code in (201, 404, 409), answer.text
    return answer.status_code in (201, 409)


def test_old_objects_are_read_as_they_were(upgraded: Upgraded) -> None:
    found = upgraded.read("Workspace")["spec"]
    assert found["displayName"] == "x" * 150
    assert found["airtable"]["bases"][0]["name"] == "CRM"
    assert upgraded.read("BaseBinding")["spec"]["baseId"] == "appTooShort"


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("Workspace", {"metadata": {"finalizers": ["pyairtable.dev/workspace"]}}),
        ("Workspace", {"metadata": {"annotations": {"pyairtable.dev/plan": "true"}}}),
        ("Workspace", {"spec": {"suspend": True}}),
        ("Workspace", {"spec": {"deletionPolicy": "Delete"}}),
        ("Workspace", {"spec": {"accessKey": {"overlapSeconds": 60}}}),
        ("Workspace", {"spec": {"airtable": {"tenantBases": ["app" + "C" * 14]}}}),
        ("Workspace", {"spec": {"airtable": {"monthlyCallBudget": 5}}}),
        ("Workspace", {"spec": {"llm": {"approval": "Writes"}}}),
        ("Workspace", {"spec": {"namespace": {"networkPolicy": "Off"}}}),
        ("BaseBinding", {"metadata": {"labels": {"a": "b"}}}),
        ("BaseBinding", {"spec": {"access": "ReadOnly"}}),
    ],
    ids=str,
)
def test_an_old_value_may_stay_while_others_change(upgraded: Upgraded, kind: str, patch: Body) -> None:
    answer = upgraded.patch(kind, patch)
    assert answer.accepted, answer.message


@pytest.mark.parametrize("kind", ["Workspace", "BaseBinding"])
def test_the_status_of_an_old_object_can_be_written(upgraded: Upgraded, kind: str) -> None:
    answer = upgraded.patch(kind, {"status": {"observedGeneration": 1}}, "status")
    assert answer.accepted, answer.message


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"displayName": "y" * 150}, "Too long"),
        ({"owners": [{"kind": "ServiceAccount", "name": "cd"}]}, "needs namespace"),
        ({"llm": {"monthlyCostLimit": "about thirty"}}, "US dollars"),
        ({"airtable": {"tokenSecretRef": {"name": "Not.A.Label.Either"}}}, "must be the name of a Secret"),
        ({"namespace": {"quota": {"requests.cpu": "three"}}}, "must be a quantity"),
        ({"namespace": {"name": "elsewhere"}}, "cannot change"),
    ],
    ids=str,
)
def test_a_change_of_the_old_value_itself_meets_the_rule(upgraded: Upgraded, spec: Body, says: str) -> None:
    answer = upgraded.patch("Workspace", {"spec": spec})
    assert answer.status == 422
    assert says in answer.message


def test_one_base_may_change_while_an_old_one_beside_it_stays(upgraded: Upgraded) -> None:
    bases: list[dict[str, Any]] = json.loads(json.dumps(upgraded.read("Workspace")["spec"]["airtable"]["bases"]))
    bases[1]["access"] = "ReadOnly"
    answer = upgraded.patch("Workspace", {"spec": {"airtable": {"bases": bases}}})
    assert answer.accepted, answer.message


def test_new_objects_meet_all_rules(upgraded: Upgraded) -> None:
    assert not upgraded.create("Workspace", OLD_WORKSPACE).accepted
    assert not upgraded.create("BaseBinding", OLD_BINDING).accepted
