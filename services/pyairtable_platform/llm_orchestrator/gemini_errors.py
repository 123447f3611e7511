"""What Gemini's errors mean. Source: Google AI docs (troubleshooting) and google.rpc.Status.

The provider's words are passed on only where they say what to change, and never for keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.genai import errors

from pyairtable_platform.common.errors import FailedPrecondition, PyAirtableError, Reason, Unavailable

_KEY_REASONS = {"API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED", "ACCESS_TOKEN_EXPIRED"}
_RETRYABLE = {408, 429}

UNREADABLE = (ValueError, TypeError)
"""What the SDK raises for a chunk that is no JSON (UnknownApiResponseError) or JSON of another shape."""


def from_api_error(error: errors.APIError, model: str, credential: str) -> PyAirtableError:
    """The error of a call that the provider answered with a status; `credential` says in words where the key lies."""
    if error.code in (401, 403) or (error.code == 400 and _key_is_wrong(error)):
        return FailedPrecondition(
            f"the model provider refused the key: check {credential}",
            reason=Reason.MODEL_KEY_REJECTED,
            credential=credential,
        )
    if error.code in _RETRYABLE or error.code >= 500:
        what = "limits us" if error.code == 429 else f"answers with {error.code}"
        return Unavailable(
            f"the model provider {what}: try again later",
            reason=Reason.MODEL_UNAVAILABLE,
            retry_after=_retry_after(error),
        )
    if error.code == 404:
        # Not Unavailable: no repeat makes a model appear.
        return FailedPrecondition(
            f"the model provider has no model {model}: set GEMINI_MODEL, or spec.llm.model of the workspace",
            reason=Reason.MODEL_UNAVAILABLE,
        )
    return refused(error.status or str(error.code), (error.message or "")[:300])


def refused(finish_reason: str, message: str = "") -> FailedPrecondition:
    """The model or its provider will not answer this."""
    said = f": {message}" if message else ": put it in other words"
    return FailedPrecondition(
        f"the model refused the request ({finish_reason}){said}",
        reason=Reason.MODEL_REFUSED,
        finish_reason=finish_reason,
    )


def _key_is_wrong(error: errors.APIError) -> bool:
    return any(detail.get("reason") in _KEY_REASONS for detail in _details(error))


def _retry_after(error: errors.APIError) -> float | None:
    """Seconds from google.rpc.RetryInfo ("3.5s")."""
    for detail in _details(error):
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and delay.endswith("s"):
            try:
                return float(delay[:-1])
            except ValueError:
                return None
    return None


def _details(error: errors.APIError) -> Iterator[dict[str, Any]]:
    body = error.details if isinstance(error.details, dict) else {}
    inner = body.get("error", body)
    details = inner.get("details") if isinstance(inner, dict) else None
    return (detail for detail in details or () if isinstance(detail, dict))
