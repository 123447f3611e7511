"""No false alarm for what the API server rewrites, no silence for what somebody changed."""

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes_kit.tenant_documents import as_stored, minimal_document, rich_document, workspace_of

from pyairtable_operator import compare, constants
from pyairtable_operator.manifests import Manifest, TenantConfig, access_secret, binding_objects, tenant_objects
from pyairtable_operator.manifests.access import OWNER_RULES
from pyairtable_operator.quantities import parse_quantity, same_quantity

CONFIG = TenantConfig()


def objects(document: dict[str, Any] | None = None, **changes: Any) -> dict[str, Manifest]:
    workspace = workspace_of(document or rich_document(), **changes)
    secret = access_secret(workspace, "pya_key", {}, CONFIG)
    return {str(item.key): item for item in [*tenant_objects(workspace, CONFIG), secret, *binding_objects(workspace)]}


RICH = objects()


@pytest.mark.parametrize("name", RICH)
def test_an_object_as_applied_does_not_differ(name: str) -> None:
    assert compare.differences(RICH[name], compare.essence(as_stored(RICH[name]))) == []


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [found for name in value for found in leaves(value[name], (*path, name))] or [path]
    if isinstance(value, list) and value:
        return [found for index, item in enumerate(value) for found in leaves(item, (*path, index))]
    return [path]


def other_than(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return {"added": "x"} if value == {} else ["x"] if value == [] else "eHh4"


NOT_COMPARED = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
FIELDS = [
    (name, path)
    for name, manifest in RICH.items()
    for path in leaves(manifest.body)
    if path not in NOT_COMPARED and name != "Role ws-acme/pyairtable-owner"
]


@pytest.mark.parametrize(("name", "path"), FIELDS)
def test_a_changed_or_missing_field_is_named(name: str, path: tuple[Any, ...]) -> None:
    manifest = RICH[name]
    for change in ("changed", "missing"):
        body = as_stored(manifest)
        parent = body
        for part in path[:-1]:
            parent = parent[part]
        was = parent[path[-1]]
        if change == "changed":
            parent[path[-1]] = other_than(was)
        elif was in ([], {}) or isinstance(parent, list):
            continue
        else:
            del parent[path[-1]]
        differing = compare.differences(manifest, compare.essence(body))
        assert differing, change
        assert all(field.startswith(path[0]) for field in differing)


@given(st.integers(0, len(OWNER_RULES) - 1), st.sampled_from(["apiGroups", "resources", "verbs"]), st.text(max_size=9))
def test_any_further_right_in_a_rule_differs(rule: int, part: str, value: str) -> None:
    manifest = RICH["Role ws-acme/pyairtable-owner"]
    body = as_stored(manifest)
    body["rules"] = copy.deepcopy(body["rules"])
    body["rules"][rule][part].append(value)
    assert compare.differences(manifest, compare.essence(body)) == ["rules"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0.5", "500m", True),
        ("1024Mi", "1Gi", True),
        ("1k", "1000", True),
        ("20", 20, True),
        ("1e3", "1000", True),
        ("1", "1000m", True),
        (".5", "500m", True),
        ("1G", "1Gi", False),
        ("20", "21", False),
        ("20", None, False),
        ("20", "many", False),
    ],
)
def test_quantities_are_compared_by_value(one: object, other: object, same: bool) -> None:
    assert same_quantity(one, other) is same


@given(st.integers(0, 10**9))
def test_suffixes_agree(number: int) -> None:
    assert parse_quantity(f"{number}m") * 1000 == parse_quantity(str(number)) == Decimal(number)
    assert parse_quantity(f"{number}Ki") == number * 1024


@pytest.mark.parametrize("text", ["", "abc", "1x", "--1", "1 Gi", "Gi", "1e999", "1\n", "9" * 31])
def test_what_is_no_quantity_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


DENY = "NetworkPolicy ws-acme/pyairtable-default-deny"
DOORS = "NetworkPolicy ws-acme/pyairtable-allow-platform"
QUOTA = "ResourceQuota ws-acme/pyairtable"
ROLE = "ClusterRole pyairtable:workspace:acme"


