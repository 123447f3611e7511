"""Every refusal Airtable gives, in the envelope it gives it (Airtable docs: errors; see docs/emulator-airtable.md).

Four envelopes exist: an object with type and message, an object with a type only, a bare string,
and a plural list (seen for 429).
"""

import math
from typing import Any

NOT_PERMITTED_OR_FOUND = (
    "Invalid permissions, or the requested model was not found. Check that both your user and your token "
    "have the required permissions, and that the model names and/or ids are correct."
)
BAD_REQUEST_DATA = "Invalid request: parameter validation failed. Check your request data."


class ApiError(Exception):
    """An answer that refuses: HTTP status and the JSON body that goes with it."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


def typed(status: int, kind: str, message: str | None = None) -> ApiError:
    """An error in the object envelope, with or without a message."""
    error = {"type": kind} if message is None else {"type": kind, "message": message}
    return ApiError(status, {"error": error})


def not_found() -> ApiError:
    """The bare form: no such route, malformed id in the path, unknown base on the data API."""
    return ApiError(404, {"error": "NOT_FOUND"})


def unauthorized() -> ApiError:
    """Missing, malformed or unknown token: all alike."""
    return typed(401, "AUTHENTICATION_REQUIRED", "Authentication required")


def not_permitted_or_found() -> ApiError:
    """Wrong scope, resource not granted, unknown table, missing single record."""
    return typed(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", NOT_PERMITTED_OR_FOUND)


def role_too_low() -> ApiError:
    """The token may see the base but its role does not allow this."""
    return typed(403, "INVALID_PERMISSIONS", "You are not permitted to perform this operation")


def bad_request(message: str = BAD_REQUEST_DATA) -> ApiError:
    """General validation of a request."""
    return typed(422, "INVALID_REQUEST_UNKNOWN", message)


def unknown_field(name: str) -> ApiError:
    """A field that the table does not have, in a write or in `fields[]` or `sort`."""
    return typed(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')


def invalid_value(field_name: str) -> ApiError:
    """A value the field cannot hold with typecast off, or not even with it."""
    return typed(422, "INVALID_VALUE_FOR_COLUMN", f'Field "{field_name}" cannot accept the provided value')


def computed_value(field_name: str) -> ApiError:
    """A write to a field that Airtable computes."""
    message = f'Field "{field_name}" cannot accept a value because the field is computed'
    return typed(422, "INVALID_VALUE_FOR_COLUMN", message)


def unknown_choice(name: str) -> ApiError:
    """A select option that does not exist; the text arrives in quotes of its own (pyairtable#137)."""
    message = f'Insufficient permissions to create new select option ""{name}""'
    return typed(422, "INVALID_MULTIPLE_CHOICE_OPTIONS", message)


def row_does_not_exist(record_id: str) -> ApiError:
    """A well-formed record id that this table does not hold."""
    return typed(422, "ROW_DOES_NOT_EXIST", f"Record ID {record_id} does not exist in this table")


def invalid_record_id(value: object) -> ApiError:
    """Something in a link cell that is not a record id."""
    return typed(422, "INVALID_RECORD_ID", f'Value "{value}" is not a valid record ID.')


def invalid_formula(detail: str) -> ApiError:
    """A filter that does not parse or names unknown fields."""
    return typed(422, "INVALID_FILTER_BY_FORMULA", f"The formula for filtering records is invalid: {detail}")


def retriable(status: int, retry_after: float | None = None) -> ApiError:
    """What a struggling Airtable answers: 503 with an envelope, 502 without a body."""
    if status == 503:
        message = "Server encountered an error while processing your request, and it is safe to retry the request"
        error = typed(503, "RETRIABLE_ERROR", message)
    elif status == 500:
        error = typed(500, "SERVER_ERROR", "Server error")
    else:
        error = ApiError(status, None)
    error.headers |= _retry_after(retry_after)
    return error


_TOO_MANY = {
    "rate": ("RATE_LIMIT_REACHED", "Rate limit exceeded. Please try again later"),
    "billing": (
        "PUBLIC_API_BILLING_LIMIT_EXCEEDED",
        "API billing plan limit exceeded. You've reached the maximum number of requests allowed for this month.",
    ),
}


def too_many(refusal: str, *, plural: bool, retry_after: float | None) -> ApiError:
    """A 429 for the `rate` or for `billing`: plural list by default, the documented single object by switch."""
    kind, message = _TOO_MANY[refusal]
    if plural:
        body: dict[str, Any] = {"errors": [{"error": kind, "message": message}]}
    else:
        body = {"error": {"type": kind, "message": message}}
    return ApiError(429, body, _retry_after(retry_after))


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"retry-after": str(max(1, math.ceil(seconds)))}
