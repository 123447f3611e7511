"""Sagas, steps and types as messages of the contract."""

from __future__ import annotations

from typing import Any

from pyairtable_platform.common.values import dict_to_struct, to_timestamp
from pyairtable_protos.sagas.v1 import saga_service_pb2 as rpc

from .definition import SagaType
from .model import Saga, StepRecord


def to_saga(saga: Saga) -> rpc.Saga:
    message = rpc.Saga(
        saga_id=saga.saga_id,
        type=saga.type,
        state=rpc.SagaState.Value(f"SAGA_STATE_{saga.state}"),
        business_key=saga.business_key,
        workspace=saga.workspace,
        principal=saga.principal,
        input=dict_to_struct(saga.input),
        current_step=saga.current_step,
        error=saga.error,
        error_reason=saga.error_reason,
        created_at=to_timestamp(saga.created_at),
        updated_at=to_timestamp(saga.updated_at),
        steps_done=saga.steps_done,
        steps_total=len(saga.steps),
    )
    if saga.output is not None:
        message.output.CopyFrom(dict_to_struct(saga.output))
    if saga.ended_at is not None:
        message.ended_at.CopyFrom(to_timestamp(saga.ended_at))
    return message


def to_step(step: StepRecord) -> rpc.Step:
    message = rpc.Step(
        name=step.name,
        state=rpc.StepState.Value(f"STEP_STATE_{step.state}"),
        attempts=step.attempts,
        error=step.error,
        error_reason=step.error_reason,
    )
    if step.started_at is not None:
        message.started_at.CopyFrom(to_timestamp(step.started_at))
    if step.ended_at is not None:
        message.ended_at.CopyFrom(to_timestamp(step.ended_at))
    if step.output is not None:
        message.output.CopyFrom(dict_to_struct(step.output))
    return message


def to_type(item: SagaType) -> rpc.SagaType:
    schema: dict[str, Any] = item.input.model_json_schema()
    return rpc.SagaType(
        name=item.name,
        description=item.description,
        steps=[step.name for step in item.steps],
        compensated_steps=[step.name for step in item.steps if step.undo is not None],
        input_schema=dict_to_struct(schema),
        who=item.who,
    )


def state_name(value: Any) -> str:
    """The state that a filter names; empty for none."""
    return rpc.SagaState.Name(value).removeprefix("SAGA_STATE_") if value else ""
