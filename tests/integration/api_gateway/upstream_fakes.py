"""Services behind the door, as tests want them: they record what arrives and answer as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as grpc_health

from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2
from pyairtable_protos.auth.v1 import account_service_pb2, auth_service_pb2
from pyairtable_protos.chat.v1 import chat_service_pb2, chat_service_pb2_grpc, run_pb2, session_pb2
from pyairtable_protos.sagas.v1 import saga_service_pb2
from pyairtable_protos.tools.v1 import tool_service_pb2
from pyairtable_protos.users.v1 import user_service_pb2
from pyairtable_protos.workspaces.v1 import member_service_pb2, workspace_service_pb2

SERVICES: tuple[ServiceDescriptor, ...] = (
    chat_service_pb2.DESCRIPTOR.services_by_name["ChatService"],
    tool_service_pb2.DESCRIPTOR.services_by_name["ToolService"],
    airtable_gateway_service_pb2.DESCRIPTOR.services_by_name["AirtableGatewayService"],
    user_service_pb2.DESCRIPTOR.services_by_name["UserService"],
    workspace_service_pb2.DESCRIPTOR.services_by_name["WorkspaceService"],
    member_service_pb2.DESCRIPTOR.services_by_name["MemberService"],
    saga_service_pb2.DESCRIPTOR.services_by_name["SagaService"],
)

AUTH_SERVICES: tuple[ServiceDescriptor, ...] = (
    auth_service_pb2.DESCRIPTOR.services_by_name["AuthService"],
    account_service_pb2.DESCRIPTOR.services_by_name["AccountService"],
)
"""Behind doors that are told where auth is."""


@dataclass
class Recorded:
    """A call that arrived."""

    method: str  # ListTools
    request: Any
    metadata: dict[str, str | bytes]
    remaining: float | None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process or task does; fails after 30 seconds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


Answer = Callable[[Any, Any], Any]
"""Called with request and context. For unary calls awaitable, for streams an asynchronous iterator."""


class Recorder(grpc.GenericRpcHandler):
    """Serves every method of services: with what `answers` says for it, else with an empty response."""

    def __init__(self, services: tuple[ServiceDescriptor, ...]) -> None:
        self.calls: list[Recorded] = []
        self.answers: dict[str, Answer] = {}
        self._methods = {
            f"/{method.containing_service.full_name}/{method.name}": method
            for service in services
            for method in service.methods
        }

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = self._methods.get(str(details.method))
        if method is None:
            return None
        request = message_factory.GetMessageClass(method.input_type).FromString
        response = message_factory.GetMessageClass(method.output_type).SerializeToString
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self._stream(method), request, response)
        return grpc.unary_unary_rpc_method_handler(self._unary(method), request, response)

    @property
    def last(self) -> Recorded:
        return self.calls[-1]

    async def arrived(self, method: str, number: int = 1) -> Recorded:
        """Wait for a call."""
        await until(lambda: [call.method for call in self.calls].count(method) >= number)
        return [call for call in self.calls if call.method == method][number - 1]

    def _unary(self, method: MethodDescriptor) -> Callable[[Any, Any], Awaitable[Any]]:
        async def serve(request: Any, call: Any) -> Any:
            with self._recorded(method, request, call):
                answer = self.answers.get(method.name)
                return await answer(request, call) if answer else response_of(method)

        return serve

    def _stream(self, method: MethodDescriptor) -> Callable[[Any, Any], AsyncIterator[Any]]:
        async def serve(request: Any, call: Any) -> AsyncIterator[Any]:
            with self._recorded(method, request, call):
                answer = self.answers.get(method.name)
                if answer is None:
                    yield response_of(method)
                    return
                async for message in answer(request, call):
                    yield message

        return serve

    def _recorded(self, method: MethodDescriptor, request: Any, call: Any) -> _Recording:
        recorded = Recorded(method.name, request, dict(call.invocation_metadata()), call.time_remaining())
        self.calls.append(recorded)
        return _Recording(recorded)


class _Recording:
    """Notes how a call ended."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._recorded.cancelled = kind in (asyncio.CancelledError, GeneratorExit)
        self._recorded.ended.set()


