"""The processes beside the control plane work with the Secrets that the chart made, as pods would."""

from __future__ import annotations

import base64

import httpx2
import pytest
from cluster.system.running_system import System

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_processes_take_the_key_of_the_charts_secret_and_nobody_without_one(system: System) -> None:
    data = system.get("secret", "pyairtable-keys", "-n", "pyairtable-system")["data"]
    named = system.get("deployment", "pyairtable-auth", "-n", "pyairtable-system")["spec"]["template"]["spec"]
    entries = named["containers"][0]["env"]
    secrets = {one["name"]: one["valueFrom"].get("secretKeyRef", {}).get("name") for one in entries}
    assert secrets["API_KEY"] == secrets["JWT_SECRET"] == "pyairtable-keys"
    url = f"http://127.0.0.1:{8000 + system.port_offset}/api/workspaces"
    key = {"x-api-key": base64.b64decode(data["API_KEY"]).decode()}
    assert httpx2.get(url, headers=key, timeout=60, trust_env=False).status_code == 200
    assert httpx2.get(url, timeout=60, trust_env=False).status_code == 401
