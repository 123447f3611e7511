"""Logging as JSON lines on standard error, with python-json-logger."""

from __future__ import annotations

import logging

from pythonjsonlogger.json import JsonFormatter


def configure(level: str) -> None:
    """One JSON object a line for every logger; libraries speak from WARNING on.

    kopf tells of every event that passes; its own errors and warnings are all that counts here.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for library in ("kopf", "aiohttp", "asyncio", "grpc", "kubernetes"):
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))
