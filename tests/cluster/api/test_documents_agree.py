"""The standalone reader and the API server accept the same Workspace documents."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from kubernetes_kit.callers import Body, Requests
from kubernetes_kit.plane import REPOSITORY
from kubernetes_kit.workspace_cases import ACCEPTED, NAMES_ACCEPTED, NAMES_REFUSED, REFUSED, Case, Spec, base, workspace

from pyairtable_platform.workspaces.documents import DocumentError, parse_document

EXAMPLES = sorted((REPOSITORY / "examples").rglob("workspace*.yaml"))


def reader_accepts(document: Body) -> bool:
    """What the standalone reader says."""
    try:
        parse_document(document, "the document")
    except DocumentError:
        return False
    return True


@pytest.mark.parametrize("case", ACCEPTED + REFUSED, ids=lambda case: case.rule)
def test_a_spec_that_one_accepts_the_other_accepts(requests: Requests, case: Case) -> None:
    document = workspace(spec=case.spec)
    assert reader_accepts(document) == requests.create(document).accepted == case.accepted


@pytest.mark.parametrize("name", NAMES_ACCEPTED + NAMES_REFUSED)
def test_a_name_that_one_accepts_the_other_accepts(requests: Requests, name: str) -> None:
    document = workspace(name, {})
    assert reader_accepts(document) == requests.create(document).accepted == (name in NAMES_ACCEPTED)


WHOLE: list[Body] = [
    workspace(),
    {**workspace(), "spec": None},
    {**workspace(), "spec": []},
    {**workspace(), "status": {"bases": "1/1"}},
    {**workspace(), "extra": 1},
    workspace(labels={"team": "a"}, annotations={"note": "b"}),
    workspace(labels={"team": 1}),
    workspace(annotations={"note": True}),
    workspace(labels=["team"]),
    workspace(lables={"team": "a"}),
    workspace(creationTimestamp=None, generation=3, finalizers=["pyairtable.dev/workspace"]),
    {**workspace(), "metadata": {"labels": {}}},
]
"""Documents that differ outside the spec."""


@pytest.mark.parametrize("document", WHOLE, ids=str)
def test_a_document_that_one_accepts_the_other_accepts(requests: Requests, document: Body) -> None:
    assert reader_accepts(document) == requests.create(document).accepted


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_is_accepted_by_both(requests: Requests, path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        assert reader_accepts(document)
        assert requests.create(document).accepted


WORDS = (
    "",
    "a",
    "A",
    "a.b",
    "-",
    "é",
    "app" + "A" * 14,
    "1",
    "1.5",
    "4Gi",
    "kube-a",
    "token",
    "User",
    "ReadOnly",
    "a\n",
)
ODD: tuple[object, ...] = (*WORDS, None, True, 0, 1, -1, 2**31, 1.5, [], {}, ["a"], {"a": "b"}, [{"name": "a"}], [None])
FIELDS = (
    *("displayName", "owners", "suspend", "deletionPolicy", "airtable", "llm", "namespace", "accessKey"),
    *("airtable.tokenSecretRef", "airtable.tokenSecretRef.name", "airtable.tokenSecretRef.key"),
    *("airtable.monthlyCallBudget", "airtable.bases", "airtable.tenantBases"),
    *("llm.model", "llm.apiKeySecretRef", "llm.monthlyCostLimit", "llm.approval"),
    *("namespace.name", "namespace.quota", "namespace.limits", "namespace.networkPolicy", "namespace.podSecurity"),
    *("namespace.quota.cpu", "namespace.limits.cpu", "accessKey.rotateAfterSeconds", "accessKey.overlapSeconds"),
)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_takes_the_same_odd_values_in_both(requests: Requests, field: str) -> None:
    differing = [value for value in ODD if not agrees(requests, workspace(spec=nested(field.split("."), value)))]
    assert differing == []


@pytest.mark.parametrize("field", ["kind", "name", "namespace"])
def test_every_field_of_an_owner_takes_the_same_odd_values(requests: Requests, field: str) -> None:
    account = {"kind": "ServiceAccount", "name": "ci", "namespace": "tools"}
    differing = [one for one in ODD if not agrees(requests, workspace(spec={"owners": [{**account, field: one}]}))]
    assert differing == []


@pytest.mark.parametrize("field", ["name", "baseId", "access", "default", "tables"])
def test_every_field_of_a_base_takes_the_same_odd_values(requests: Requests, field: str) -> None:
    bases = ([base(1, default=True), {**base(2), field: value}] for value in ODD)
    differing = [one[1] for one in bases if not agrees(requests, workspace(spec={"airtable": {"bases": one}}))]
    assert differing == []


def agrees(requests: Requests, document: Body) -> bool:
    """Whether both accept or both refuse."""
    return reader_accepts(document) == requests.create(document).accepted


def nested(path: list[str], value: object) -> Spec:
    """A spec with one field set."""
    for part in reversed(path):
        value = {part: value}
    assert isinstance(value, dict)
    return value
