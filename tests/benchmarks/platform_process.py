"""The stand-in of the platform as a process of its own, whose CPU and memory are not the operator's."""

from __future__ import annotations

import signal

from kubernetes_kit.platform_double import PlatformDouble

if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with PlatformDouble() as platform:
        print(platform.env["WORKSPACES_TARGET"], flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
