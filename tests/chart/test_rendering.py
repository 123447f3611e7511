"""What the chart renders from every set of values: names, labels, images, security, placement, references."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import yaml
from chart_kit.rendering import (
    CHART,
    NAMESPACE,
    RELEASE,
    VALUES,
    Body,
    component,
    containers,
    identity,
    of_kind,
    pod_templates,
    rendered,
    run_helm,
)

EVERY = pytest.mark.parametrize("name", VALUES)
CLUSTER_SCOPED = {"Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"} | {
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


@pytest.mark.parametrize("name", VALUES)
def test_helm_lint_finds_nothing(name: str) -> None:
    done = run_helm("lint", "--strict", CHART, "--values", VALUES[name], "--namespace", NAMESPACE)
    assert done.returncode == 0, done.stdout + done.stderr


@EVERY
def test_no_object_is_made_twice(name: str) -> None:
    hooks_apart = Counter(identity(body) for body in rendered(name))
    assert [one for one, count in hooks_apart.items() if count > 1] == []


@EVERY
def test_names_begin_with_the_releases_and_fit(name: str) -> None:
    prefix = "air" if name == "everything" else RELEASE
    for body in rendered(name):
        its_name = body["metadata"]["name"]
        assert len(its_name) <= 63, its_name
        if component(body) in {"credentials", "demo-tenant", "crds"} or body["kind"].startswith("Validating"):
            continue
        assert its_name.startswith(prefix), identity(body)


@EVERY
def test_objects_carry_the_recommended_labels(name: str) -> None:
    for body in rendered(name):
        if body["kind"].startswith("Validating"):
            continue
        labels = body["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "pyairtable", identity(body)
        assert labels["app.kubernetes.io/instance"] == RELEASE, identity(body)
        if name == "everything":
            assert labels["team"] == "data", identity(body)


@EVERY
def test_selectors_find_the_pods_they_mean(name: str) -> None:
    bodies = rendered(name)
    pods = {owner: template["metadata"]["labels"] for owner, template in pod_templates(bodies).items()}
    for body in of_kind(bodies, "Service", "PodDisruptionBudget", "Deployment"):
        selector = body["spec"]["selector"]
        selector = selector.get("matchLabels", selector)
        found = [owner for owner, labels in pods.items() if selector.items() <= labels.items()]
        assert found == [f"Deployment {NAMESPACE}/{body['metadata']['name'].removesuffix('-headless')}"], identity(body)


@EVERY
def test_pods_are_restricted_and_write_nowhere_but_to_volumes(name: str) -> None:
    for owner, template in pod_templates(rendered(name)).items():
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, owner
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, owner
        for container in containers(template):
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, owner
            assert security["allowPrivilegeEscalation"] is False, owner
            assert security["capabilities"] == {"drop": ["ALL"]}, owner
            assert container["resources"]["limits"]["memory"], owner


@EVERY
def test_images_are_named_exactly(name: str) -> None:
    for owner, template in pod_templates(rendered(name)).items():
        for container in containers(template):
            assert re.search(r"(:[^/:@]+|@sha256:[0-9a-f]{64})$", container["image"]), owner
            assert not container["image"].endswith(":latest"), owner


def test_registry_tag_and_digest_make_the_reference() -> None:
    images = {
        owner: containers(template)[0]["image"] for owner, template in pod_templates(rendered("everything")).items()
    }
    assert images[f"Deployment {NAMESPACE}/air-auth"] == "registry.example:5000/mirror/pyairtable/services:v1.2.3"
    assert images[f"Deployment {NAMESPACE}/air-operator"] == "registry.example/pyairtable/operator@sha256:" + "0" * 64


@EVERY
def test_only_what_asks_the_api_server_gets_a_token(name: str) -> None:
    with_token = {
        owner.partition("/")[2].partition("-")[2]
        for owner, template in pod_templates(rendered(name)).items()
        if template["spec"].get("automountServiceAccountToken") is not False
    }
    assert with_token <= {"operator", "airtable-gateway", "llm-orchestrator", "auth", "workspaces", "cleanup"}
    for body in of_kind(rendered(name), "ServiceAccount"):
        assert body["automountServiceAccountToken"] is False


@EVERY
def test_what_pods_refer_to_is_there_or_somebody_elses(name: str) -> None:
    bodies = rendered(name)
    there = {(body["kind"], body["metadata"]["name"]) for body in bodies}
    given = given_secrets(yaml.safe_load(VALUES[name].read_text()))
    for owner, template in pod_templates(bodies).items():
        account = template["spec"].get("serviceAccountName")
        assert account is None or ("ServiceAccount", account) in there, owner
        for kind, reference in references(template):
            assert (kind, reference) in there or reference in given, f"{owner} refers to {kind} {reference}"


def references(template: Body) -> list[tuple[str, str]]:
    found = []
    for container in containers(template):
        found += [("ConfigMap", source["configMapRef"]["name"]) for source in container.get("envFrom", ())]
        for entry in container.get("env", ()):
            if "secretKeyRef" in entry.get("valueFrom", {}):
                found.append(("Secret", entry["valueFrom"]["secretKeyRef"]["name"]))
    volumes = template["spec"].get("volumes", ())
    return found + [("ConfigMap", volume["configMap"]["name"]) for volume in volumes if "configMap" in volume]


def given_secrets(values: object) -> set[str]:
    """Every existingSecret that the values name."""
    if not isinstance(values, dict):
        return set()
    own = {values["existingSecret"]} if values.get("existingSecret") else set()
    return own.union(*map(given_secrets, values.values()))


@EVERY
def test_no_secret_stands_in_a_pod_template_or_config_map(name: str) -> None:
    bodies = rendered(name)
    for owner, template in pod_templates(bodies).items():
        for container in containers(template):
            inline = [entry["name"] for entry in container.get("env", ()) if "value" in entry]
            assert not inline, f"{owner} has {inline} in plain"
    for body in of_kind(bodies, "ConfigMap"):
        for key, value in body["data"].items():
            harmless = value == "true" or value.startswith(("http://", "https://"))
            assert harmless or not re.search(r"KEY$|PASSWORD|TOKEN$|SECRET$|_URL$", key), key
            assert "patEmulator" not in value, key


@EVERY
def test_objects_say_their_namespace(name: str) -> None:
    credentials = "tokens" if name == "external" else "pyairtable-credentials"
    for body in rendered(name):
        namespace = body["metadata"].get("namespace")
        if body["kind"] in CLUSTER_SCOPED:
            assert namespace is None, identity(body)
        elif body["kind"] in {"Role", "RoleBinding"} or component(body) == "demo-tenant":
            assert namespace in (NAMESPACE, credentials), identity(body)
        else:
            assert namespace == NAMESPACE, identity(body)


@EVERY
def test_budgets_only_where_there_is_more_than_one_pod(name: str) -> None:
    bodies = rendered(name)
    replicas = {body["metadata"]["name"]: body["spec"].get("replicas") for body in of_kind(bodies, "Deployment")}
    scaled = {body["spec"]["scaleTargetRef"]["name"] for body in of_kind(bodies, "HorizontalPodAutoscaler")}
    assert scaled == {its_name for its_name, count in replicas.items() if count is None}
    budgets = {body["metadata"]["name"] for body in of_kind(bodies, "PodDisruptionBudget")}
    assert budgets == {its_name for its_name, count in replicas.items() if count is None or count > 1}


def test_everything_uses_every_field_of_scheduling() -> None:
    for owner, template in pod_templates(rendered("everything")).items():
        spec, metadata = template["spec"], template["metadata"]
        assert spec["hostUsers"] is False, owner
        assert spec["tolerations"][0]["key"] == "dedicated", owner
        assert "nodeAffinity" in spec["affinity"], owner
        assert spec["nodeSelector"]["kubernetes.io/os"] == "linux", owner
        assert spec["imagePullSecrets"] == [{"name": "registry"}], owner
        assert metadata["labels"]["example.com/tier"] == "platform", owner
        assert metadata["annotations"]["example.com/scrape"] == "false", owner
        own = "system-node-critical" if owner == f"Deployment {NAMESPACE}/air-operator" else "system-cluster-critical"
        assert spec["priorityClassName"] == own, owner
    assert (
        "topologySpreadConstraints"
        not in pod_templates(rendered("everything"))[f"Deployment {NAMESPACE}/air-auth"]["spec"]
    )
    assert pod_templates(rendered("everything"))[f"Deployment {NAMESPACE}/air-auth"]["spec"]["nodeSelector"] == {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    }


def test_a_change_of_settings_rolls_the_pods_that_read_them() -> None:
    def checksums(*arguments: str) -> dict[str, str]:
        done = run_helm("template", RELEASE, CHART, "-n", NAMESPACE, "-f", VALUES["demo"], *arguments)
        return {
            body["metadata"]["name"]: body["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for body in yaml.safe_load_all(done.stdout)
            if body and body["kind"] == "Deployment" and "demo" not in body["metadata"]["name"]
        }

    before = checksums()
    after = checksums("--set", "services.auth.env.DB_POOL_SIZE=3")
    assert {name for name in before if before[name] != after[name]} == {"pyairtable-auth"}


def test_a_further_service_is_one_block_of_values() -> None:
    made = {body["kind"] for body in rendered("further-service") if component(body) == "reports"}
    assert made == {
        "Deployment",
        "Service",
        "ServiceAccount",
        "ConfigMap",
        "PodDisruptionBudget",
        "NetworkPolicy",
    }
    names = {body["metadata"]["name"] for body in rendered("further-service")}
    assert "pyairtable-llm-orchestrator" not in names


def test_the_definitions_are_those_of_the_files() -> None:
    files = {path.name: yaml.safe_load(path.read_text()) for path in (CHART / "files" / "crds").glob("*.yaml")}
    in_chart = {body["metadata"]["name"]: body for body in of_kind(rendered("demo"), "CustomResourceDefinition")}
    assert {crd["metadata"]["name"] for crd in files.values()} == set(in_chart)
    for crd in files.values():
        body = in_chart[crd["metadata"]["name"]]
        assert body["spec"] == crd["spec"]
        assert body["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not of_kind(rendered("external"), "CustomResourceDefinition", "ValidatingAdmissionPolicy")


def test_policies_know_the_operators_account() -> None:
    text = str(of_kind(rendered("demo"), "ValidatingAdmissionPolicy"))
    assert f"system:serviceaccount:{NAMESPACE}:pyairtable-operator" in text
    assert "{{" not in text
