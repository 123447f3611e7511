"""The operator as a real process against a real API server, for tests and measurements.

with OperatorProcess(kubeconfig, platform.env) as operator:
    operator.wait_ready()
    ... operator.kill(), operator.stop(), operator.pause(), operator.resume(), operator.logs() ...
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from kubernetes_kit.wait import eventually

from pyairtable_devkit.ports import free_port

COMMAND = (sys.executable, "-c", "from pyairtable_operator.main import main; main()")
OPERATOR_NAMESPACE = "pyairtable-system"
CREDENTIALS_NAMESPACE = "pyairtable-credentials"


class OperatorProcess:
    """One operator. `server_url` puts a proxy (plain HTTP, or TLS) in the place of the API server."""

    def __init__(
        self,
        kubeconfig: Path,
        platform: Mapping[str, str],
        *,
        name: str = "operator-a",
        server_url: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Does not start yet. `env` overrides any setting."""
        self.folder = tempfile.TemporaryDirectory(prefix="operator-")
        self.port = free_port()
        self.log = Path(self.folder.name) / "log"
        config = _with_server(kubeconfig, server_url, Path(self.folder.name)) if server_url else kubeconfig
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "KUBECONFIG": str(config),
            "POD_NAME": name,
            "OPERATOR_NAMESPACE": OPERATOR_NAMESPACE,
            "CREDENTIALS_NAMESPACE": CREDENTIALS_NAMESPACE,
            "HTTP_PORT": str(self.port),
            "LEASE_SECONDS": "5",
            **platform,
            **(env or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.resume()
        self.stop()
        self.folder.cleanup()

    def start(self) -> Self:
        """Starts it (again)."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(COMMAND, env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self.process is not None, "the operator was not started"
        return self.process.pid

    def wait_ready(self, seconds: float = 60) -> Self:
        """Waits until everything was listed once."""
        eventually(self.ready, what="the operator to be ready", seconds=seconds)
        return self

    def wait_leading(self, seconds: float = 60) -> Self:
        """Waits until it holds the Lease."""
        eventually(lambda: self.metric("pyairtable_operator_leader") == 1, what="the operator to lead", seconds=seconds)
        return self

    def ready(self) -> bool:
        """What /readyz says; an operator that ended is an error with the end of its log."""
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the operator ended with {self.process.returncode}:\n{self.logs()[-3000:]}")
        return self.http("/readyz")[0] == 200

    def http(self, path: str) -> tuple[int, str]:
        """Status and text of a probe; 0 when nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples whose labels fit."""
        total = 0.0
        for line in self.http("/metrics")[1].splitlines():
            match = re.match(rf"{name}(?:_total)?(\{{.*\}})? ([-+0-9.e]+)$", line)
            if match and all(f'{key}="{value}"' in (match[1] or "") for key, value in labels.items()):
                total += float(match[2])
        return total

    def kill(self) -> int:
        """SIGKILL; the exit status."""
        return self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM, as the kubelet does; the exit status."""
        return self._end(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP: it does nothing until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.pid, signal.SIGCONT)

    def logs(self) -> str:
        """Everything it logged."""
        return self.log.read_text() if self.log.exists() else ""

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(timeout=10)


def _with_server(kubeconfig: Path, server_url: str, folder: Path) -> Path:
    document: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
    for entry in document["clusters"]:
        entry["cluster"]["server"] = server_url
        if server_url.startswith("http:"):
            entry["cluster"].pop("certificate-authority-data", None)
            entry["cluster"].pop("certificate-authority", None)
    path = folder / "kubeconfig.yaml"
    path.write_text(yaml.safe_dump(document))
    return path
