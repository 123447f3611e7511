"""Starts saga services by forking: importing DBOS takes two seconds, and a sweep starts hundreds.

Reads one JSON object a line: {"settings": {...}, "log": "path"}; answers the pid of the service. What it started dies
with it.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG, PR_SET_PTRACER, PTRACER_ANY = 1, 0x59616D61, ctypes.c_ulong(-1)


def serve(order: dict[str, Any]) -> None:
    """Be a saga service until told to stop."""
    from pyairtable_platform.common.logs import configure_logging
    from pyairtable_platform.common.server import serve as serve_service
    from pyairtable_platform.sagas.main import Settings, build

    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_PTRACER, PTRACER_ANY)  # strace is no ancestor of ours
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    configure_logging("sagas", "INFO")
    asyncio.run(serve_service(build, Settings.model_validate(order["settings"])))


def main() -> None:
    import pyairtable_platform.sagas.main  # noqa: F401 - what takes long

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                serve(order)
            except BaseException as error:
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
