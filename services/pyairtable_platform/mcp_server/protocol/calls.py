"""Who calls over MCP and what becomes of errors: shared by tools, resources, prompts and completion."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS

from pyairtable_platform.common import context
from pyairtable_platform.common.errors import Internal, InvalidInput, NotFound, PyAirtableError
from pyairtable_platform.mcp_server.service import Caller

log = logging.getLogger(__name__)

RequestContext = ServerRequestContext[Any, Any]

WORKSPACE_META = "pyairtable.dev/workspace"
IDEMPOTENCY_META = "pyairtable.dev/idempotency-key"


def caller_of(request: RequestContext) -> Caller:
    """The workspace and idempotency key that the request names; `_meta` is nearer to the call than a header.

    Neither is identity: a workspace selects among those that the caller may use, of which a tenant has one.
    """
    workspace = _meta(request, WORKSPACE_META) or context.workspace()
    return Caller(context.meant_workspace(workspace), _meta(request, IDEMPOTENCY_META))


def _meta(request: RequestContext, key: str) -> str:
    values: dict[str, Any] = dict(request.meta or {})
    value = values.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput.at(f"_meta.{key}", "must be a string")
    return value


@contextmanager
def serving(timeout: float, workspace: str = "") -> Iterator[None]:
    """Request id, deadline and workspace of this call: those of the HTTP request, or new ones over stdio."""
    current = context.current()
    if not current.request_id:
        current = replace(current, request_id=context.accepted_request_id(None))
    if current.deadline is None:
        current = replace(current, deadline=time.monotonic() + timeout)
    with context.entered(replace(current, workspace=workspace or current.workspace)):
        yield


def typed(error: Exception) -> PyAirtableError:
    """The error that a client may see; what we did not foresee is logged once and stays here."""
    if isinstance(error, PyAirtableError):
        return error
    log.error("unexpected error", exc_info=error)
    return Internal(f"something went wrong here; request {context.request_id()} finds it in the logs")


def error_object(error: PyAirtableError) -> dict[str, Any]:
    """An error as clients get it: reason, message, and where there are such, fields, wait and names."""
    body: dict[str, Any] = {"reason": str(error.reason), "message": error.message}
    if error.violations:
        body["violations"] = [{"field": item.field, "description": item.description} for item in error.violations]
    if error.retry_after is not None:
        body["retry_after_seconds"] = round(error.retry_after, 3)
    if error.metadata:
        body["metadata"] = dict(error.metadata)
    return body


@contextmanager
def protocol_errors(**names: str) -> Iterator[None]:
    """Errors of resources, prompts and completion as JSON-RPC errors: those methods have no error results."""
    try:
        yield
    except MCPError:
        raise
    except Exception as caught:
        error = typed(caught)
        # SEP-2164: a resource that is not there is a wrong parameter.
        code = INVALID_PARAMS if isinstance(error, NotFound | InvalidInput) else INTERNAL_ERROR
        raise MCPError(code, error.message, {**names, **error_object(error)}) from error
