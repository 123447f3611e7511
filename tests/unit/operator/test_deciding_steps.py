"""Which steps follow from what is there, whose namespace it is, and how a plan reads."""

from typing import Any

import pytest
from kubernetes_kit.tenant_documents import as_stored, rich_document, workspace_of

from pyairtable_operator import compare, constants, decide
from pyairtable_operator.decide import ActionKind, Claim
from pyairtable_operator.manifests import Manifest, ObjectKey, TenantConfig, binding_objects, tenant_objects
from pyairtable_operator.spec import InvalidSpec, Workspace, parse_binding, parse_workspace

CONFIG = TenantConfig()
WORKSPACE = workspace_of(rich_document())
NAMESPACE = ObjectKey("Namespace", "", "ws-acme")


def desired(workspace: Workspace = WORKSPACE) -> list[Manifest]:
    return [*tenant_objects(workspace, CONFIG), *binding_objects(workspace)]


def stored(manifests: list[Manifest]) -> dict[ObjectKey, bytes]:
    return {item.key: compare.essence(as_stored(item, uid=f"uid-{item.name}")) for item in manifests}


def test_an_empty_cluster_gets_everything_in_order() -> None:
    actions = decide.plan(WORKSPACE, desired(), {}, ())
    assert [action.kind for action in actions] == [ActionKind.CREATE] * len(desired())
    assert [action.key.kind for action in actions][:2] == ["Namespace", "NetworkPolicy"]


def test_nothing_to_do_is_no_step() -> None:
    assert decide.plan(WORKSPACE, desired(), stored(desired()), ()) == []


def test_what_is_declared_no_more_goes_first() -> None:
    bare = workspace_of(rich_document(), owners=[], namespace__networkPolicy="Off", namespace__limits={"cpu": "1"})
    observed = stored(desired())
    del observed[ObjectKey("ServiceAccount", "ws-acme", "pyairtable-app")]
    actions = decide.plan(bare, desired(bare), observed, ())
    assert [(action.kind.value, action.key.kind) for action in actions] == [
        ("Delete", "ClusterRole"),
        ("Delete", "ClusterRoleBinding"),
        ("Delete", "NetworkPolicy"),
        ("Delete", "NetworkPolicy"),
        ("Delete", "NetworkPolicy"),
        ("Delete", "Role"),
        ("Delete", "RoleBinding"),
        ("Update", "LimitRange"),
        ("Create", "ServiceAccount"),
    ]
    assert actions[0].uid == "uid-pyairtable:workspace:acme"


