"""What `pyairtable-devkit cluster` does: up, down, status, kubeconfig."""

import dataclasses
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from rich.console import Console

from pyairtable_devkit import topology
from pyairtable_devkit.cluster import kubeconfig
from pyairtable_devkit.cluster.build_show import BuildShow
from pyairtable_devkit.cluster.building import build_missing
from pyairtable_devkit.cluster.kubeconfig import CONTEXT, KubeconfigError
from pyairtable_devkit.cluster.node.cgroups import CgroupError
from pyairtable_devkit.cluster.node.network import Network, NetworkError, free_network
from pyairtable_devkit.cluster.node.node import describe_node, require_commands
from pyairtable_devkit.cluster.node.sandbox import PREPARED, remove_traces, switch_off
from pyairtable_devkit.cluster.programs import CLIENTS, NODE_PROGRAMS, PROGRAMS, Programs, ProgramsError
from pyairtable_devkit.cluster.record import Place, Record, of_this_process, read_record, write_record
from pyairtable_devkit.cluster.system import ClusterPlan, cluster_parts
from pyairtable_devkit.demo.run import run
from pyairtable_devkit.demo.show import Show
from pyairtable_devkit.parts import PartFailedError, program
from pyairtable_devkit.topology import PlanError

_ENGINES = ("docker", "podman")
_DETACH_SECONDS = 900.0  # the databases, the services and the control plane on a busy machine
_STOP_SECONDS = 120.0


class ClusterError(RuntimeError):
    """What was asked for cannot be done now; the message says why, and what to do."""


def choose_kind(provider: str, environment: Mapping[str, str]) -> str:
    """Return the kind command if it is to be used: it is there and a container engine answers; empty otherwise."""
    if provider == "built":
        return ""
    path = environment.get("PATH", "")
    kind = shutil.which("kind", path=path) or ""
    engines = [engine for name in _ENGINES if (engine := shutil.which(name, path=path))]
    works = bool(kind) and any(_engine_answers(engine, environment) for engine in engines)
    if provider == "kind" and not works:
        raise ClusterError("kind was asked for, but there is no kind command, or no docker or podman that answers")
    return kind if works else ""


def programs(environment: Mapping[str, str], *, node: bool) -> int:
    """Build what is missing of all programs, with node those of a node as well; return the exit code."""
    console = Console()
    try:
        with BuildShow(console) as show:
            found = build_missing(environment, show, [*PROGRAMS, *(NODE_PROGRAMS if node else ())])
    except ProgramsError as error:
        Show(console).failed(str(error))
        return 1
    for name, path in found.paths.items():
        Show(console).line(f"{name:<24} {path}")
    return 0


@dataclass(frozen=True)
class Wish:
    """What the options of `cluster up` say."""

    provider: str
    port_offset: int
    bare: bool = False
    node: bool = False

    @property
    def options(self) -> list[str]:
        """The options that say this."""
        flags = [option for option, given in (("--bare", self.bare), ("--node", self.node)) if given]
        return ["--provider", self.provider, "--port-offset", str(self.port_offset), *flags]


def up(data: Path, wish: Wish, environment: Mapping[str, str], *, detach: bool) -> int:
    """Start a cluster and stay until Ctrl-C, or leave it behind; return the exit code."""
    show = Show(Console())
    place = Place(data.resolve())
    try:
        refuse_second(place)
        kind = choose_kind(wish.provider, environment)
        ours = wish.node and not kind
        if ours:
            require_commands(environment, os.geteuid())
        with BuildShow(show.console) as building:
            needed = CLIENTS if kind else [*PROGRAMS, *(NODE_PROGRAMS if ours else ())]
            found = build_missing(environment, building, needed)
        if detach:
            return _detach(place, dataclasses.replace(wish, provider="kind" if kind else "built"), show)
        return _stay(_plan(place, found, kind, wish, environment), show)
    except (ClusterError, ProgramsError, PlanError, PartFailedError, NetworkError, CgroupError) as error:
        show.failed(str(error))
        return 1


