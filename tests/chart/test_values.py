"""values.yaml and values.schema.json describe each other; unknown, wrong and contradictory values are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
import yaml
from chart_kit.rendering import CHART, PROFILES, refusal

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())


def resolved(node: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its reference followed; what stands beside the reference wins."""
    reference = node.get("$ref", "")
    base = SCHEMA["$defs"][reference.removeprefix("#/$defs/")] if reference else {}
    return {**base, **node}


def described(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every path that the schema names, down to the last properties, with its schema."""
    for name, child in resolved(node).get("properties", {}).items():
        whole = resolved(child)
        yield f"{path}{name}", whole
        yield from described(whole, f"{path}{name}.")


def given(node: Any, schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every path of the values, as far down as the schema names properties."""
    for name, child in node.items():
        yield f"{path}{name}"
        its_schema = resolved(resolved(schema).get("properties", {}).get(name, {}))
        if isinstance(child, dict) and "properties" in its_schema:
            yield from given(child, its_schema, f"{path}{name}.")


def test_the_schema_is_a_schema() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_value_has_its_description_and_every_description_its_value() -> None:
    in_schema = dict(described(SCHEMA))
    # A service and its pods are a part of what stands in serviceDefaults; `resources` and `pods` of it as well.
    optional = {path for path in in_schema if path.startswith(("serviceDefaults.pods.", "operator.pods."))}
    assert set(given(VALUES, SCHEMA)) == set(in_schema) - optional
    assert [path for path, node in in_schema.items() if not node.get("description")] == []


def test_what_a_service_may_say_is_what_has_a_default() -> None:
    service = SCHEMA["$defs"]["service"]["properties"]
    assert set(service) - {"httpPort", "grpcPort"} == set(VALUES["serviceDefaults"])


def test_every_object_is_closed() -> None:
    def objects(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield path, node
            for key, child in node.items():
                yield from objects(child, f"{path}/{key}")

    free = ("/items", "/affinity")  # objects of Kubernetes itself, which the API server checks
    is_open = [
        path
        for path, node in objects(SCHEMA, "")
        if "additionalProperties" not in node and not path.endswith(free) and "$defs/objects" not in path
    ]
    assert is_open == []


@pytest.mark.parametrize("path", [CHART / "values.yaml", *PROFILES.values()], ids=lambda path: path.name)
def test_no_key_stands_twice(path: Any) -> None:
    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key) for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"{path.name}: {keys}"
            return super().construct_mapping(node, deep)

    yaml.load(path.read_text(), Loader=Strict)  # noqa: S506 - a safe loader


UNKNOWN_OR_WRONG = {
    "an unknown key": ("replicaCount: 3", "additional properties 'replicaCount' not allowed"),
    "a misspelt key of a service": ("services: {auth: {replica: 3}}", "replica"),
    "a misspelt key of the operator": ("operator: {replica: 3}", "replica"),
    "an unknown part of the demo": ("demo: {mysql: {enabled: true}}", "mysql"),
    "a service without ports": ("services: {reports: {database: true}}", "missing properties"),
    "a service with a bad name": ("services: {Users: {httpPort: 1, grpcPort: 2}}", "Users"),
    "a service named as the operator": ("services: {operator: {httpPort: 1, grpcPort: 2}}", "operator"),
    "a variable in small letters": ("services: {auth: {env: {log_level: INFO}}}", "log_level"),
    "a list as a variable": ("services: {auth: {env: {CORS_ORIGINS: [a, b]}}}", "CORS_ORIGINS"),
    "an unknown environment": ("environment: staging", "environment"),
    "a digest that is none": ("images: {services: {digest: sha256:abc}}", "digest"),
    "replicas as text": ("services: {auth: {replicas: 'two'}}", "replicas"),
    "a negative number of replicas": ("services: {auth: {replicas: -1}}", "replicas"),
    "a port out of range": ("services: {auth: {httpPort: 70000}}", "httpPort"),
    "a host with a scheme": ("exposure: {hosts: [{host: 'https://a.example', service: auth}]}", "host"),
    "an unknown field of a host": ("exposure: {hosts: [{host: a.example, service: auth, port: 1}]}", "port"),
    "an administrator without an address": ("administrators: [ada]", "administrators"),
    "an unknown resource block": ("cleanup: {resources: {claims: []}}", "claims"),
}


@pytest.mark.parametrize("case", UNKNOWN_OR_WRONG)
def test_unknown_and_wrong_values_are_refused(case: str) -> None:
    values, part = UNKNOWN_OR_WRONG[case]
    said = refusal(values)
    assert "schema" in said
    assert part in said


DEMO, PRODUCTION = "demo", "production"
ROUTED = "ingress: {enabled: true}, hosts: [{host: a.example, service: api-gateway}]"
CONTRADICTIONS = {
    "demo database and external": (
        DEMO,
        "database: {existingSecret: a}",
        "demo.postgres.enabled starts one in the cluster",
    ),
    "demo cache and external": (DEMO, "redis: {existingSecret: a}", "demo.valkey.enabled starts one in the cluster"),
    "no database": (DEMO, "demo: {postgres: {enabled: false}}", "There is no server: set database.existingSecret"),
    "no cache": (DEMO, "demo: {valkey: {enabled: false}}", "There is no server: set redis.existingSecret"),
    "production with emulators": (PRODUCTION, "demo: {airtable: {enabled: true}}", "environment=production refuses it"),
    "production with a demo database": (
        PRODUCTION,
        "{demo: {postgres: {enabled: true}}, database: {existingSecret: ''}}",
        "demo.postgres.enabled is for trying things out",
    ),
    "production without an API key": (
        PRODUCTION,
        "credentials: {apiKey: {existingSecret: ''}}",
        "set credentials.apiKey.existingSecret",
    ),
    "production without a JWT secret": (
        PRODUCTION,
        "credentials: {jwtSecret: {existingSecret: ''}}",
        "set credentials.jwtSecret.existingSecret",
    ),
    "a JWT secret that the database outlives": (
        "external",
        "credentials: {jwtSecret: {existingSecret: ''}}",
        "must outlive this release",
    ),
    "owner of a demo database": (DEMO, "migrations: {existingSecret: a}", "is for an external database"),
    "emulator and real key": (DEMO, "credentials: {geminiApiKey: {existingSecret: a}}", "an emulator: set one of them"),
    "credentials beside the platform": (
        DEMO,
        "credentials: {namespace: {name: pyairtable-system}}",
        "need a namespace of their own",
    ),
    "credentials in kube-system": (
        DEMO,
        "credentials: {namespace: {name: kube-system}}",
        "need a namespace of their own",
    ),
    "autoscaler and replicas": (
        DEMO,
        "services: {auth: {replicas: 2, autoscaling: {enabled: true}}}",
        "the number belongs to the autoscaler",
    ),
    "autoscaler upside down": (
        DEMO,
        "services: {auth: {autoscaling: {enabled: true, minReplicas: 9, maxReplicas: 3}}}",
        "minReplicas above maxReplicas",
    ),
    "autoscaler without requests": (
        DEMO,
        "{serviceDefaults: {resources: {requests: {cpu: null}}}, services: {users: {autoscaling: {enabled: true}}}}",
        "needs resources.requests.cpu",
    ),
    "no gateway": (DEMO, "services: {airtable-gateway: {replicas: 0}}", "airtable-gateway has 0 replicas"),
    "no door": (DEMO, "services: {api-gateway: {replicas: 0}}", "api-gateway has 0 replicas"),
    "a service that others need is off": (DEMO, "services: {auth: {enabled: false}}", "needs the service auth (peers)"),
    "a peer that there is not": (DEMO, "services: {auth: {peers: [nobody]}}", "needs the service nobody (peers)"),
    "metrics that are off": (
        DEMO,
        "{metrics: {serviceMonitor: {enabled: true}}, services: {auth: {env: {ENABLE_METRICS: false}}}}",
        "its ENABLE_METRICS is false",
    ),
    "a credential that there is not": (
        DEMO,
        "services: {auth: {secrets: {JWT_SECRET: jwt}}}",
        "from the credential jwt",
    ),
    "a secret in plain": (DEMO, "services: {auth: {env: {JWT_SECRET: abc}}}", "where everybody can read it"),
    "a database address in plain": (
        DEMO,
        "services: {reports: {httpPort: 1, grpcPort: 2, env: {DATABASE_URL: 'postgresql://a:b@c/d'}}}",
        "DATABASE_URL is a secret",
    ),
    "an open door": (DEMO, "services: {auth: {env: {OPEN_ACCESS: true}}}", "every caller shows a credential"),
    "services without a key": (DEMO, "serviceDefaults: {secrets: {API_KEY: null}}", "auth takes no API_KEY"),
    "a shared token of a real Airtable": (DEMO, "demo: {airtable: {enabled: false}}", "is the emulator's token"),
    "a mailbox and a mail server": (
        DEMO,
        "mail: {host: smtp.example.com}",
        "demo.mailbox.enabled starts a mailbox in the cluster",
    ),
    "a mailbox in production": (
        PRODUCTION,
        "demo: {mailbox: {enabled: true}}",
        "demo.mailbox.enabled is for trying things out",
    ),
    "a login at no mail server": (PRODUCTION, "mail: {existingSecret: a}", "name the server in mail.host"),
    "letters that lead nowhere": (PRODUCTION, "mail: {host: smtp.example.com}", "set public.url"),
    "letters in plain": (
        PRODUCTION,
        "{mail: {host: a.example, startTLS: false}, public: {url: 'https://a.example'}}",
        "mail.startTLS is false",
    ),
    "a password of letters in plain": (
        DEMO,
        "services: {auth: {env: {SMTP_PASSWORD: a}}}",
        "SMTP_PASSWORD is a secret",
    ),
    "a login of its own in the demo": (
        DEMO,
        "services: {auth: {databaseKey: auth}}",
        "databaseKey is for an external database",
    ),
    "latest": (DEMO, "images: {services: {tag: latest}}", "means something else tomorrow"),
    "an ingress without hosts": (DEMO, "exposure: {ingress: {enabled: true}}", "exposure.hosts is empty"),
    "hosts without a way in": (
        DEMO,
        "exposure: {hosts: [{host: a.example, service: api-gateway}]}",
        "nothing makes it so",
    ),
    "a host of nobody": (
        DEMO,
        "exposure: {ingress: {enabled: true}, hosts: [{host: a.example, service: nobody}]}",
        "exposure.hosts names the service nobody",
    ),
    "a route without a gateway": (
        DEMO,
        "exposure: {httpRoute: {enabled: true}, hosts: [{host: a.example, service: api-gateway}]}",
        "exposure.httpRoute.parentRefs is empty",
    ),
    "a gRPC route without a host": (
        DEMO,
        "exposure: {grpcRoute: {enabled: true, parentRefs: [{name: a}]}}",
        "exposure.grpcRoute.hostnames is empty",
    ),
    "a way in that policies close": (DEMO, f"exposure: {{{ROUTED}}}", "networkPolicy.ingressFrom is empty"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_contradictions_are_refused_with_a_sentence(case: str) -> None:
    base, values, sentence = CONTRADICTIONS[case]
    said = refusal(values, base)
    assert "The values contradict each other" in said, said
    assert sentence in said


def test_all_faults_are_said_at_once() -> None:
    said = refusal("{images: {services: {tag: latest}}, services: {auth: {replicas: 0}}}")
    assert "latest" in said
    assert "auth has 0 replicas" in said


def test_what_is_refused_would_be_rendered_without_the_fault() -> None:
    """The cases above fail for their own reason: their counterparts pass."""
    assert refusal("services: {auth: {autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 3}}}") == ""
    assert refusal(f"{{exposure: {{{ROUTED}}}, networkPolicy: {{ingressFrom: [{{podSelector: {{}}}}]}}}}") == ""
    assert refusal("images: {services: {tag: v1}}") == ""
