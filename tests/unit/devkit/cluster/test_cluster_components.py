"""What the processes of a control plane are told."""

from pathlib import Path

import pytest

from pyairtable_devkit.cluster import components
from pyairtable_devkit.cluster.components import Layout, Ports

LAYOUT = Layout(Path("/data"), Path("/logs"))
PORTS = Ports(api_server=1, etcd=2, etcd_peer=3)
COMMANDS = {
    "etcd": components.etcd(LAYOUT, PORTS),
    "api-server": components.api_server(LAYOUT, PORTS, audit=True),
    "controller-manager": components.controller_manager(LAYOUT),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_everything_listens_and_calls_on_loopback_only(name: str) -> None:
    for option in COMMANDS[name]:
        if "://" in option and "kubernetes.default" not in option:
            assert "https://127.0.0.1:" in option
    assert name != "api-server" or "--bind-address=127.0.0.1" in COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_file_lies_in_the_two_folders(name: str) -> None:
    paths = [value for option in COMMANDS[name] if (value := option.partition("=")[2]).startswith("/")]
    assert paths
    assert all(path.startswith(("/data/", "/logs/")) for path in paths)


def test_the_api_server_decides_by_rbac_and_lets_nobody_in_unknown() -> None:
    options = COMMANDS["api-server"]
    assert "--authorization-mode=Node,RBAC" in options
    assert "--client-ca-file=/data/pki/ca.crt" in options
    assert not any(option.startswith(("--disable-admission-plugins", "--anonymous-auth=true")) for option in options)
    anonymous = components.authentication_configuration()["anonymous"]
    assert [condition["path"] for condition in anonymous["conditions"]] == ["/livez", "/readyz", "/healthz"]


def test_requests_are_noted_only_if_asked_for() -> None:
    assert "--audit-log-path=/logs/audit.log" in COMMANDS["api-server"]
    assert not any("audit" in option for option in components.api_server(LAYOUT, PORTS, audit=False))
    assert components.audit_policy()["rules"][-1] == {"level": "Metadata"}


def test_clients_keep_nothing_in_a_home_folder_and_call_past_a_proxy() -> None:
    inherited = {"PATH": "/bin", "NO_PROXY": "example.org", "HOME": "/home/ada", "KUBECONFIG": "/home/ada/config"}
    told = components.client_environment(inherited, config=Path("/c"), caches=Path("/k"), search_path="/one:/two")
    assert told["PATH"] == "/one:/two:/bin"
    assert told["KUBECONFIG"] == "/c"
    assert told["no_proxy"] == told["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    kept = [value for name, value in told.items() if name.startswith(("HELM_", "KUBECACHE"))]
    assert len(kept) == 4
    assert all(value.startswith("/k/") for value in kept)
