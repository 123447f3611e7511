"""What people read and run: the table of values, the notes after an installation, the scripts and commands in pods."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import ModuleType
from typing import ClassVar

import pytest
import typer.testing
from chart_kit.rendering import CHART, NAMESPACE, RELEASE, ROOT, VALUES, of_kind, rendered, run_helm

from pyairtable_devkit.cli import app as devkit
from pyairtable_platform.cli import app as platform


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chart_readme", ROOT / "scripts" / "chart_readme.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_values_is_current() -> None:
    assert (CHART / "README.md").read_text() == generator().readme(), "run `make docs`"


def notes(*arguments: str) -> str:
    """NOTES.txt as an installation would show it; --dry-run=client asks no cluster."""
    done = run_helm("install", RELEASE, CHART, "-n", NAMESPACE, "--dry-run=client", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]


def test_the_notes_of_the_demo_lead_to_a_ready_tenant() -> None:
    text = notes("-f", str(VALUES["demo"]))
    assert "kubectl apply -f examples/acme/workspace.yaml" in text
    assert (ROOT / "examples" / "acme" / "workspace.yaml").exists()
    assert "Airtable and Gemini are emulators" in text
    assert "forgets everything" in text
    assert "There is no Gemini key" not in text


def test_the_notes_of_production_say_how_a_secret_opts_in() -> None:
    text = notes("-f", str(VALUES["production"]))
    assert "kubectl -n pyairtable-credentials label secret acme-airtable pyairtable.dev/workspace=acme" in text
    assert "emulator" not in text
    assert "custom resource definitions stay" in text
    assert "removes all Workspaces first" in text


def test_the_notes_say_how_the_first_administrator_registers() -> None:
    demo = notes("-f", str(VALUES["demo"]))
    assert "port-forward service/pyairtable-demo-mailbox 8092" in demo
    assert "curl http://localhost:8000/api/auth/register" in demo
    assert '"email": "admin@platform.example"' in demo
    everything = notes("-f", str(VALUES["everything"]))
    assert "ada@example.com, bob@example.com" in everything
    assert "curl https://api.example.com/api/auth/register" in everything
    production = notes("-f", str(VALUES["production"]))
    assert "There is no mail server" in production
    assert "Nobody administers it yet" in production


def test_the_notes_say_what_is_missing_or_open() -> None:
    text = notes(
        "-f", str(VALUES["minimal"]), "--set", "networkPolicy.enabled=false,cleanup.enabled=false,crds.keep=false"
    )
    assert "There is no Gemini key" in text
    assert "every pod of the cluster can reach" in text
    assert "kubectl delete workspaces --all" in text
    assert "definitions stay" not in text


def test_pods_run_commands_that_there_are() -> None:
    known = {"pyairtable-devkit": devkit, "pyairtable-platform": platform}
    runner, tried = typer.testing.CliRunner(), set()
    for body in of_kind(rendered("demo"), "Deployment"):
        spec = body["spec"]["template"]["spec"]
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            program, *arguments = container["command"]
            if program not in known:
                continue
            shown = runner.invoke(known[program], [arguments[0], "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
            assert shown.exit_code == 0, container["command"]
            for option in (argument for argument in arguments if argument.startswith("--")):
                assert option in shown.output, container["command"]
            tried.add(f"{program} {arguments[0]}")
    assert tried == {
        *(f"pyairtable-devkit {part}" for part in ("postgres", "valkey", "airtable", "gemini", "mailbox")),
        *(f"pyairtable-platform {part}" for part in ("serve", "migrate")),
    }


class Door(BaseHTTPRequestHandler):
    """Answers as the door would, for who shows the key."""

    status: ClassVar[str] = "healthy"

    def do_GET(self) -> None:
        if self.headers.get("x-api-key") != "not-a-real-key":
            self.answer(401, {"detail": "show a key"})
        else:
            services = {"auth": {"status": self.status}, "workspaces": {"status": "healthy"}}
            self.answer(200 if self.status == "healthy" else 503, {"status": self.status, "services": services})

    def answer(self, status: int, body: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def door() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api/health"
        server.shutdown()


def health_check(url: str, key: str = "not-a-real-key") -> subprocess.CompletedProcess[str]:
    script = (CHART / "files" / "check_health.py").read_text()
    environment = {"API_KEY": key, "no_proxy": "127.0.0.1"}
    command = [sys.executable, "-c", script, url]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_the_test_pod_passes_only_when_every_service_is_healthy(door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good = health_check(door)
    assert good.returncode == 0, good.stderr
    assert good.stdout.splitlines() == ["auth: healthy", "workspaces: healthy"]
    monkeypatch.setattr(Door, "status", "unhealthy")
    bad = health_check(door)
    assert bad.returncode == 1
    assert "auth: unhealthy" in bad.stdout
    assert "refused: show a key" in health_check(door, "another").stdout
    assert health_check("http://127.0.0.1:1/api/health").returncode == 1


def test_the_test_pod_asks_the_door() -> None:
    pod = of_kind(rendered("demo"), "Pod")[0]
    command = pod["spec"]["containers"][0]["command"]
    assert command[3] == "http://pyairtable-api-gateway.pyairtable-system.svc.cluster.local:8000/api/health"
    assert command[2].strip() == (CHART / "files" / "check_health.py").read_text().strip()
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