def orphan(**changes: Any) -> tuple[ObjectKey, bytes]:
    extra = binding_objects(workspace_of(rich_document()))[0]
    body = as_stored(extra)
    body["metadata"] |= {"name": changes.get("name", "old"), "namespace": changes.get("namespace", "ws-acme")}
    body["kind"] = changes.get("kind", "BaseBinding")
    labels = {**body["metadata"]["labels"], **changes.get("labels", {})}
    body["metadata"]["labels"] = {name: value for name, value in labels.items() if value}
    body["metadata"]["annotations"] = changes.get("annotations", body["metadata"]["annotations"])
    if changes.get("terminating"):
        body["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    kept = compare.essence(body)
    return compare.read(kept).key, kept


@pytest.mark.parametrize(
    ("changes", "in_inventory", "goes"),
    [
        ({}, False, True),
        ({"annotations": {}}, True, True),
        ({"annotations": {}}, False, False),
        ({"annotations": {constants.OWNER_UID_ANNOTATION: "another"}}, True, False),
        ({"labels": {constants.MANAGED_BY_LABEL: ""}}, True, False),
        ({"labels": {constants.MANAGED_BY_LABEL: "Helm"}}, True, False),
        ({"labels": {constants.WORKSPACE_LABEL: "other"}}, True, False),
        ({"labels": {constants.WORKSPACE_LABEL: ""}}, True, False),
        ({"namespace": "elsewhere"}, True, False),
        ({"kind": "Namespace", "namespace": ""}, True, False),
        ({"kind": "Secret"}, True, False),
        ({"terminating": True}, True, False),
    ],
)
def test_only_an_orphan_of_ours_is_deleted(changes: dict[str, Any], in_inventory: bool, goes: bool) -> None:
    key, kept = orphan(**changes)
    observed = {**stored(desired()), key: kept}
    actions = decide.plan(WORKSPACE, desired(), observed, {key} if in_inventory else ())
    assert [(action.kind, action.key, action.uid) for action in actions] == (
        [(ActionKind.DELETE, key, "object-uid")] if goes else []
    )


def test_a_terminating_object_is_waited_for() -> None:
    account = desired()[6]
    assert account.kind == "ServiceAccount"
    body = as_stored(account)
    body["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    action = decide.step(account, compare.essence(body))
    assert action is not None
    assert action.kind is ActionKind.WAIT


@pytest.mark.parametrize(
    ("kind", "change", "expected"),
    [
        ("RoleBinding", {"roleRef": {"kind": "ClusterRole", "name": "admin"}}, ActionKind.RECREATE),
        ("ClusterRole", {"aggregationRule": {"clusterRoleSelectors": []}}, ActionKind.RECREATE),
        ("ResourceQuota", {"spec": {"hard": {}, "scopes": ["BestEffort"]}}, ActionKind.RECREATE),
        ("BaseBinding", {"spec": {"baseId": "appSomethingElse1"}}, ActionKind.RECREATE),
        ("RoleBinding", {"subjects": []}, ActionKind.UPDATE),
        ("NetworkPolicy", {"spec": {}}, ActionKind.UPDATE),
    ],
)
def test_what_cannot_change_is_made_anew(kind: str, change: dict[str, Any], expected: ActionKind) -> None:
    manifest = next(item for item in desired() if item.kind == kind)
    action = decide.step(manifest, compare.essence(as_stored(manifest) | change))
    assert action is not None
    assert action.kind is expected


def test_a_deletion_takes_keys_and_rights_first_and_never_the_namespace() -> None:
    secret = orphan(kind="Secret", name="pyairtable-access")[1]
    foreign = orphan(annotations={constants.OWNER_UID_ANNOTATION: "another"}, name="foreign")[1]
    observed = [*stored(desired()).values(), secret, foreign]
    actions = decide.deletions(WORKSPACE, observed)
    kinds = [action.key.kind for action in actions]
    assert kinds[:5] == ["Secret", "BaseBinding", "BaseBinding", "RoleBinding", "ClusterRoleBinding"]
    assert "Namespace" not in kinds
    assert "foreign" not in {action.key.name for action in actions}
    assert len(actions) == len(desired())


def namespace(labels: dict[str, str] | None = None, notes: dict[str, str] | None = None, **meta: Any) -> bytes:
    return compare.essence(
        {"kind": "Namespace", "metadata": {"name": "ws-acme", "labels": labels, "annotations": notes, **meta}}
    )


OURS = {constants.OWNER_UID_ANNOTATION: WORKSPACE.uid}
THEIRS = {constants.OWNER_UID_ANNOTATION: "another"}
LABEL = {constants.WORKSPACE_LABEL: "acme"}
OTHER = {constants.WORKSPACE_LABEL: "other"}
ADOPT = {constants.ADOPT_ANNOTATION: "acme"}
DELETED = "2026-11-22T12:00:00Z"


@pytest.mark.parametrize(
    ("kept", "claim", "adopted"),
    [
        (None, Claim.ABSENT, False),
        (namespace(LABEL, OURS), Claim.OURS, False),
        (namespace({}, OURS), Claim.OURS, False),
        (namespace(LABEL, OURS | {constants.ADOPTED_ANNOTATION: "true"}), Claim.OURS, True),
        (namespace(LABEL, {}), Claim.OURS, False),
        (namespace({}, {}), Claim.NOT_OURS, False),
        (namespace(LABEL, THEIRS), Claim.NOT_OURS, False),
        (namespace(OTHER, THEIRS), Claim.NOT_OURS, False),
        (namespace({}, ADOPT), Claim.ADOPT, True),
        (namespace(LABEL, ADOPT | THEIRS), Claim.ADOPT, True),
        (namespace(OTHER, ADOPT | THEIRS), Claim.NOT_OURS, False),
        (namespace({}, {constants.ADOPT_ANNOTATION: "other"}), Claim.NOT_OURS, False),
        (namespace(LABEL, OURS, deletionTimestamp=DELETED), Claim.TERMINATING, False),
        (namespace({}, {}, deletionTimestamp=DELETED), Claim.NOT_OURS, False),
    ],
)
def test_whose_namespace_it_is(kept: bytes | None, claim: Claim, adopted: bool) -> None:
    verdict = decide.claim_namespace(WORKSPACE, kept, {NAMESPACE})
    assert (verdict.claim, verdict.adopted) == (claim, adopted)


def test_a_label_alone_is_no_proof_for_a_workspace_that_made_nothing() -> None:
    assert decide.claim_namespace(WORKSPACE, namespace(LABEL, {}), ()).claim is Claim.NOT_OURS


@pytest.mark.parametrize("name", ["default", "kube-system", "pyairtable-system", "vault"])
def test_names_of_the_cluster_are_not_taken(name: str) -> None:
    workspace = workspace_of(rich_document(), namespace__name=name)
    assert decide.claim_namespace(workspace, None, (), {"vault"}).claim is Claim.NOT_ALLOWED


def test_a_plan_reads_well_and_holds_no_secret() -> None:
    changed = workspace_of(rich_document(), namespace__quota={"pods": "30"}, owners=[])
    actions = decide.plan(changed, desired(changed), stored(desired()), ())
    shown = decide.plan_status(actions)
    assert {"action": "Update", "kind": "ResourceQuota", "name": "pyairtable", "namespace": "ws-acme"} in [
        {name: value for name, value in entry.items() if name != "fields"} for entry in shown
    ]
    assert "spec.hard.pods: 20 -> 30" in str(shown)
    assert decide.plan_text(actions).startswith("delete ClusterRole pyairtable:workspace:acme; ")
    assert "update ResourceQuota ws-acme/pyairtable (spec.hard.pods: 20 -> 30)" in decide.plan_text(actions)
    assert decide.plan_text([]) == "nothing would be done"
    many = decide.plan(WORKSPACE, desired(), {}, ()) * 40
    assert len(decide.plan_text(many)) <= 900
    assert len(decide.plan_status(many)) == 300


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("namespace__quota", {"pods": "many"}, 'spec.namespace.quota.pods: "many" is not a quantity'),
        ("namespace__quota", {"pods": 20}, "spec.namespace.quota.pods"),
        ("airtable__bases", [{"name": "crm", "baseId": "nope"}], "spec.airtable.bases.0.baseId"),
        ("owners", [{"kind": "Robot", "name": "x"}], "spec.owners.0.kind"),
        ("owners", "everybody", "spec.owners"),
        ("accessKey", {"overlapSeconds": -1}, "spec.accessKey.overlapSeconds"),
        ("suspend", "perhaps", "spec.suspend"),
    ],
)
def test_a_spec_that_cannot_be_used_is_named(path: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidSpec) as raised:
        workspace_of(rich_document(), **{path: value})
    assert str(raised.value).startswith(said)


def test_defaults_and_what_a_newer_schema_adds() -> None:
    body = {"metadata": {"name": "x", "uid": "u"}, "spec": {"later": 1, "namespace": {"name": "own", "later": 2}}}
    workspace = parse_workspace(body)
    assert workspace.namespace == "own"
    assert workspace.spec.access_key.rotate_after_seconds == 90 * 86400
    assert parse_workspace({"metadata": {"name": "x"}}).namespace == "ws-x"
    binding = parse_binding({"metadata": {"name": "b"}, "spec": {"baseId": "appAcmeRenovation"}})
    assert (binding.spec.access, binding.managed) == ("ReadWrite", False)
