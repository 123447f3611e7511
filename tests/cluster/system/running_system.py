"""A running `cluster up`, as its people use it: kubectl, the door, the mailbox."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from kubernetes_kit.plane import REPOSITORY, require_programs

from pyairtable_devkit import topology
from pyairtable_devkit.demo.people import Door, Mailbox


@dataclass(frozen=True)
class System:
    """Where everything is."""

    kubeconfig: Path
    port_offset: int

    @property
    def environment(self) -> Mapping[str, str]:
        caches = self.kubeconfig.parents[1] / "kubectl"
        return {"PATH": os.environ["PATH"], "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(caches)}

    def kubectl(self, *arguments: str) -> str:
        """What kubectl prints for the platform engineer; it must succeed."""
        argv = [str(require_programs()["kubectl"]), *arguments]
        done = subprocess.run(
            argv, cwd=REPOSITORY, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def apply(self, document: Mapping[str, Any]) -> None:
        """As `kubectl apply -f -`."""
        argv = [str(require_programs()["kubectl"]), "apply", "-f", "-"]
        subprocess.run(argv, env=self.environment, input=orjson.dumps(document), check=True, timeout=120)

    def get(self, *arguments: str) -> dict[str, Any]:
        """An object; empty when it is not there."""
        found: dict[str, Any] = orjson.loads(
            self.kubectl("get", *arguments, "--ignore-not-found", "-o", "json") or b"{}"
        )
        return found

    def door(self, credential: str = "") -> Door:
        """The door for whoever shows a credential."""
        return Door(f"http://127.0.0.1:{8000 + self.port_offset}", credential)

    def mailbox(self) -> Mailbox:
        """People's letters."""
        return Mailbox(f"http://127.0.0.1:{topology.MAILBOX_PORT + self.port_offset}")
