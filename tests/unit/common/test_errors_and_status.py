"""Errors travel to a caller and come back as the same thing; the contract knows every reason."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_platform.common import errors, status
from pyairtable_platform.common.errors import FieldViolation, PyAirtableError, Reason
from pyairtable_protos.common.v1.error_reason_pb2 import ErrorReason

LEAVES = [cls for cls in vars(errors).values() if isinstance(cls, type) and PyAirtableError in cls.__bases__]


def over_the_wire(error: PyAirtableError) -> PyAirtableError:
    sent: Any = rpc_status.to_status(status.to_status(error))
    trailing = grpc.aio.Metadata(*sent.trailing_metadata)
    received = grpc.aio.AioRpcError(sent.code, grpc.aio.Metadata(), trailing, details=sent.details)
    return status.from_rpc_error(received)


def test_reasons_are_those_of_the_contract() -> None:
    contract = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.DESCRIPTOR.values_by_name} - {"UNSPECIFIED"}
    assert {reason.value for reason in Reason} == contract
    assert all(reason.name == reason.value for reason in Reason)


@pytest.mark.parametrize("cls", LEAVES)
def test_every_error_comes_back_as_itself(cls: type[PyAirtableError]) -> None:
    error = cls(
        "what happened", workspace="acme", retry_after=1.5, violations=[FieldViolation("records[3]", "is wrong")]
    )
    back = over_the_wire(error)
    assert type(back) is cls
    assert (back.message, back.reason, back.metadata) == (error.message, error.reason, error.metadata)
    assert back.retry_after == 1.5
    assert back.violations == error.violations


@given(
    message=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=200),
    reason=st.sampled_from(Reason),
    base=st.text(max_size=30),
)
def test_message_reason_and_metadata_survive(message: str, reason: Reason, base: str) -> None:
    back = over_the_wire(errors.NotFound(message, reason=reason, base=base))
    assert (back.message, back.reason, back.metadata) == (message, reason, {"base": base})


def test_a_status_without_details_says_what_it_means() -> None:
    nothing = grpc.aio.Metadata()
    gone = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, nothing, nothing, details="connections to all backends failing"
    )
    assert isinstance(status.from_rpc_error(gone), errors.Unavailable)
    late = grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, nothing, nothing, details="Deadline Exceeded")
    assert isinstance(status.from_rpc_error(late), errors.DeadlineExceeded)


def test_problem_details_hold_what_the_status_holds() -> None:
    error = errors.RateLimited("the base is paused", retry_after=12.3456, base="appX")
    body = status.problem(error, "req-1")
    assert body == {
        "type": "https://pyairtable.dev/errors/rate-limited",
        "title": "Rate limited",
        "status": 429,
        "detail": "the base is paused",
        "reason": "RATE_LIMITED",
        "request_id": "req-1",
        "metadata": {"base": "appX"},
        "retry_after_seconds": 12.346,
    }


def test_too_large_is_413_over_http() -> None:
    assert status.codes(errors.InvalidInput("big", reason=Reason.TOO_LARGE))[1] == 413


def test_a_turn_that_reached_its_limit_is_not_to_be_repeated() -> None:
    back = over_the_wire(errors.QuotaExhausted("20 rounds", reason=Reason.TURN_LIMIT))
    assert type(back) is errors.QuotaExhausted


@pytest.mark.parametrize("character", ["x", "é", "😀"])
def test_a_long_error_is_cut_to_what_trailers_hold(character: str) -> None:
    back = over_the_wire(errors.NotFound(character * 5000, reason=Reason.TABLE_NOT_FOUND))
    assert back.message.startswith(character * 100)
    assert back.message.endswith("…")
    assert len(back.message.encode()) <= 1000
