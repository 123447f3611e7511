"""Every variable that the chart sets is one that the process reads, with a value that it takes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest
from chart_kit.rendering import VALUES, Body, component, environment_of, of_kind, pod_templates, rendered
from pydantic import TypeAdapter
from pydantic_settings import BaseSettings

from pyairtable_operator.settings import Settings as OperatorSettings
from pyairtable_platform.cli import ServiceName

EVERY = pytest.mark.parametrize("name", VALUES)
LATER = {"reports"}
"""Services of ci/ values that the platform does not have."""
TARGETS_LATER = {f"{service.upper()}_TARGET" for service in LATER}


def settings_of(service: str) -> type[BaseSettings]:
    if service == "operator":
        return OperatorSettings
    module = importlib.import_module(f"pyairtable_platform.{service.replace('-', '_')}.settings")
    settings: type[BaseSettings] = module.Settings
    return settings


def processes(name: str) -> Iterator[tuple[str, Body]]:
    """Service or operator, and its pod, of one set of values."""
    for body in of_kind(rendered(name), "Deployment"):
        if not component(body).startswith("demo-") and component(body) not in LATER:
            yield component(body), body["spec"]["template"]


def test_the_chart_runs_every_service_of_the_command_line() -> None:
    assert {service for service, _ in processes("demo")} == {*map(str, ServiceName), "operator"}


@EVERY
def test_variables_are_ones_that_the_process_reads(name: str) -> None:
    for service, template in processes(name):
        known = {field.upper() for field in settings_of(service).model_fields} | TARGETS_LATER
        assert set(environment_of(rendered(name), template)) - known == set(), service


@EVERY
def test_values_are_ones_that_the_process_takes(name: str) -> None:
    for service, template in processes(name):
        for variable, value in environment_of(rendered(name), template).items():
            if value is None or variable in TARGETS_LATER:
                continue
            field = settings_of(service).model_fields[variable.lower()]
            if str(field.annotation).startswith("tuple"):
                continue  # comma-separated: a validator splits it
            assert field.annotation is not None
            TypeAdapter(field.annotation, config={"arbitrary_types_allowed": True}).validate_python(value)


@EVERY
def test_every_peer_that_a_process_can_be_told_of_is_told(name: str) -> None:
    services = {service for service, _ in processes(name)}
    for service, template in processes(name):
        told = environment_of(rendered(name), template)
        targets = {field.upper() for field in settings_of(service).model_fields if field.endswith("_target")}
        its_own = f"{service.upper().replace('-', '_')}_TARGET"
        for target in targets - {its_own, "PUBLIC_GRPC_TARGET"}:
            if target.removesuffix("_TARGET").lower().replace("_", "-") in services:
                assert target in told, service


@EVERY
def test_services_with_a_database_or_cache_are_given_them(name: str) -> None:
    for service, template in processes(name):
        fields, told = settings_of(service).model_fields, environment_of(rendered(name), template)
        assert ("database_url" in fields) == ("DATABASE_URL" in told), service
        assert ("redis_url" in fields) == ("REDIS_URL" in told), service
        assert "API_KEY" in told, service


@EVERY
def test_ports_are_those_that_probes_and_services_use(name: str) -> None:
    services = {body["metadata"]["name"]: body for body in of_kind(rendered(name), "Service")}
    for service, template in processes(name):
        told = environment_of(rendered(name), template)
        main = template["spec"]["containers"][0]
        ports = {port["name"]: port["containerPort"] for port in main["ports"]}
        assert str(ports["http"]) == told["HTTP_PORT"], service
        if service != "operator":
            assert str(ports["grpc"]) == told["GRPC_PORT"], service
            assert main["livenessProbe"]["grpc"]["port"] == ports["grpc"], service
        its_service = next(body for its_name, body in services.items() if its_name.endswith(f"-{service}"))
        assert {port["name"]: port["port"] for port in its_service["spec"]["ports"]} == ports, service
        assert all(port["targetPort"] == port["name"] for port in its_service["spec"]["ports"]), service


def test_targets_are_headless_services_that_exist() -> None:
    bodies = rendered("everything")
    headless = {
        f"{body['metadata']['name']}.pyairtable-system.svc.example.internal:{port['port']}"
        for body in of_kind(bodies, "Service")
        for port in body["spec"]["ports"]
        if body["spec"].get("clusterIP") == "None"
    }
    for service, template in processes("everything"):
        for variable, value in environment_of(bodies, template).items():
            if variable.endswith("_TARGET") and not variable.startswith("PUBLIC_"):
                assert value in headless, f"{service}: {variable}"


def test_the_gateways_share_counts_the_most_pods_of_a_rollout() -> None:
    shares = {}
    for name in ("minimal", "everything"):
        template = dict(processes(name))["airtable-gateway"]
        shares[name] = environment_of(rendered(name), template)["GATEWAY_REPLICAS"]
    assert shares == {"minimal": "3", "everything": "5"}


def test_tenants_are_told_public_addresses_or_those_in_the_cluster() -> None:
    def told(name: str) -> dict[str, str | None]:
        environment = environment_of(rendered(name), dict(processes(name))["operator"])
        return {key: value for key, value in environment.items() if key.startswith("PUBLIC_")}

    assert told("everything") == {
        "PUBLIC_REST_URL": "https://api.example.com/api",
        "PUBLIC_GRPC_TARGET": "grpc.example.com:443",
        "PUBLIC_MCP_URL": "https://mcp.example.com/mcp",
        "PUBLIC_AIRTABLE_URL": "https://airtable.example.com",
    }
    assert (
        told("minimal")["PUBLIC_REST_URL"]
        == "http://pyairtable-api-gateway.pyairtable-system.svc.cluster.local:8000/api"
    )


def test_emulators_are_used_when_they_are_there_and_only_then() -> None:
    def urls(name: str) -> set[str]:
        found = set()
        for service in ("airtable-gateway", "llm-orchestrator"):
            environment = environment_of(rendered(name), dict(processes(name))[service])
            found |= {
                key for key in environment if key in {"AIRTABLE_API_URL", "AIRTABLE_CONTENT_URL", "GEMINI_API_URL"}
            }
        return found

    assert urls("demo") == {"AIRTABLE_API_URL", "AIRTABLE_CONTENT_URL", "GEMINI_API_URL"}
    assert urls("everything") == urls("minimal") == set()


def sources(name: str, service: str) -> dict[str, str]:
    """Where a service's variables come from that stand in no ConfigMap: Secret/key, or a field of its pod."""
    entries = dict(processes(name))[service]["spec"]["containers"][0]["env"]
    found = {}
    for entry in entries:
        secret, field = entry["valueFrom"].get("secretKeyRef"), entry["valueFrom"].get("fieldRef")
        found[entry["name"]] = f"{secret['name']}/{secret['key']}" if secret else field["fieldPath"]
    return found


