"""What the Kubernetes API can answer, as errors that say what to do about them."""

from __future__ import annotations

import re
from typing import Any

import orjson


class KubeError(Exception):
    """The API server refused a request; `reason` is its own word for why."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "", retry_after: float = 0.0) -> None:
        """`retry_after` is what the server asked for, in seconds."""
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class TemporaryKubeError(KubeError):
    """No answer, 429 or a fault of the server's: the same request may succeed later."""

    @property
    def answered(self) -> bool:
        """A fault that the server told of (5xx, as of a webhook that is away): it may be of this one object only."""
        return self.status >= 500


class NotFoundError(KubeError):
    """The object, its namespace or its kind is not there."""


class AlreadyExistsError(KubeError):
    """There is an object of that name."""


class ConflictError(KubeError):
    """Somebody else holds a field, or the object is not the one that was meant any more.

    `managers` maps the field managers that hold a field by server-side apply to those fields; `edited` tells that all
    holders are people or programs that merely edited the object (operation Update), whose edits are taken back.
    """

    managers: dict[str, list[str]]
    edited: bool


class ForbiddenError(KubeError):
    """Not allowed by RBAC, an admission policy, a quota, or because the namespace is being deleted."""


class InvalidError(KubeError):
    """The object does not pass the server's validation."""


_HOLDER = re.compile(r'conflict with "(?P<manager>[^"]*)"(?P<rest>.*)')


def error_of(status: int, answer: bytes, retry_after: str, what: str) -> KubeError:
    """The error that an answer means (Kubernetes API conventions: Status)."""
    details = _status(answer)
    reason = str(details.get("reason") or "")
    message = f"{what}: {status} {reason}: {details.get('message') or 'no message'}"
    seconds = float(retry_after) if retry_after.isdigit() else 0.0
    kind = _kind(status, reason)
    error = kind(message, status=status, reason=reason, retry_after=seconds)
    if isinstance(error, ConflictError):
        causes = (details.get("details") or {}).get("causes") or []
        error.managers, error.edited = _holders(causes)
    return error


def _kind(status: int, reason: str) -> type[KubeError]:
    if status == 409:
        return AlreadyExistsError if reason == "AlreadyExists" else ConflictError
    if status in (429, 408) or status >= 500:
        return TemporaryKubeError
    return {403: ForbiddenError, 404: NotFoundError, 422: InvalidError, 400: InvalidError}.get(status, KubeError)


def _holders(causes: list[dict[str, Any]]) -> tuple[dict[str, list[str]], bool]:
    """Who holds fields by apply, and whether only editors hold any.

    The server words an Update holder `"name" using v1 at ...` and an Apply holder `"name"` only (apimachinery,
    managedfields: printManager).
    """
    appliers: dict[str, list[str]] = {}
    conflicts = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    for cause in conflicts:
        match = _HOLDER.match(cause.get("message") or "")
        if match is None or " using " not in match["rest"]:
            name = match["manager"] if match else "another manager"
            appliers.setdefault(name, []).append(str(cause.get("field") or ""))
    return appliers, bool(conflicts) and not appliers


def _status(answer: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
