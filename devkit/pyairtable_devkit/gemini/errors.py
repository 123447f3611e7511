"""Errors as the Gemini API answers them: google.rpc.Status in JSON under the key `error`.

The texts are the real ones (Google's answers as quoted in public issue trackers), since clients match on
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

STATUS_OF_CODE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

DEFAULT_MESSAGE = {
    429: (
        "You exceeded your current quota, please check your plan and billing details. For more information "
        "on "
        "this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
    ),
    500: "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
    503: (
        "This model is currently experiencing high demand. Spikes in demand are usually temporary. "
        "Please try again later."
    ),
    504: "Deadline expired before operation could complete.",
}


@dataclass
class ApiError(Exception):
    """An answer other than 200: HTTP code, message, and google.rpc details."""

    code: int
    message: str
    details: list[dict[str, Any]] = field(default_factory=list)
    status: str = ""

    def body(self) -> dict[str, Any]:
        """The JSON body: {"error": {"code", "message", "status", "details"?}}."""
        status = self.status or STATUS_OF_CODE.get(self.code, "UNKNOWN")
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": status}
        if self.details:
            error["details"] = self.details
        return {"error": error}


def _detail(kind: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **fields}


def invalid(message: str) -> ApiError:
    """400 INVALID_ARGUMENT without details, as the model servers answer."""
    return ApiError(400, message)


def bad_fields(violations: Sequence[tuple[str, str]]) -> ApiError:
    """400 of the JSON front end, with one BadRequest violation per (field path, description)."""
    listed = [{"field": path, "description": text} if path else {"description": text} for path, text in violations]
    message = "\n".join(text for _, text in violations)
    return ApiError(400, message, [_detail("BadRequest", fieldViolations=listed)])


def missing_key() -> ApiError:
    """403 for a call without any key."""
    return ApiError(
        403,
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API.",
    )


def wrong_key() -> ApiError:
    """400 (not 401) for a key that does not exist: ErrorInfo reason API_KEY_INVALID."""
    message = "API key not valid. Please pass a valid API key."
    return ApiError(
        400,
        message,
        [
            _detail(
                "ErrorInfo",
                reason="API_KEY_INVALID",
                domain="googleapis.com",
                metadata={"service": "generativelanguage.googleapis.com"},
            ),
            _detail("LocalizedMessage", locale="en-US", message=message),
        ],
    )


def unknown_model(model: str, version: str, method: str) -> ApiError:
    """404 for a model that this API version does not have."""
    return ApiError(
        404,
        f"models/{model} is not found for API version {version}, or is not supported for {method}. "
        "Call ListModels to see the list of available models and their supported methods.",
    )


def quota_exceeded(model: str, retry_seconds: float, limit: int | None = None) -> ApiError:
    """429 with QuotaFailure, Help and RetryInfo."""
    violation: dict[str, Any] = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_requests_per_model",
        "quotaId": "GenerateRequestsPerMinutePerProjectPerModel",
        "quotaDimensions": {"location": "global", "model": model},
    }
    message = DEFAULT_MESSAGE[429]
    if limit is not None:
        violation["quotaValue"] = str(limit)
        message += f"\n* Quota exceeded for metric: {violation['quotaMetric']}, limit: {limit}, model: {model}"
    message += f"\nPlease retry in {retry_seconds:g}s."
    return ApiError(
        429,
        message,
        [
            _detail("QuotaFailure", violations=[violation]),
            _detail(
                "Help",
                links=[
                    {
                        "description": "Learn more about Gemini API quotas",
                        "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
                    }
                ],
            ),
            _detail("RetryInfo", retryDelay=f"{retry_seconds:g}s"),
        ],
    )


def of_status(code: int, *, model: str, message: str = "", retry_seconds: float | None = None) -> ApiError:
    """The error a fault or a script asks for by its HTTP code, with the details the real API adds to it."""
    if code == 429 and not message:
        return quota_exceeded(model, 1.0 if retry_seconds is None else retry_seconds)
    details = [] if retry_seconds is None else [_detail("RetryInfo", retryDelay=f"{retry_seconds:g}s")]
    return ApiError(code, message or DEFAULT_MESSAGE.get(code, "Request contains an invalid argument."), details)
