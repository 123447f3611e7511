"""Workspace documents are read as `kubectl apply` would take them, and refused with the place and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pyairtable_platform.workspaces.documents import DocumentError, read_documents

BASE = {"name": "crm", "baseId": "appAcmeRenovation"}


def document(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": {"name": "acme", "labels": {"team": "x"}},
        "spec": spec,
    }


def write(folder: Path, name: str, *documents: Any) -> Path:
    (folder / name).write_text(yaml.safe_dump_all(documents))
    return folder


def test_a_whole_document_is_read(tmp_path: Path) -> None:
    spec = {
        "displayName": "Acme",
        "owners": [{"kind": "User", "name": "ada@acme.example"}],
        "airtable": {"tokenSecretRef": {"name": "acme-airtable", "key": "token"}, "bases": [BASE]},
        "llm": {"model": "", "apiKeySecretRef": None, "monthlyCostLimit": "25.00", "approval": "Destructive"},
        "namespace": {"name": "ws-acme", "quota": {"pods": "10"}, "networkPolicy": "Strict"},
        "suspend": False,
        "deletionPolicy": "Retain",
    }
    found = read_documents(write(tmp_path, "acme.yaml", document(**spec)))
    assert found["acme"].spec.airtable.bases[0].base_id == "appAcmeRenovation"
    assert found["acme"].spec.llm.monthly_cost_limit == "25.00"


def test_other_kinds_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", {"kind": "Secret", "data": {}}, document())
    write(tmp_path, "seed.yaml", {"bases": [1, 2, 3]})
    assert list(read_documents(tmp_path)) == ["acme"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"displayname": "x"}, "spec.displayname: Extra inputs"),
        ({"airtable": {"bases": [{"name": "crm", "baseId": "tblNope"}]}}, "spec.airtable.bases.0.baseId"),
        ({"airtable": {"bases": [{**BASE, "access": "Everything"}]}}, "spec.airtable.bases.0.access"),
        ({"airtable": {"bases": [BASE, {**BASE, "name": "two"}]}}, "baseId appAcmeRenovation stands there twice"),
        ({"airtable": {"bases": [BASE, {"name": "two", "baseId": "app" + "B" * 14}]}}, "exactly one must have default"),
        ({"llm": {"monthlyCostLimit": "a lot"}}, 'for example "25.00"'),
        ({"llm": {"approval": "Sometimes"}}, "spec.llm.approval"),
        ({"deletionPolicy": "Burn"}, "spec.deletionPolicy"),
    ],
)
def test_a_wrong_document_is_named_with_its_place(tmp_path: Path, spec: dict[str, Any], says: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_documents(write(tmp_path, "acme.yaml", document(**spec)))
    assert says in str(caught.value)
    assert "acme.yaml" in str(caught.value)


def test_a_name_must_be_a_dns_label(tmp_path: Path) -> None:
    wrong = document() | {"metadata": {"name": "Acme Renovations"}}
    with pytest.raises(DocumentError, match=r"metadata\.name"):
        read_documents(write(tmp_path, "acme.yaml", wrong))


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "one.yaml", document())
    write(tmp_path, "two.yaml", document())
    with pytest.raises(DocumentError, match="declared twice"):
        read_documents(tmp_path)


def test_a_path_that_is_not_there_says_which_setting(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="WORKSPACES_PATH"):
        read_documents(tmp_path / "nowhere")


def test_broken_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("kind: Workspace\n  : [")
    with pytest.raises(DocumentError, match=r"broken\.yaml"):
        read_documents(tmp_path)
