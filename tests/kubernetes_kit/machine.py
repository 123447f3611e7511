"""What a node of ours could leave behind on this machine."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Machine:
    """What a node could leave behind."""

    mounts: frozenset[str]
    interfaces: frozenset[str]
    routes: frozenset[str]
    rules: str
    cgroups: frozenset[str]
    processes: frozenset[str]
    settings: tuple[str, ...]
    folders: frozenset[str]

    @classmethod
    def now(cls, data: Path) -> "Machine":
        """Look at this machine, and at a cluster's data folder. Mounts and processes of others come and go."""
        said = {
            name: subprocess.run(argv, capture_output=True, text=True, check=True).stdout
            for name, argv in {
                "links": ["ip", "-json", "link", "show"],
                "routes": ["ip", "route", "show", "table", "all"],
                "rules": ["nft", "list", "ruleset"],
            }.items()
        }
        names = ("containerd", "kubelet", "kube-proxy", "kube-scheduler", "coredns", "pause", "workload")
        marks = ("pyairtable", "containerd", "kubelet", "netns", "/cni", str(data))
        places: tuple[str, ...] = (
            "/run/containerd",
            "/run/netns",
            "/var/lib/kubelet",
            "/var/lib/cni",
            "/var/lib/containerd",
            "/etc/cni",
        )
        places += ("/var/log/pods", "/var/log/containers", "/opt/cni", str(data / "node"), str(data / "control-plane"))
        settings = ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding", "net/ipv4/conf/default/route_localnet")
        return cls(
            mounts=frozenset(
                line for line in Path("/proc/mounts").read_text().splitlines() if any(mark in line for mark in marks)
            ),
            interfaces=frozenset(link["ifname"] for link in json.loads(said["links"])),
            routes=frozenset(said["routes"].splitlines()),
            rules=said["rules"],
            cgroups=frozenset(map(str, Path("/sys/fs/cgroup").rglob("pyairtable-*"))),
            processes=frozenset(
                f"{process.info['pid']} {process.info['name']}"
                for process in psutil.process_iter(["pid", "name", "cmdline"])
                if process.info["name"].startswith(names) or str(data) in " ".join(process.info["cmdline"] or [])
            ),
            settings=tuple(Path("/proc/sys", name).read_text() for name in settings),
            folders=frozenset(place for place in places if Path(place).exists()),
        )

    def differences(self, now: "Machine") -> list[str]:
        """Return what is there now and was not before."""
        found = []
        for name, then in vars(self).items():
            if isinstance(then, frozenset):
                found += [f"{name}: {item}" for item in getattr(now, name) - then]
            elif getattr(now, name) != then:
                found.append(f"{name}: {getattr(now, name)}")
        return found