def down(data: Path) -> int:
    """Stop the cluster of a data folder, whoever started it, and wait until nothing is left; return the exit code."""
    show, place = Show(Console()), Place(data.resolve())
    record = read_record(place)
    if record is None or not record.is_running():
        left = tidy(place, record)
        show.line("No cluster is running." + (" What a killed one left behind is removed." if left else ""))
        return 0
    process = psutil.Process(record.pid)
    process.send_signal(signal.SIGINT)
    with show.busy("Stopping ..."):
        gone, _ = psutil.wait_procs([process], timeout=_STOP_SECONDS)
    if not gone:
        show.failed(f"Process {record.pid} has not ended within {_STOP_SECONDS:.0f} s; see {place.logs}")
        return 1
    tidy(place, record)
    show.line("Stopped: no process is left behind.")
    return 0


def restart_node(data: Path) -> int:
    """Cut the power of a running cluster's node, and return when it has been switched on again; exit code 3: none."""
    show, place = Show(Console()), Place(data.resolve())
    record = read_record(place)
    runs = record is not None and record.is_running() and record.node is not None
    if record is None or not runs or not switch_off(psutil.Process(record.pid), place.node):
        show.failed("No node of our own is running: `pyairtable-devkit cluster up --node` starts one")
        return 3
    deadline = time.monotonic() + _STOP_SECONDS
    while not (place.node / PREPARED).exists():
        if time.monotonic() > deadline or not record.is_running():
            show.failed(f"The node has not been started again; see {place.logs / 'node.log'}")
            return 1
        time.sleep(0.1)
    show.line("The node has been switched off and on; its pods are starting again.")
    return 0


def status(data: Path, environment: Mapping[str, str]) -> int:
    """Print what runs; return 0 if a cluster is ready, 1 if it is starting, 3 if there is none."""
    show, place = Show(Console()), Place(data.resolve())
    record = read_record(place)
    if record is None or not record.is_running():
        show.line("No cluster is running. `make cluster` starts one.")
        return 3
    state = "ready" if record.ready else "starting"
    show.line(f"{state}: {record.provider}, process {record.pid}{', control plane only' if record.bare else ''}")
    if place.kubeconfig.exists():
        cluster = kubeconfig.cluster_of(kubeconfig.read_kubeconfig(place.kubeconfig))
        show.line(f"API server   {cluster.server}")
        show.line(f"kubeconfig   {place.kubeconfig} (context {CONTEXT})")
        if record.node is not None:
            show.line(f"node         {describe_node(place, Network(record.node), environment)}")
    show.line(f"logs         {place.logs}")
    return 0 if record.ready else 1


def tell_kubeconfig(data: Path, into: Path | None) -> int:
    """Print where the kubeconfig is, or merge it into a file of the user's; return the exit code."""
    place = Place(data.resolve())
    show, record = Show(Console()), read_record(place)
    if record is None or not record.is_running() or not place.kubeconfig.exists():
        show.failed("No cluster is running, or it is not ready yet: see `pyairtable-devkit cluster status`")
        return 3
    if into is None:
        print(place.kubeconfig)
        return 0
    try:
        ours = kubeconfig.read_kubeconfig(place.kubeconfig)
        kubeconfig.change(into, lambda theirs: kubeconfig.merged(theirs, ours, into))
    except KubeconfigError as error:
        show.failed(str(error))
        return 1
    write_record(place, dataclasses.replace(record, merged=sorted({*record.merged, str(into.resolve())})))
    show.line(f"{into} has the context {CONTEXT} now, until the cluster is stopped.")
    return 0


def refuse_second(place: Place) -> None:
    """Raise ClusterError if a cluster runs in the folder; remove what a killed one has left there."""
    record = read_record(place)
    if record is not None and record.is_running():
        raise ClusterError(
            f"A cluster is running already (process {record.pid}): `pyairtable-devkit cluster down` stops it"
        )
    tidy(place, record)


def tidy(place: Place, record: Record | None) -> bool:
    """Remove all but the logs, and our context from kubeconfigs; return whether there was anything."""
    for path in map(Path, record.merged if record else []):
        kubeconfig.change(path, partial(kubeconfig.without_ours, path=path, refuse=False))
    node = remove_traces(place.node)
    there = [folder for folder in place.data if folder.exists()]
    for folder in there:
        shutil.rmtree(folder, ignore_errors=True)
    files = [path for path in (place.record, place.kubeconfig, place.folder / "kind-config.yaml") if path.exists()]
    for path in files:
        path.unlink(missing_ok=True)
    return bool(node or there or files)


