"""The chart rendered by the real helm, and ways to look at what comes out."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from kubernetes_kit.plane import require_programs

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "pyairtable"
NAMESPACE = "pyairtable-system"
RELEASE = "pyairtable"

Body = dict[str, Any]

CI = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}
PROFILES = {name: CHART / f"values-{name}.yaml" for name in ("demo", "production")}
VALUES: Mapping[str, Path] = {**PROFILES, **CI}
"""Every set of values that is rendered, by name: the two profiles and those of ci/."""

FOREIGN_GROUPS = ("monitoring.coreos.com", "gateway.networking.k8s.io")
"""Kinds of other projects, which a bare API server does not know."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def helm_program() -> Path:
    """Where helm is; without it the test is skipped, and in CI it fails."""
    return require_programs()["helm"]


def run_helm(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm without a cluster and without the caller's configuration of it."""
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "KUBECONFIG": "/nonexistent"}
    command = [str(helm_program()), *map(str, arguments)]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, timeout=120, env=environment
    )


@functools.cache
def rendered(name: str) -> tuple[Body, ...]:
    """The objects that one of VALUES makes, in the order of the templates."""
    done = run_helm("template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", VALUES[name])
    assert done.returncode == 0, done.stderr
    return tuple(objects(done.stdout))


def objects(text: str) -> Iterator[Body]:
    """The documents of a stream of YAML that are not empty."""
    return (body for body in yaml.load_all(text, Loader=_Loader) if body)


def refusal(values: str, base: str = "demo") -> str:
    """What helm says when it refuses these values (YAML) over one of VALUES; empty when it renders them."""
    arguments = ("--namespace", NAMESPACE, "--values", VALUES[base], "--values", "-")
    done = run_helm("template", RELEASE, CHART, *arguments, stdin=values)
    return "" if done.returncode == 0 else done.stderr


def of_kind(bodies: tuple[Body, ...], *kinds: str) -> list[Body]:
    return [body for body in bodies if body["kind"] in kinds]


def identity(body: Body) -> str:
    """Kind, namespace and name, for messages and comparisons."""
    namespace = body["metadata"].get("namespace", "")
    return f"{body['kind']} {namespace}{'/' if namespace else ''}{body['metadata']['name']}"


def component(body: Body) -> str:
    labels: Mapping[str, str] = body["metadata"].get("labels", {})
    return labels.get("app.kubernetes.io/component", "")


def pod_templates(bodies: tuple[Body, ...]) -> dict[str, Body]:
    """Metadata and spec of every pod that these objects lead to, by the name of the object."""
    templates = {
        identity(body): body["spec"]["template"] for body in of_kind(bodies, "Deployment", "StatefulSet", "Job")
    }
    return templates | {identity(body): body for body in of_kind(bodies, "Pod")}


def containers(template: Body) -> list[Body]:
    spec = template["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"]]


def environment_of(bodies: tuple[Body, ...], template: Body) -> dict[str, str | None]:
    """Variables of a pod's main container: from its ConfigMap with their values, from Secrets without."""
    main = template["spec"]["containers"][0]
    data: dict[str, str | None] = {}
    maps = {body["metadata"]["name"]: body["data"] for body in of_kind(bodies, "ConfigMap")}
    for source in main.get("envFrom", ()):
        data |= maps[source["configMapRef"]["name"]]
    return data | {entry["name"]: entry.get("value") for entry in main.get("env", ())}
