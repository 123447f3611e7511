"""Runs, events and sessions as messages of pyairtable.chat.v1."""

from __future__ import annotations

from typing import Any

from pyairtable_platform.common.values import dict_to_struct, to_timestamp
from pyairtable_protos.chat.v1 import chat_service_pb2 as rpc
from pyairtable_protos.chat.v1 import run_pb2, session_pb2

from .catalog import dollars
from .entities import EventKind, Message, Run, RunEvent, RunState, Session
from .ports import Cost
from .service import Ask

_STATES = {
    RunState.RUNNING: run_pb2.RUN_STATE_RUNNING,
    RunState.COMPLETED: run_pb2.RUN_STATE_COMPLETED,
    RunState.FAILED: run_pb2.RUN_STATE_FAILED,
    RunState.CANCELLED: run_pb2.RUN_STATE_CANCELLED,
}


def to_ask(request: rpc.ChatRequest) -> Ask:
    """A request as plain values."""
    return Ask(
        workspace=request.workspace,
        session_id=request.session_id,
        message=request.message,
        messages=[(item.role, item.content) for item in request.messages],
        base_id=request.base_id,
        thinking_budget=request.thinking_budget if request.HasField("thinking_budget") else None,
        idempotency_key=request.idempotency_key,
    )


def to_chat_response(run: Run) -> rpc.ChatResponse:
    """A completed run as the answer to Chat."""
    return rpc.ChatResponse(
        response=run.response,
        session_id=run.session_id,
        run_id=run.id,
        tools_used=run.tools_used,
        cost_info=to_cost(run.model, run.cost),
        thinking_process=run.thoughts,
        timestamp=to_timestamp(run.ended_at) if run.ended_at else None,
    )


def to_run(run: Run) -> run_pb2.Run:
    """A run."""
    failure = run.failure
    return run_pb2.Run(
        id=run.id,
        session_id=run.session_id,
        workspace=run.workspace,
        state=_STATES[run.state],
        message=run.message,
        response=run.response,
        tools_used=run.tools_used,
        cost_info=to_cost(run.model, run.cost),
        error=run_pb2.RunError(reason=failure.reason, message=failure.message) if failure else None,
        created_at=to_timestamp(run.created_at),
        ended_at=to_timestamp(run.ended_at) if run.ended_at else None,
    )


def to_event(event: RunEvent) -> run_pb2.RunEvent:
    """An event: its payload has the fields of the kind's message already."""
    message = run_pb2.RunEvent(id=event.id, run_id=event.run_id, time=to_timestamp(event.time))
    _fill(getattr(message, event.kind), dict(event.payload), event.kind)
    return message


def to_session(session: Session) -> session_pb2.Session:
    """A session."""
    return session_pb2.Session(
        id=session.id,
        workspace=session.workspace,
        title=session.title,
        created_at=to_timestamp(session.created_at),
        updated_at=to_timestamp(session.updated_at),
        message_count=session.message_count,
    )


def to_message(message: Message) -> session_pb2.Message:
    """A message of a conversation."""
    return session_pb2.Message(
        role=message.role,
        content=message.content,
        run_id=message.run_id,
        created_at=to_timestamp(message.created_at),
        tools_used=message.tools_used,
    )


def to_cost(model: str, cost: Cost) -> run_pb2.CostInfo:
    """Tokens and money."""
    usage = cost.usage
    return run_pb2.CostInfo(
        model=model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        thinking_tokens=usage.thinking_tokens,
        cached_tokens=usage.cached_tokens,
        total_tokens=usage.total_tokens,
        model_calls=cost.model_calls,
        total_cost_usd=dollars(cost.usd),
    )


def _fill(target: Any, payload: dict[str, Any], kind: EventKind) -> None:
    target.SetInParent()  # a kind without fields is a kind all the same
    if kind is EventKind.TOOL_STARTED:
        target.arguments.CopyFrom(dict_to_struct(payload.pop("arguments")))
    cost = payload.pop("cost_info", None)
    if cost is not None:
        target.cost_info.MergeFrom(run_pb2.CostInfo(**cost))
    target.MergeFrom(type(target)(**payload))
