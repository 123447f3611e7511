"""The one place that maps our errors to google.rpc.Status and to problem+json, and back.

gRPC callers get ErrorInfo (reason, domain `pyairtable.dev`, metadata), RetryInfo for waits and BadRequest for fields;
REST callers get the same as application/problem+json (RFC 9457).
"""

from __future__ import annotations

from typing import Any, cast

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from . import errors
from .errors import FieldViolation, PyAirtableError, Reason

DOMAIN = "pyairtable.dev"

LONGEST_MESSAGE = 1000
"""Bytes. Errors travel in gRPC's trailers, of which peers take 8 KiB in all; text is escaped there, threefold."""

_CODES: dict[type[PyAirtableError], tuple[grpc.StatusCode, int]] = {
    errors.NotFound: (grpc.StatusCode.NOT_FOUND, 404),
    errors.InvalidInput: (grpc.StatusCode.INVALID_ARGUMENT, 400),
    errors.Unauthenticated: (grpc.StatusCode.UNAUTHENTICATED, 401),
    errors.Denied: (grpc.StatusCode.PERMISSION_DENIED, 403),
    errors.FailedPrecondition: (grpc.StatusCode.FAILED_PRECONDITION, 409),
    errors.Conflict: (grpc.StatusCode.ABORTED, 409),
    errors.RateLimited: (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    errors.QuotaExhausted: (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    errors.Unavailable: (grpc.StatusCode.UNAVAILABLE, 503),
    errors.DeadlineExceeded: (grpc.StatusCode.DEADLINE_EXCEEDED, 504),
    errors.OutcomeUnknown: (grpc.StatusCode.UNKNOWN, 502),
    errors.Cancelled: (grpc.StatusCode.CANCELLED, 499),
    errors.Internal: (grpc.StatusCode.INTERNAL, 500),
}
# Statuses that only a gRPC runtime makes, seen by clients.
_FOREIGN = {
    grpc.StatusCode.UNIMPLEMENTED: errors.NotFound,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidInput,
    grpc.StatusCode.ALREADY_EXISTS: errors.FailedPrecondition,
}


def codes(error: PyAirtableError) -> tuple[grpc.StatusCode, int]:
    """gRPC and HTTP status of an error. Too large is 413 over HTTP, as browsers and proxies expect."""
    grpc_code, http = next(
        (found for cls in type(error).__mro__ if (found := _CODES.get(cls))), _CODES[errors.Internal]
    )
    return grpc_code, 413 if error.reason is Reason.TOO_LARGE else http


def to_status(error: PyAirtableError) -> status_pb2.Status:
    """The error as it travels over gRPC."""
    details = [_pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata))]
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(max(0.0, error.retry_after) * 1e9))
        details.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
    if error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=shortened(item.field, 80), description=shortened(item.description, 160)
            )
            for item in error.violations
        ]
        details.append(_pack(error_details_pb2.BadRequest(field_violations=violations)))
    message = shortened(error.message, LONGEST_MESSAGE)
    return status_pb2.Status(code=codes(error)[0].value[0], message=message, details=details)


def shortened(text: str, limit: int) -> str:
    """The text, cut to so many bytes of UTF-8."""
    encoded = text.encode()
    return text if len(encoded) <= limit else encoded[: limit - 3].decode(errors="ignore") + "…"


def from_rpc_error(error: grpc.aio.AioRpcError) -> PyAirtableError:
    """The error a server raised, as the same class with the same reason, metadata, wait and fields."""
    cls = next(
        (cls for cls, (code, _) in _CODES.items() if code is error.code()),
        _FOREIGN.get(error.code(), errors.Internal),
    )
    message = error.details() or error.code().name
    status = rpc_status.from_call(cast(grpc.Call, error))  # it only asks for metadata and code
    if status is None:
        return _runtime_error(error, cls, message)
    reason, retry_after, metadata, violations = None, None, {}, []
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = _unpack(detail, error_details_pb2.ErrorInfo())
            reason, metadata = _reason(info.reason), dict(info.metadata)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry_after = _unpack(detail, error_details_pb2.RetryInfo()).retry_delay.ToNanoseconds() / 1e9
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            found = _unpack(detail, error_details_pb2.BadRequest()).field_violations
            violations = [FieldViolation(item.field, item.description) for item in found]
    if reason in (Reason.QUOTA_EXHAUSTED, Reason.TURN_LIMIT):
        cls = errors.QuotaExhausted  # same status as RateLimited, but a repeat does not help
    return cls(message, reason=reason, violations=violations, retry_after=retry_after, **metadata)


def _runtime_error(error: grpc.aio.AioRpcError, cls: type[PyAirtableError], message: str) -> PyAirtableError:
    """A status that the runtime made (no server spoke): say what it means, not how the transport puts it."""
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return errors.Unavailable(
            "a service that this call needs cannot be reached", reason=Reason.DEPENDENCY_UNAVAILABLE
        )
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.DeadlineExceeded("the call could not be completed before its deadline")
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and "message" in message:
        return errors.InvalidInput("the message is larger than allowed", reason=Reason.TOO_LARGE)
    return cls(message)


def problem(error: PyAirtableError, request_id: str) -> dict[str, Any]:
    """The error as RFC 9457 problem details."""
    http = codes(error)[1]
    body: dict[str, Any] = {
        "type": f"https://{DOMAIN}/errors/{error.reason.lower().replace('_', '-')}",
        "title": error.reason.replace("_", " ").capitalize(),
        "status": http,
        "detail": error.message,
        "reason": str(error.reason),
        "request_id": request_id,
    }
    if error.metadata:
        body["metadata"] = error.metadata
    if error.violations:
        body["errors"] = [{"field": item.field, "detail": item.description} for item in error.violations]
    if error.retry_after is not None:
        body["retry_after_seconds"] = round(error.retry_after, 3)
    return body


def _reason(text: str) -> Reason | None:
    """The reason, or None for one that a newer server knows and we do not."""
    return Reason(text) if text in Reason.__members__ else None


def _pack(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _unpack(packed: any_pb2.Any, message: Any) -> Any:
    packed.Unpack(message)
    return message
