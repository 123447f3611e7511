"""ChatService: messages to plain values and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pyairtable_protos.chat.v1 import chat_service_pb2 as rpc

from .messages import to_ask, to_chat_response, to_cost, to_event, to_message, to_run, to_session
from .service import ChatService


class ChatServicer:
    """Implements pyairtable.chat.v1.ChatService."""

    def __init__(self, chats: ChatService) -> None:
        self._chats = chats

    async def Chat(self, request: rpc.ChatRequest, call: Any) -> rpc.ChatResponse:
        return to_chat_response(await self._chats.chat(to_ask(request)))

    async def StreamChat(self, request: rpc.StreamChatRequest, call: Any) -> AsyncIterator[rpc.StreamChatResponse]:
        async for event in self._chats.stream(to_ask(request.chat)):
            yield rpc.StreamChatResponse(event=to_event(event))

    async def WatchRun(self, request: rpc.WatchRunRequest, call: Any) -> AsyncIterator[rpc.WatchRunResponse]:
        async for event in self._chats.watch(request.workspace, request.run_id, request.after_event_id):
            yield rpc.WatchRunResponse(event=to_event(event))

    async def GetRun(self, request: rpc.GetRunRequest, call: Any) -> rpc.GetRunResponse:
        return rpc.GetRunResponse(run=to_run(await self._chats.get_run(request.workspace, request.run_id)))

    async def CancelRun(self, request: rpc.CancelRunRequest, call: Any) -> rpc.CancelRunResponse:
        return rpc.CancelRunResponse(run=to_run(await self._chats.cancel_run(request.workspace, request.run_id)))

    async def ListSessions(self, request: rpc.ListSessionsRequest, call: Any) -> rpc.ListSessionsResponse:
        page, token = await self._chats.list_sessions(request.workspace, request.page_size, request.page_token)
        return rpc.ListSessionsResponse(sessions=map(to_session, page), next_page_token=token)

    async def GetSession(self, request: rpc.GetSessionRequest, call: Any) -> rpc.GetSessionResponse:
        session = await self._chats.get_session(request.workspace, request.session_id)
        return rpc.GetSessionResponse(session=to_session(session))

    async def ListMessages(self, request: rpc.ListMessagesRequest, call: Any) -> rpc.ListMessagesResponse:
        page, token = await self._chats.list_messages(
            request.workspace, request.session_id, request.page_size, request.page_token
        )
        return rpc.ListMessagesResponse(messages=map(to_message, page), next_page_token=token)

    async def DeleteSession(self, request: rpc.DeleteSessionRequest, call: Any) -> rpc.DeleteSessionResponse:
        await self._chats.delete_session(request.workspace, request.session_id)
        return rpc.DeleteSessionResponse()

    async def GetSessionCost(self, request: rpc.GetSessionCostRequest, call: Any) -> rpc.GetSessionCostResponse:
        found = await self._chats.session_cost(request.workspace, request.session_id)
        return rpc.GetSessionCostResponse(
            session_id=request.session_id, runs=found.runs, cost_info=to_cost(found.model, found.cost)
        )
