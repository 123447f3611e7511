"""Starts saga services, and the double of the services that they call, by forking: importing DBOS takes two seconds,
and a sweep starts thousands.

Reads one JSON object a line, `{"settings": {...}, "log": "path", "is_watched": false}` or `{"receivers": ["folder",
port], "log": "path"}`; answers `pid number`, the number of the file at which a watched service asks before each send
(kill/supervision.py). What it started dies with it.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

UNWATCHED = -1
PR_SET_PDEATHSIG, PR_SET_PTRACER, PTRACER_ANY = 1, 0x59616D61, ctypes.c_ulong(-1)


def become(order: dict[str, Any], answer: int) -> None:
    """Be what was ordered until told to stop."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_PTRACER, PTRACER_ANY)  # whoever watches is no ancestor of ours
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    number = watched() if order.get("is_watched") else UNWATCHED
    os.write(answer, f"{os.getpid()} {number}\n".encode())
    os.close(answer)
    if "receivers" in order:
        receive(*order["receivers"])
    else:
        serve(order["settings"])


def watched() -> int:
    """The number of the file at which this process asks; REFUSED, with the cause in the log."""
    from integration.sagas.kill.supervision import REFUSED, install

    try:
        return install()
    except OSError as error:
        os.write(2, f"{error}\n".encode())
        return REFUSED


def receive(folder: str, port: int) -> None:
    from integration.sagas.receivers import main

    main(Path(folder), port)


def serve(settings: dict[str, Any]) -> None:
    from pyairtable_platform.common.logs import configure_logging
    from pyairtable_platform.common.server import serve as serve_service
    from pyairtable_platform.sagas.main import Settings, build

    configure_logging("sagas", "INFO")
    asyncio.run(serve_service(build, Settings.model_validate(settings)))


def main() -> None:

    import pyairtable_platform.sagas.main  # noqa: F401 - what takes long

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    answers = os.dup(1)
    os.write(answers, b"ready\n")
    for line in sys.stdin:
        if os.fork() == 0:
            try:
                become(json.loads(line), answers)
            except BaseException as error:
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
                os._exit(1)
            os._exit(0)


if __name__ == "__main__":
    main()
