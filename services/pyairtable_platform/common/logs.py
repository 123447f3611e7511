"""JSON lines on stdout, each with the request id and the workspace of the call it belongs to.

Messages are constant strings with fields (`extra=`); contents of records and credentials are never logged.
"""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

from . import context


def configure_logging(service: str, level: str) -> None:
    """Send every logger of this process to stdout as JSON. Called once, by the command line."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "{asctime}{levelname}{name}{message}",
            style="{",
            datefmt="%Y-%m-%dT%H:%M:%S%z",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            static_fields={"service": service},
        )
    )
    handler.addFilter(add_call)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("httpx2", "httpcore2", "google_genai", "mcp", "asyncio", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def add_call(record: logging.LogRecord) -> bool:
    """A logging filter that adds the current call's fields."""
    call = context.current()
    if call.request_id:
        record.request_id = call.request_id
    if call.workspace:
        record.workspace = call.workspace
    return True
