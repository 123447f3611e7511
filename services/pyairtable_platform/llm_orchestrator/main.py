"""Wires chat: the model, the tools, the log, the worker and the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from pyairtable_platform.common.channels import open_channel
from pyairtable_platform.common.database import check_database, open_engine
from pyairtable_platform.common.health import Check
from pyairtable_platform.common.notifications import Listener
from pyairtable_platform.common.registry import WorkspaceRegistry
from pyairtable_platform.common.secret_sources import open_secrets
from pyairtable_platform.common.server import Service, Servicer
from pyairtable_platform.common.wakeups import Wakeups
from pyairtable_protos.chat.v1 import chat_service_pb2, chat_service_pb2_grpc
from pyairtable_protos.common.v1 import person_data_pb2, person_data_pb2_grpc

from .catalog import load_catalog
from .current_role import CurrentRoles
from .follow import LogReader
from .gemini import Gemini
from .keys import WHAT, ModelKeys
from .loop import Limits, ToolLoop
from .person_data import PersonDataServicer
from .ports import Model, ToolServer
from .service import ChatService, Defaults
from .servicer import ChatServicer
from .settings import Settings
from .spending import Spending
from .store.journal import RunJournal
from .store.leases import LeaseStore
from .store.people import PeopleStore
from .store.rows import NOTIFY_CHANNEL
from .store.runs import RunStore
from .store.sessions import SessionStore
from .telemetry import ObservedModel, ObservedTools
from .tool_list import CachedToolList
from .tool_round import ToolLimits
from .tools_grpc import GrpcTools
from .tools_mcp import McpTools
from .worker import Worker, worker_name

__all__ = ["Settings", "build"]

SCHEMA = "llm_orchestrator"


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """Chat over the model, tools and database that the settings name."""
    async with AsyncExitStack() as stack:
        engine = open_engine(settings, SCHEMA)
        stack.push_async_callback(engine.dispose)
        registry = WorkspaceRegistry(
            await stack.enter_async_context(open_channel(settings.workspaces_target, settings))
        )
        keys = await _keys(settings, registry, stack)
        tools = await _tools(settings, registry, stack)
        wakeups = Wakeups()
        listener = Listener(engine, NOTIFY_CHANNEL, heard=wakeups.wake, missed=wakeups.wake_all)
        runs, leases = RunStore(engine), LeaseStore(engine, owner=worker_name(), seconds=settings.lease_seconds)
        worker = Worker(
            leases,
            lambda lease: RunJournal(engine, lease),
            ToolLoop(ObservedModel(_model(settings, keys, stack)), tools, load_catalog(), _limits(settings)),
            wakeups,
            capacity=settings.max_runs,
            history_tokens=settings.history_tokens,
        )
        stack.push_async_callback(worker.leave)
        chats = ChatService(
            resolve=registry.resolve,
            check_model=keys.of,
            spending=Spending(runs, settings.bounds()),
            runs=runs,
            sessions=SessionStore(engine),
            reader=LogReader(runs, wakeups),
            worker=worker,
            lease_seconds=settings.lease_seconds,
            defaults=Defaults(settings.gemini_model, settings.thinking_budget, settings.turn_seconds),
        )
        optional: dict[str, Check] = {"mcp-server": _tool_check(tools)} if tools else {}
        yield Service(
            name="llm-orchestrator",
            title="LLM Orchestrator",
            servicers=[
                Servicer(
                    ChatServicer(chats),
                    chat_service_pb2_grpc.add_ChatServiceServicer_to_server,
                    chat_service_pb2.DESCRIPTOR.services_by_name["ChatService"],
                ),
                Servicer(
                    PersonDataServicer(PeopleStore(engine)),
                    person_data_pb2_grpc.add_PersonDataServiceServicer_to_server,
                    person_data_pb2.DESCRIPTOR.services_by_name["PersonDataService"],
                ),
            ],
            checks={"postgres": lambda: check_database(engine), "workspaces": registry.check},
            optional_checks=optional,
            notes=_notes(settings),
            background=[registry.follow, worker.run, listener.run],
            on_drain=[worker.drain],
        )


async def _keys(settings: Settings, registry: WorkspaceRegistry, stack: AsyncExitStack) -> ModelKeys:
    secrets = await stack.enter_async_context(open_secrets(settings, WHAT))
    return ModelKeys(registry, secrets, settings.gemini_api_key.get_secret_value() if settings.gemini_api_key else "")


def _model(settings: Settings, keys: ModelKeys, stack: AsyncExitStack) -> Model:
    model = Gemini(keys, api_url=settings.gemini_api_url, max_output_tokens=settings.max_output_tokens)
    stack.push_async_callback(model.close)
    return model


async def _tools(settings: Settings, registry: WorkspaceRegistry, stack: AsyncExitStack) -> ToolServer | None:
    if not settings.mcp_tools_enabled:
        return None
    server = await _tool_server(settings, stack)
    return CurrentRoles(CachedToolList(ObservedTools(server)), registry.find)


async def _tool_server(settings: Settings, stack: AsyncExitStack) -> ToolServer:
    if not settings.use_http_mcp:
        return GrpcTools(await stack.enter_async_context(open_channel(settings.mcp_server_target, settings)))
    key = settings.api_key.get_secret_value() if settings.api_key else None
    tools = McpTools(settings.mcp_server_url, api_key=key)
    stack.push_async_callback(tools.close)
    return tools


def _limits(settings: Settings) -> Limits:
    tools = ToolLimits(
        calls_per_round=settings.max_calls_per_round,
        parallel=settings.max_parallel_calls,
        same_calls=settings.max_same_calls,
        seconds=settings.tool_timeout_seconds,
        result_characters=settings.tool_result_characters,
    )
    return Limits(rounds=settings.max_tool_rounds, model_attempts=settings.model_attempts, tools=tools)


def _tool_check(tools: ToolServer) -> Check:
    async def check() -> None:
        await tools.list_tools()

    return check


def _notes(settings: Settings) -> list[str]:
    notes = []
    if settings.gemini_api_key is None:
        notes.append("chat works with keys of workspaces only: GEMINI_API_KEY is not set")
    if settings.gemini_api_url:
        notes.append(f"the model is asked at {settings.gemini_api_url}, which is not Google's address")
    if load_catalog().find(settings.gemini_model) is None:
        notes.append(f"no price is known for the model {settings.gemini_model}: costs are left empty")
    if not settings.mcp_tools_enabled:
        notes.append("MCP_TOOLS_ENABLED is false: chat has no tools")
    return notes