def _plan(place: Place, found: Programs, kind: str, wish: Wish, environment: Mapping[str, str]) -> ClusterPlan:
    if environment.get("ENVIRONMENT", "development") != "development":
        raise PlanError("This is for development: it does not run with ENVIRONMENT=" + environment["ENVIRONMENT"])
    upstreams = topology.choose_upstreams(environment, wish.port_offset)
    secrets = topology.own_secrets(place.folder, environment)
    plan = topology.Plan(place.folder, place.folder, upstreams, environment, wish.port_offset, secrets=secrets)
    network = free_network() if wish.node and not kind else None
    return ClusterPlan(
        place, found, plan, bare=wish.bare, node=wish.node, network=network, kind=kind, environment=environment
    )


def _stay(wanted: ClusterPlan, show: Show) -> int:
    """Run the cluster in this process until it is told to stop."""
    place = wanted.place
    provider = "kind" if wanted.kind else "built control plane"
    number = wanted.network.number if wanted.network else None
    record = of_this_process(provider, bare=wanted.bare, port_offset=wanted.plan.port_offset, node=number)
    write_record(place, record)
    show.line(f"Kubernetes: {provider}. It ends with this command, and its data with it.")

    def ready() -> bool:
        # Read anew: the context may have been merged into somebody's kubeconfig meanwhile.
        write_record(place, dataclasses.replace(read_record(place) or record, ready=True))
        return True

    try:
        return run(cluster_parts(wanted), show, steps=ready, stay=partial(_say_how, wanted, show))
    finally:
        tidy(place, read_record(place))


def _say_how(wanted: ClusterPlan, show: Show) -> None:
    """Print what to try next."""
    show.heading("Try it")
    show.line(f"  export KUBECONFIG={wanted.place.kubeconfig}")
    if shutil.which("kubectl", path=wanted.environment.get("PATH", "")) is None:
        show.line(f"  export PATH={wanted.programs['kubectl'].parent}:$PATH")
    if wanted.node:
        show.line("  kubectl get nodes,pods -A")
        show.line("  helm install pyairtable charts/pyairtable -n pyairtable-system --create-namespace --wait \\")
        show.line(
            "    -f charts/pyairtable/values-demo.yaml   # its images: `make images` before the cluster is started"
        )
    elif wanted.bare:
        show.line("  kubectl get namespaces")
    else:
        show.line("  kubectl apply -f examples/acme/")
        show.line("  kubectl wait pws/acme --for=condition=Ready --timeout=60s")
        show.line("  kubectl get pws")
        show.line("  kubectl describe pws acme")
        show.line(f"  people register at {wanted.plan.http('api-gateway')}; their letters: {wanted.mailbox}")
    show.line(f"  logs: {wanted.place.logs}/*.log")
    show.line()
    show.line("The cluster stays up. Ctrl-C, or `pyairtable-devkit cluster down` elsewhere, stops it.")


def _detach(place: Place, wish: Wish, show: Show) -> int:
    """Start the same command in a session of its own and wait until the cluster is ready."""
    log_path = place.logs / "up.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    argv = [program("pyairtable-devkit"), "cluster", "up", "--data", str(place.folder), *wish.options]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        with show.busy(f"Starting (process {process.pid}) ..."):
            _wait_until_ready(place, process, log_path)
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait(_STOP_SECONDS)
        raise
    show.line(f"Ready; process {process.pid} runs it until `pyairtable-devkit cluster down`.")
    show.line(f"  export KUBECONFIG={place.kubeconfig}")
    return 0


def _wait_until_ready(place: Place, process: subprocess.Popen[bytes], log_path: Path) -> None:
    """Wait for the word of a cluster that another process starts; raises ClusterError if it gives up."""
    deadline = time.monotonic() + _DETACH_SECONDS
    while (record := read_record(place)) is None or record.pid != process.pid or not record.ready:
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-20:])
            raise ClusterError(f"The cluster did not start; {log_path} ends:\n{tail}")
        time.sleep(0.1)


def _engine_answers(engine: str, environment: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run([engine, "info"], env=dict(environment), capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
