"""The node's agent: enforces NetworkPolicies and makes volumes, as the objects of the API say.

    python -m pyairtable_devkit.cluster.node.agent FOLDER NETWORK_NUMBER SERVER

It runs in the node, beside the kubelet.
"""

import ssl
import sys
import time
from pathlib import Path

import httpx2

from pyairtable_devkit.cluster.node import policies, volumes
from pyairtable_devkit.cluster.node.configuration import NodeLayout
from pyairtable_devkit.cluster.node.mirror import Mirror
from pyairtable_devkit.cluster.node.network import Network
from pyairtable_devkit.cluster.node.policies import Enforcer
from pyairtable_devkit.cluster.node.volumes import Provisioner

_POLL_SECONDS = 0.02  # a pod that starts waits for us


def main() -> None:
    """Act until we are ended."""
    layout, network, server = NodeLayout(Path(sys.argv[1])), Network(int(sys.argv[2])), sys.argv[3]
    trust = ssl.create_default_context(cafile=str(layout.authority))
    trust.load_cert_chain(layout.agent_certificate, layout.agent_key)
    with httpx2.Client(base_url=server, verify=trust, trust_env=False, timeout=30) as api:
        mirror = Mirror(api, (*policies.PATHS, *volumes.PATHS))
        mirror.start()
        _act(mirror, Enforcer(mirror, network, layout), Provisioner(mirror, api, layout))


def _act(mirror: Mirror, enforcer: Enforcer, provisioner: Provisioner) -> None:
    while True:
        time.sleep(_POLL_SECONDS)
        if not mirror.is_complete():
            continue
        changed = mirror.changed.is_set()
        mirror.changed.clear()
        enforcer.act(changed=changed)
        if changed:
            try:
                provisioner.act()
            except (httpx2.TransportError, httpx2.HTTPStatusError) as error:
                print(f"Volumes are tried again: {error}", flush=True)
                mirror.changed.set()
                time.sleep(1.0)


if __name__ == "__main__":
    main()