def response_of(method: MethodDescriptor) -> Any:
    return message_factory.GetMessageClass(method.output_type)()


@dataclass
class FakeRun:
    """A run whose events a script writes; it goes on whoever reads it."""

    id: str
    session_id: str
    message: str
    events: list[run_pb2.RunEvent] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    stop_asked: asyncio.Event = field(default_factory=asyncio.Event)
    broken: tuple[grpc.StatusCode, str] | None = None  # how streams end that have read all there is

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1].WhichOneof("kind") in ("done", "failed", "cancelled")

    def write(self, **kind: Any) -> None:
        """Append an event, given by the name of its kind."""
        self.events.append(run_pb2.RunEvent(id=len(self.events) + 1, run_id=self.id, **kind))
        self._tell_readers()

    def break_streams(self, code: grpc.StatusCode, details: str) -> None:
        """Let every stream of this run fail after the events so far; the run itself goes on."""
        self.broken = (code, details)
        self._tell_readers()

    def _tell_readers(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def say(self, text: str) -> None:
        self.write(text=run_pb2.RunText(text=text))

    def start_tool(self, call_id: str, tool: str, **arguments: Any) -> None:
        started = run_pb2.RunToolStarted(call_id=call_id, tool=tool)
        started.arguments.update(arguments)
        self.write(tool_started=started)

    def end_tool(self, call_id: str, tool: str, **result: Any) -> None:
        self.write(tool_ended=run_pb2.RunToolEnded(call_id=call_id, tool=tool, **result))

    def done(self, response: str, cost: run_pb2.CostInfo | None = None, tools: tuple[str, ...] = ()) -> None:
        self.write(done=run_pb2.RunDone(response=response, cost_info=cost, tools_used=tools))

    async def read(self, after: int) -> AsyncIterator[run_pb2.RunEvent]:
        """The events after one, until the run has ended or its streams are broken."""
        while True:
            changed = self.changed
            while after < len(self.events):
                after += 1
                yield self.events[after - 1]
            if self.ended or self.broken:
                return
            if changed is self.changed:  # else something was written while the last event was read
                await changed.wait()


Script = Callable[[FakeRun], Awaitable[None]]


async def echo(run: FakeRun) -> None:
    """The script for messages that no test wrote one for."""
    run.say(f"You said: {run.message}")
    run.done(f"You said: {run.message}")


class FakeChat(chat_service_pb2_grpc.ChatServiceServicer):
    """Chat by scripts: sessions and runs in memory, events readable again, stop as the real one."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.runs: dict[str, FakeRun] = {}
        self.keys: dict[str, str] = {}  # idempotency key -> run
        self.streams_open = 0
        self.refuse: Callable[[Any], Awaitable[None]] | None = None  # is given the context of each new chat
        self._tasks: set[asyncio.Task[None]] = set()

    def forget(self) -> None:
        """Begin anew: no runs, no scripts."""
        self.runs, self.keys, self.scripts, self.refuse = {}, {}, {}, None

    def begin(self, request: chat_service_pb2.ChatRequest) -> FakeRun:
        if request.idempotency_key in self.keys:
            return self.runs[self.keys[request.idempotency_key]]
        number = len(self.runs) + 1
        run = FakeRun(f"run-{number}", request.session_id or f"session-{number}", request.message)
        self.runs[run.id] = run
        if request.idempotency_key:
            self.keys[request.idempotency_key] = run.id
        run.write(started=run_pb2.RunStarted(session_id=run.session_id, model="fake-model"))
        task = asyncio.create_task(self._play(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run

    async def _play(self, run: FakeRun) -> None:
        script = asyncio.create_task(as_coroutine(self.scripts.get(run.message, echo)(run)))
        stopped = asyncio.create_task(run.stop_asked.wait())
        await asyncio.wait({script, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if run.stop_asked.is_set() and not run.ended:
            script.cancel()
            said = "".join(event.text.text for event in run.events if event.HasField("text"))
            run.write(cancelled=run_pb2.RunCancelled(response=said))
        stopped.cancel()
        await asyncio.gather(script, stopped, return_exceptions=True)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def Chat(self, request: Any, context: Any) -> Any:
        run = self.begin(request)
        async for _ in run.read(0):
            pass
        done = run.events[-1].done
        return chat_service_pb2.ChatResponse(
            response=done.response, session_id=run.session_id, run_id=run.id, cost_info=done.cost_info
        )

    async def StreamChat(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if self.refuse is not None:
            await self.refuse(context)
        async for event in self._read(self.begin(request.chat), 0, context):
            yield chat_service_pb2.StreamChatResponse(event=event)

    async def WatchRun(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for event in self._read(self.runs[request.run_id], request.after_event_id, context):
            yield chat_service_pb2.WatchRunResponse(event=event)

    async def _read(self, run: FakeRun, after: int, context: Any) -> AsyncIterator[run_pb2.RunEvent]:
        self.streams_open += 1
        try:
            async for event in run.read(after):
                yield event
            if run.broken:
                await context.abort(*run.broken)
        finally:
            self.streams_open -= 1

    async def GetRun(self, request: Any, context: Any) -> Any:
        run = self.runs[request.run_id]
        return chat_service_pb2.GetRunResponse(run=run_pb2.Run(id=run.id, session_id=run.session_id))

    async def GetSession(self, request: Any, context: Any) -> Any:
        return chat_service_pb2.GetSessionResponse(session=session_pb2.Session(id=request.session_id))

    async def CancelRun(self, request: Any, context: Any) -> Any:
        run = self.runs[request.run_id]
        run.stop_asked.set()
        return chat_service_pb2.CancelRunResponse(run=run_pb2.Run(id=run.id, session_id=run.session_id))

    async def ListSessions(self, request: Any, context: Any) -> Any:
        runs = {run.session_id: run for run in reversed(self.runs.values())}  # the first run gives the title
        sessions = [session_pb2.Session(id=run.session_id, title=run.message[:60]) for run in runs.values()]
        return chat_service_pb2.ListSessionsResponse(sessions=sessions)

    async def ListMessages(self, request: Any, context: Any) -> Any:
        runs = [run for run in self.runs.values() if run.session_id == request.session_id]
        if not runs:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no session {request.session_id}")
        messages = [message for run in runs for message in messages_of(run)]
        return chat_service_pb2.ListMessagesResponse(messages=messages)

    async def DeleteSession(self, request: Any, context: Any) -> Any:
        self.runs = {key: run for key, run in self.runs.items() if run.session_id != request.session_id}
        return chat_service_pb2.DeleteSessionResponse()

    async def GetSessionCost(self, request: Any, context: Any) -> Any:
        runs = [run for run in self.runs.values() if run.session_id == request.session_id]
        total = sum(float(run.events[-1].done.cost_info.total_cost_usd or 0) for run in runs)
        cost = run_pb2.CostInfo(total_cost_usd=f"{total:.6f}")
        return chat_service_pb2.GetSessionCostResponse(session_id=request.session_id, cost_info=cost)


async def as_coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable


def messages_of(run: FakeRun) -> list[session_pb2.Message]:
    """What a session's history tells of a run."""
    messages = [session_pb2.Message(role="user", content=run.message, run_id=run.id)]
    if run.ended and run.events[-1].HasField("done"):
        done = run.events[-1].done
        answer = session_pb2.Message(role="assistant", content=done.response, run_id=run.id)
        answer.tools_used.extend(done.tools_used)
        messages.append(answer)
    return messages


@dataclass
class Behind:
    """A server with all fakes on one port; the door is told this address for every service."""

    recorder: Recorder
    chat: FakeChat
    health: grpc_health.HealthServicer
    target: str
    server: grpc.aio.Server


@asynccontextmanager
async def fakes_behind(*, chat_by_script: bool = False) -> AsyncIterator[Behind]:
    """All services of the contract on one port. Chat is played by scripts, or recorded like the others."""
    recorder, chat = Recorder((*SERVICES, *AUTH_SERVICES)), FakeChat()
    health = grpc_health.HealthServicer()
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    server = grpc.aio.server()
    if chat_by_script:
        chat_service_pb2_grpc.add_ChatServiceServicer_to_server(chat, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    server.add_generic_rpc_handlers((recorder,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Behind(recorder, chat, health, f"127.0.0.1:{port}", server)
    finally:
        await chat.close()
        await server.stop(0)
