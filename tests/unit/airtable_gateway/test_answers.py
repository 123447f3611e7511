"""Airtable's error envelopes, and what each refusal becomes."""

from __future__ import annotations

import pytest

from pyairtable_platform.airtable_gateway.answers import Refusal, refusal
from pyairtable_platform.airtable_gateway.explain import Target, explain
from pyairtable_platform.common.errors import Denied, InvalidInput, NotFound, PyAirtableError, Reason, Unavailable

TARGET = Target("appOne", "Projects", "recOne", view="Grid")


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b'{"error": {"type": "UNKNOWN_FIELD_NAME", "message": "Unknown field name: \\"X\\""}}', "UNKNOWN_FIELD_NAME",
         'Unknown field name: "X"'),
        (b'{"error": {"type": "FAILED_STATE_CHECK"}}', "FAILED_STATE_CHECK", ""),
        (b'{"error": "NOT_FOUND"}', "NOT_FOUND", ""),
        (b'{"errors": [{"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded."}]}', "RATE_LIMIT_REACHED",
         "Rate limit exceeded."),
        (b"<html>Bad gateway</html>", "", ""),
        (b"", "", ""),
        (b"[1, 2]", "", ""),
        (b'{"error": 7}', "", ""),
        (b'{"errors": []}', "", ""),
        (b'{"error": {"type": 5, "message": ["x"]}}', "", ""),
    ],
)  # fmt: skip
def test_every_envelope_is_read(body: bytes, kind: str, message: str) -> None:
    read = refusal(422, {}, body)
    assert (read.kind, read.message) == (kind, message)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("", None), ("Wed, 21 Oct", None), ("-1", None), ("nan", None), ("1e99", None)],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert refusal(503, {"retry-after": text}, b"").retry_after == seconds


def test_the_two_kinds_of_429_are_told_apart() -> None:
    billing = refusal(429, {}, b'{"errors": [{"error": "PUBLIC_API_BILLING_LIMIT_EXCEEDED"}]}')
    single = refusal(429, {}, b'{"error": {"type": "RATE_LIMIT_REACHED"}}')
    assert (billing.is_billing_limit, billing.is_rate_limit) == (True, False)
    assert (single.is_billing_limit, single.is_rate_limit) == (False, True)
    assert refusal(429, {}, b"").is_rate_limit


def test_a_long_message_is_cut() -> None:
    assert len(refusal(422, {}, b'{"error": {"type": "X", "message": "%s"}}' % (b"y" * 9999)).message) == 500


@pytest.mark.parametrize(
    ("given", "error", "reason", "metadata"),
    [
        (Refusal(422, "UNKNOWN_FIELD_NAME", 'Unknown field name: "X"'), NotFound, Reason.FIELD_NOT_FOUND,
         {"table": "Projects", "field": "X"}),
        (Refusal(422, "ROW_DOES_NOT_EXIST", "Record ID recTwo does not exist in this table"), NotFound,
         Reason.RECORD_NOT_FOUND, {"table": "Projects", "record": "recTwo"}),
        (Refusal(404, "NOT_FOUND", 'Could not find a record with ID "recTwo".'), NotFound, Reason.RECORD_NOT_FOUND,
         {"table": "Projects", "record": "recTwo"}),
        (Refusal(422, "VIEW_NAME_NOT_FOUND", "View Grid not found"), NotFound, Reason.VIEW_NOT_FOUND,
         {"table": "Projects", "view": "Grid"}),
        (Refusal(422, "INVALID_FILTER_BY_FORMULA", "The formula ..."), InvalidInput, Reason.INVALID_FORMULA, {}),
        (Refusal(422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"), InvalidInput, Reason.PAGE_TOKEN_INVALID, {}),
        (Refusal(422, "INVALID_VALUE_FOR_COLUMN", 'Field "X" cannot accept'), InvalidInput, Reason.INVALID_INPUT, {}),
        (Refusal(422, "SOMETHING_NEW", ""), InvalidInput, Reason.INVALID_INPUT, {}),
        (Refusal(400), InvalidInput, Reason.INVALID_INPUT, {}),
        (Refusal(413), InvalidInput, Reason.TOO_LARGE, {}),
        (Refusal(403, "INVALID_PERMISSIONS", "You are not permitted"), Denied, Reason.DENIED, {}),
        (Refusal(418), Unavailable, Reason.AIRTABLE_UNAVAILABLE, {}),
    ],
)  # fmt: skip
def test_a_refusal_that_speaks_for_itself(
    given: Refusal, error: type[PyAirtableError], reason: Reason, metadata: dict[str, str]
) -> None:
    explained = explain(given, TARGET)
    assert isinstance(explained, error)
    assert explained.reason is reason
    assert explained.metadata == metadata


@pytest.mark.parametrize("given", [Refusal(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"), Refusal(404, "NOT_FOUND")])
def test_where_one_has_to_look_it_says_nothing(given: Refusal) -> None:
    assert explain(given, TARGET) is None