@pytest.mark.parametrize(
    ("name", "path", "added", "fields", "anew"),
    [
        (DENY, ("spec",), {"later": "x"}, ["spec.later"], False),
        (DENY, ("spec",), {"later": {}}, ["spec.later"], False),
        (DENY, ("spec",), {"later": []}, [], False),
        (DENY, ("spec",), {"ingress": [{}]}, ["spec.ingress"], False),
        (DOORS, ("spec", "egress", 0, "to", 0, "podSelector"), {"matchExpressions": [{}]}, ["spec.egress"], False),
        (DOORS, ("spec", "egress", 0, "to", 0), {"ipBlock": {}}, ["spec.egress"], False),
        (QUOTA, ("spec",), {"scopeSelector": {}}, ["spec.scopeSelector"], True),
        (QUOTA, ("spec",), {"scopes": ["Terminating"]}, ["spec.scopes"], True),
        (QUOTA, ("spec", "hard"), {"services": "1"}, [], False),
        (ROLE, (), {"aggregationRule": {}}, ["aggregationRule"], True),
        ("LimitRange ws-acme/pyairtable", ("spec", "limits", 0), {"max": {"cpu": "9"}}, ["spec.limits"], False),
        ("BaseBinding ws-acme/stock", ("spec",), {"tables": ["Tools", "Bricks", "Paint"]}, [], False),
        ("BaseBinding ws-acme/stock", ("spec",), {"tables": ["Tools"]}, ["spec.tables"], False),
        ("BaseBinding ws-acme/crm", ("spec",), {"tables": ["Tools"]}, ["spec.tables"], True),
        ("Secret ws-acme/pyairtable-access", (), {"immutable": True}, ["immutable"], True),
        ("Secret ws-acme/pyairtable-access", ("data",), {"OWN": "eA=="}, [], False),
        ("ServiceAccount ws-acme/pyairtable-app", (), {"imagePullSecrets": [{"name": "x"}]}, [], False),
        ("Namespace ws-acme", ("metadata", "labels"), {"team": "blue", "app.kubernetes.io/name": "x"}, [], False),
    ],
)
def test_what_somebody_adds_counts_where_it_widens_rights(
    name: str, path: tuple[Any, ...], added: dict[str, Any], fields: list[str], anew: bool
) -> None:
    body = as_stored(RICH[name])
    place: Any = body
    for part in path:
        place = place[part]
    place |= added
    found = compare.changes(RICH[name], compare.read(compare.essence(body)))
    assert [change.field for change in found] == fields
    assert compare.needs_new_object(RICH[name].kind, found) is anew


def test_policies_declare_empty_lists_so_that_apply_takes_rules_off() -> None:
    assert (RICH[DENY].body["spec"]["ingress"], RICH[DENY].body["spec"]["egress"]) == ([], [])
    assert RICH[DOORS].body["spec"]["ingress"] == []


def test_a_secret_is_kept_as_hashes_only() -> None:
    body = as_stored(RICH["Secret ws-acme/pyairtable-access"])
    kept = compare.essence(body)
    assert b"pya_key" not in kept
    assert body["data"]["PYAIRTABLE_API_KEY"].encode() not in kept


def test_what_others_write_does_not_fill_memory() -> None:
    manifest = RICH["ServiceAccount ws-acme/pyairtable-app"]
    body = as_stored(manifest)
    kept = compare.essence(body)
    body["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = "x" * 100_000
    body["metadata"]["labels"]["team"] = "blue"
    body["secrets"] = [{"name": "token"}]
    body["metadata"]["resourceVersion"] = "8"
    assert compare.essence(body) == kept


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"f:spec": {"f:hard": {"f:pods": {}}}}, ["spec.hard.pods"]),
        ({"f:spec": {}}, ["spec.hard.pods"]),
        ({"f:spec": {"f:hard": {"f:requests.cpu": {}}}}, []),
        ({"f:metadata": {"f:labels": {"f:team": {}}}}, []),
    ],
)
def test_a_conflict_is_a_field_that_another_applier_declares(fields: dict[str, Any], found: list[str]) -> None:
    manifest = RICH["ResourceQuota ws-acme/pyairtable"]
    body = as_stored(manifest)
    body["spec"] = {"hard": {**body["spec"]["hard"], "pods": "99"}}
    body["metadata"]["managedFields"].append({"manager": "gitops", "operation": "Apply", "fieldsV1": fields})
    observed = compare.read(compare.essence(body))
    conflicts = compare.conflicts(compare.changes(manifest, observed), observed)
    assert conflicts == [compare.Conflict("gitops", field) for field in found]


def test_an_editor_and_a_writer_of_status_are_no_appliers() -> None:
    manifest = RICH["ResourceQuota ws-acme/pyairtable"]
    body = as_stored(manifest)
    body["metadata"]["managedFields"] += [
        {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {}}},
        {"manager": "x", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:spec": {}}},
    ]
    assert compare.read(compare.essence(body)).appliers == {}


def test_the_hash_of_a_manifest_follows_its_content() -> None:
    same, other = objects(), objects(suspend=True, namespace__quota={"pods": "1"})
    changed = {name for name in RICH if RICH[name].hash != other[name].hash}
    assert [item.hash for item in RICH.values()] == [item.hash for item in same.values()]
    assert changed == {"ResourceQuota ws-acme/pyairtable"}


def test_what_a_workspace_without_anything_gets() -> None:
    assert [name.split()[0] for name in objects(minimal_document())] == [
        "Namespace",
        "NetworkPolicy",
        "NetworkPolicy",
        "NetworkPolicy",
        "ServiceAccount",
        "Secret",
    ]
    assert "NetworkPolicy" not in str(objects(minimal_document(), namespace__networkPolicy="Off"))


def test_owners_hold_nothing_that_confines_them() -> None:
    for rule in OWNER_RULES:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert not {"bind", "escalate", "impersonate"} & set(rule["verbs"])
        assert not {"namespaces", "namespaces/finalize", "namespaces/status", "nodes"} & set(rule["resources"])
        if {"resourcequotas", "limitranges", "endpoints", "endpointslices"} & set(rule["resources"]):
            assert rule["verbs"] == ["get", "list", "watch"]


def test_every_object_says_whose_it_is() -> None:
    for manifest in RICH.values():
        observed = compare.read(compare.essence(as_stored(manifest)))
        assert observed.workspace == "acme"
        assert observed.owner_uid == workspace_of(rich_document()).uid
        assert observed.labels[constants.PART_OF_LABEL] == "pyairtable"
