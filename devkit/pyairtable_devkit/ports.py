"""Ports on the loopback address: find a free one, and say who holds one that is taken."""

import random
import socket

import psutil

LOOPBACK = "127.0.0.1"
# Below the range from which systems take ports for outgoing connections (Linux: 32768 and up), so that nobody
# is handed the port of a server that is down for a moment between kill and restart.
_FIRST, _LAST = 20_000, 29_999


class PortTakenError(RuntimeError):
    """A port that a server of ours needs is held by another process."""


def free_port() -> int:
    """Return a TCP port that nobody listens on now; a restart can rely on getting it again."""
    for _ in range(200):
        port = random.randint(_FIRST, _LAST)
        if is_free(port):
            return port
    raise PortTakenError(f"No free TCP port between {_FIRST} and {_LAST} on {LOOPBACK}")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port (connections that are closing do not count)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def require_free(port: int, purpose: str) -> None:
    """Raise PortTakenError, naming port, purpose and the process in the way, unless the port is free."""
    if not is_free(port):
        remedy = "stop it first, or move all ports with --port-offset"
        raise PortTakenError(f"Port {port}, which {purpose} needs, is taken by {holder(port)}: {remedy}")


def holder(port: int) -> str:
    """Return the process that listens on the port, as "name (pid 123)", as far as this user may see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows them to root only
        connections = []
    listening = [one for one in connections if one.status == psutil.CONN_LISTEN]
    pids = {one.pid for one in listening if one.pid and getattr(one.laddr, "port", 0) == port}
    for pid in sorted(pids):
        try:
            return f"{psutil.Process(pid).name()} (pid {pid})"
        except psutil.Error:
            continue
    return "a process of another user"
