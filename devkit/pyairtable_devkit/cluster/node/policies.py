"""Enforces NetworkPolicies in a node: replaces the rules of its packet filter when objects of the API change.

What the rules are is in policy_rules.py; why a pod waits for them in admit.py.
"""

import subprocess
import time
from collections.abc import Mapping

from pyairtable_devkit.cluster.node.configuration import NodeLayout
from pyairtable_devkit.cluster.node.mirror import Mirror
from pyairtable_devkit.cluster.node.network import Network
from pyairtable_devkit.cluster.node.policy_rules import Pod, World, pod_from, render

_AGAIN_SECONDS = 1.0
_PODS, _NAMESPACES = "/api/v1/pods", "/api/v1/namespaces"
_POLICIES = "/apis/networking.k8s.io/v1/networkpolicies"
PATHS = (_PODS, _NAMESPACES, _POLICIES)
_ENDED = ("Succeeded", "Failed")


class Enforcer:
    """Keeps the packet filter as the objects of the API say."""

    def __init__(self, mirror: Mirror, network: Network, layout: NodeLayout) -> None:
        self._mirror, self._network, self._layout = mirror, network, layout
        self._asked: Mapping[str, str] = {}
        self._applied = ""
        for kind in ("asked", "granted"):
            (layout.policies / kind).mkdir(parents=True, exist_ok=True)

    def act(self, *, changed: bool) -> None:
        """Do what is to be done: something has changed in the API, or a pod asks."""
        asked = self._read_asked()
        if changed or asked != self._asked:
            self._asked = asked
            self._enforce()

    def _enforce(self) -> None:
        """Apply the rules for what is known now, and tell the pods that wait for them."""
        pods = self._mirror.of(_PODS)
        known = {
            address: word for address, word in self._asked.items() if (word.split("/")[0], word.split("/")[1]) in pods
        }
        rules = render(self._world(known))
        if rules != self._applied:
            try:
                subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True, capture_output=True)
            except subprocess.CalledProcessError as error:
                print(f"The rules were refused, those before stay: {error.stderr.strip()}\n{rules}", flush=True)
                self._mirror.changed.set()
                time.sleep(_AGAIN_SECONDS)
                return
            self._applied = rules
        for address, word in known.items():
            granted = self._layout.policies / "granted" / address
            if not granted.exists() or granted.read_text() != word:
                draft = granted.with_name(f".{address}")
                draft.write_text(word)
                draft.replace(granted)

    def _world(self, known: Mapping[str, str]) -> World:
        objects = self._mirror.of(_PODS)
        pods: dict[str, Pod] = {}
        for item in objects.values():
            address = item["status"].get("podIP", "")
            if address and not item["spec"].get("hostNetwork") and item["status"].get("phase") not in _ENDED:
                pods[address] = pod_from(item, address)
        for address, word in known.items():  # what the pod itself was given is truer than what the API knows by now
            namespace, name, _ = word.split("/")
            pods[address] = pod_from(objects[namespace, name], address)
        namespaces = {
            name: item["metadata"].get("labels") or {} for (_, name), item in self._mirror.of(_NAMESPACES).items()
        }
        return World(self._network, list(pods.values()), list(self._mirror.of(_POLICIES).values()), namespaces)

    def _read_asked(self) -> Mapping[str, str]:
        folder = self._layout.policies / "asked"
        found = {}
        for path in folder.iterdir():
            if not path.name.startswith("."):
                try:
                    found[path.name] = path.read_text()
                except FileNotFoundError:  # the pod has just ended
                    continue
        return found
