"""The last step of giving a pod its network: wait until the NetworkPolicies that select it hold.

A CNI plugin (cni.dev/docs/spec): run by containerd for each pod, after `ptp`, before the pod's first container starts.
It leaves word of the pod's address for the node's agent and waits for the answer, so that no packet of a pod leaves
before the rules for it are there. Standard library only; never imported.

    python -I -S admit.py FOLDER < CONFIGURATION
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

_PATIENCE_SECONDS = 20.0
_POLL_SECONDS = 0.01
_TRY_AGAIN_LATER = 11  # an error code of the specification
VERSIONS = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]


def main() -> None:
    """Answer one command."""
    folder, command = Path(sys.argv[1]), os.environ["CNI_COMMAND"]
    configuration = json.load(sys.stdin)
    if command == "VERSION":
        print(json.dumps({"cniVersion": VERSIONS[-1], "supportedVersions": VERSIONS}))
    elif command == "ADD":
        add(folder, configuration)
    elif command == "DEL":
        for address in addresses(configuration):
            for kind in ("asked", "granted"):
                (folder / kind / address).unlink(missing_ok=True)


def add(folder: Path, configuration: dict[str, Any]) -> None:
    """Ask, wait for the answer, and pass on what the plugins before have done."""
    words = dict(pair.split("=", 1) for pair in os.environ.get("CNI_ARGS", "").split(";") if "=" in pair)
    pod = f"{words.get('K8S_POD_NAMESPACE', '')}/{words.get('K8S_POD_NAME', '')}/{os.environ['CNI_CONTAINERID']}"
    for address in addresses(configuration):
        draft = folder / "asked" / f".{address}"
        draft.write_text(pod)
        draft.replace(folder / "asked" / address)
        wait(folder / "granted" / address, pod)
    print(json.dumps(configuration["prevResult"]))


def wait(granted: Path, pod: str) -> None:
    """Wait for the agent's answer; the kubelet tries again later when there is none."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not granted.exists() or granted.read_text() != pod:
        if time.monotonic() > deadline:
            text = f"The NetworkPolicies of {pod} are not in force after {_PATIENCE_SECONDS:.0f} s: see node-agent.log"
            print(json.dumps({"cniVersion": "1.0.0", "code": _TRY_AGAIN_LATER, "msg": text}))
            sys.exit(1)
        time.sleep(_POLL_SECONDS)


def addresses(configuration: dict[str, Any]) -> list[str]:
    """Return the addresses that the plugins before gave the pod; none when there is no word of that (any more)."""
    given = (configuration.get("prevResult") or {}).get("ips") or []
    return [one["address"].partition("/")[0] for one in given if ":" not in one["address"]]


main()