def test_logins_come_from_the_secrets_that_the_values_name() -> None:
    assert sources("everything", "auth") == {
        "API_KEY": "keys/API_KEY",
        "DATABASE_URL": "database/auth-url",
        "JWT_SECRET": "keys/JWT_SECRET",
        "REDIS_URL": "redis/REDIS_URL",
        "SMTP_PASSWORD": "mail/password",
        "SMTP_USER": "mail/user",
    }
    assert sources("everything", "users")["DATABASE_URL"] == "database/DATABASE_URL"
    assert not {"SMTP_USER", "SMTP_PASSWORD"} & sources("demo", "auth").keys(), "the mailbox wants none"


def test_a_replica_of_sagas_is_named_as_its_pod() -> None:
    assert sources("demo", "sagas")["EXECUTOR_ID"] == "metadata.name"


def test_people_are_written_to_by_the_mail_server_or_the_mailbox() -> None:
    def told(name: str) -> dict[str, str | None]:
        environment = environment_of(rendered(name), dict(processes(name))["auth"])
        wanted = ("SMTP_HOST", "SMTP_PORT", "SMTP_STARTTLS", "MAIL_FROM", "PUBLIC_URL", "ADMIN_EMAILS")
        return {key: environment[key] for key in wanted if key in environment}

    assert told("everything") == {
        "SMTP_HOST": "smtp.example.com",
        "SMTP_PORT": "465",
        "SMTP_STARTTLS": "true",
        "MAIL_FROM": "PyAirtable <no-reply@example.com>",
        "PUBLIC_URL": "https://api.example.com",
        "ADMIN_EMAILS": "ada@example.com,bob@example.com",
    }
    assert told("demo") == {
        "SMTP_HOST": "pyairtable-demo-mailbox.pyairtable-system.svc.cluster.local",
        "SMTP_PORT": "8093",
        "SMTP_STARTTLS": "false",
        "PUBLIC_URL": "http://localhost:8000",
        "ADMIN_EMAILS": "admin@platform.example",
    }
    assert "SMTP_HOST" not in told("production")


def test_workspaces_of_calls_become_objects_in_every_profile() -> None:
    for name in VALUES:
        environment = environment_of(rendered(name), dict(processes(name))["workspaces"])
        assert environment["PROVISIONING"] == "kubernetes"


@EVERY
def test_nothing_is_open(name: str) -> None:
    for service, template in processes(name):
        assert "OPEN_ACCESS" not in environment_of(rendered(name), template), service


def test_only_the_demo_shares_a_token_among_workspaces() -> None:
    def told(name: str) -> dict[str, set[str]]:
        variables = ("SHARED_AIRTABLE_TOKEN", "AIRTABLE_TOKEN")
        pods = {service: environment_of(rendered(name), template) for service, template in processes(name)}
        return {key: {service for service, environment in pods.items() if key in environment} for key in variables}

    shared = {"airtable-gateway", "workspaces", "operator"}
    assert told("demo") == {"SHARED_AIRTABLE_TOKEN": shared, "AIRTABLE_TOKEN": {"airtable-gateway"}}
    for name in set(VALUES) - {"demo"}:
        assert told(name) == {"SHARED_AIRTABLE_TOKEN": set(), "AIRTABLE_TOKEN": set()}, name


def test_no_pod_of_production_uses_the_devkit() -> None:
    for name in ("production", "everything", "external"):
        for owner, template in pod_templates(rendered(name)).items():
            assert "devkit" not in str(template["spec"]["containers"]), owner
