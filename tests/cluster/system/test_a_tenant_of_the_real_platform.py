"""A tenant from the README's commands to his last refused call, on the real services: what the operator says is so."""

from __future__ import annotations

import base64
import shlex
from typing import Any

import httpx2
import orjson
import pytest
from cluster.system.running_system import System
from kubernetes_kit.plane import REPOSITORY
from kubernetes_kit.wait import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]


def _commands_of_the_readme() -> list[list[str]]:
    """What it tells to type after `make cluster`, without the word kubectl."""
    block = (REPOSITORY / "README.md").read_text().partition("make cluster ")[2].partition("```")[0]
    return [shlex.split(line)[1:] for line in block.splitlines() if line.startswith("kubectl ")]


def _access(system: System) -> dict[str, str]:
    """What the access Secret tells the tenant."""
    data = system.get("secret", "pyairtable-access", "-n", "ws-acme")["data"]
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


def _bases(access: dict[str, str]) -> tuple[int, Any]:
    """What the REST door answers to the tenant: HTTP status, and the reason or the ids of his bases."""
    header = {"Authorization": f"Bearer {access['PYAIRTABLE_API_KEY']}"}
    answer = httpx2.get(f"{access['PYAIRTABLE_REST_URL']}/bases", headers=header, timeout=30, trust_env=False)
    body = answer.json()
    return answer.status_code, body.get("reason") or [base["id"] for base in body["bases"]]


GRANTED = (200, ["appAcmeRenovation"])


def test_a_tenant_of_the_real_platform(system: System) -> None:
    kubectl = system.kubectl
    told = [kubectl(*command) for command in _commands_of_the_readme()]
    assert len(told) == 4
    assert "condition met" in told[1]
    columns = kubectl("get", "pws", "acme", "--no-headers").split()
    assert columns[:5] == ["acme", "True", "Ready", "ws-acme", "1/1"]
    kubectl("-n", "ws-acme", "wait", "pbb/crm", "--for=condition=Ready", "--timeout=60s")
    first = _access(system)
    eventually(lambda: _bases(first) == GRANTED, what="the door to open")

    # Suspended: refused; taken back: open again, with the same key.
    kubectl("patch", "pws", "acme", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    eventually(lambda: _bases(first) == (403, "WORKSPACE_SUSPENDED"), what="the door to close")
    kubectl("patch", "pws", "acme", "--type=merge", "-p", '{"spec":{"suspend":false}}')
    eventually(lambda: _bases(first) == GRANTED, what="the door to open again")

    # Rotated: both keys work for the overlap.
    kubectl("annotate", "pws", "acme", "pyairtable.dev/rotate-access-key=today")
    eventually(lambda: _access(system)["PYAIRTABLE_API_KEY"] != first["PYAIRTABLE_API_KEY"], what="a new key")
    second = _access(system)
    eventually(lambda: _bases(second) == GRANTED, what="the new key to work")
    assert _bases(first) == GRANTED

    # A forged Secret opens nothing, and the operator replaces it.
    kubectl("-n", "ws-acme", "delete", "secret", "pyairtable-access")
    eventually(lambda: "pyairtable-access" in kubectl("-n", "ws-acme", "get", "secrets"), what="the Secret again")
    third = _access(system)
    eventually(lambda: _bases(third) == GRANTED, what="the third key to work")
    eventually(lambda: _bases(second)[0] == 401, what="the lost key to be refused")

    # Deleted: every key is refused, and the namespace stays without our labels.
    kubectl("delete", "pws", "acme", "--timeout=60s")
    eventually(lambda: _bases(third)[0] in (401, 404), what="the door to close for good")
    kept = orjson.loads(kubectl("get", "namespace", "ws-acme", "-o", "json"))["metadata"]["labels"]
    assert "pyairtable.dev/workspace" not in kept
