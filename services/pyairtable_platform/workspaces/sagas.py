"""Sagas that calls of this service start, and what their failures mean to the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from pyairtable_platform.common import errors
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import PyAirtableError, Reason
from pyairtable_protos.sagas.v1 import saga_service_pb2 as rpc
from pyairtable_protos.sagas.v1 import saga_service_pb2_grpc

from .peers import as_installation

WAIT_SECONDS = 10
_PATIENCE = 10.0
"""Seconds on top of the wait, for the call itself."""
_ENDED_BADLY = (rpc.SAGA_STATE_COMPENSATED, rpc.SAGA_STATE_FAILED)

_CLASSES: dict[Reason, type[PyAirtableError]] = {
    Reason.CONFLICT: errors.FailedPrecondition,
    Reason.OWNED_ELSEWHERE: errors.FailedPrecondition,
    Reason.IDEMPOTENCY_KEY_REUSED: errors.FailedPrecondition,
    Reason.CREDENTIAL_MISSING: errors.FailedPrecondition,
    Reason.AIRTABLE_TOKEN_REJECTED: errors.FailedPrecondition,
    Reason.QUOTA_EXHAUSTED: errors.QuotaExhausted,
    Reason.RATE_LIMITED: errors.RateLimited,
    Reason.DENIED: errors.Denied,
    Reason.BASE_READ_ONLY: errors.Denied,
    Reason.WORKSPACE_SUSPENDED: errors.Denied,
    Reason.INVALID_INPUT: errors.InvalidInput,
    Reason.TOO_LARGE: errors.InvalidInput,
    Reason.AIRTABLE_UNAVAILABLE: errors.Unavailable,
    Reason.DEPENDENCY_UNAVAILABLE: errors.Unavailable,
    Reason.DEADLINE: errors.DeadlineExceeded,
    Reason.WRITE_OUTCOME_UNKNOWN: errors.OutcomeUnknown,
    Reason.RUN_CANCELLED: errors.Cancelled,
    Reason.INTERNAL: errors.Internal,
}


@dataclass(frozen=True)
class Saga:
    """How far a saga is. `output` is what came of it; empty before it is completed."""

    saga_id: str
    is_completed: bool
    output: dict[str, Any]


class Sagas:
    """The saga service."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = saga_service_pb2_grpc.SagaServiceStub(channel.channel)

    async def start(self, kind: str, given: dict[str, Any], key: str, principal: str) -> Saga:
        """Start a saga for somebody and wait some seconds for it; raises what it failed with."""
        request = rpc.StartSagaForRequest(
            type=kind, idempotency_key=key, principal=principal, wait_seconds=WAIT_SECONDS
        )
        request.input.update(given)
        with as_installation():
            answer = await self._channel.call(self._stub.StartSagaFor, request, timeout=WAIT_SECONDS + _PATIENCE)
        saga = answer.saga
        if saga.state in _ENDED_BADLY or (saga.state == rpc.SAGA_STATE_COMPENSATING and saga.error):
            raise error_of(saga)
        output = json_format.MessageToDict(saga.output) if saga.HasField("output") else {}
        return Saga(saga.saga_id, saga.state == rpc.SAGA_STATE_COMPLETED, output)


def error_of(saga: rpc.Saga) -> PyAirtableError:
    """What a saga failed with, as the call that it stands for would have."""
    reason = Reason.__members__.get(saga.error_reason, Reason.INTERNAL)
    kind = _CLASSES.get(reason)
    if kind is None:
        kind = errors.NotFound if reason.endswith("_NOT_FOUND") else errors.FailedPrecondition
    return kind(saga.error or "it failed without saying why", reason=reason, saga=saga.saga_id)
