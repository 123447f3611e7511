"""The users service, as far as auth needs it: which workspace a person means who names none, and which letters."""

from __future__ import annotations

from typing import Any

from pyairtable_platform.common import context
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.context import CallContext
from pyairtable_platform.common.errors import PyAirtableError, Unavailable
from pyairtable_protos.users.v1 import user_service_pb2, user_service_pb2_grpc

_CALL_SECONDS = 3.0


class Preferences:
    """What people prefer."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = user_service_pb2_grpc.UserServiceStub(channel.channel)

    async def default_workspace(self, user_id: str) -> str:
        """The workspace that a person means when none is named; empty when the person has not said."""
        found = await self._of(user_id, "which workspace you prefer: name one, or try again in a moment")
        return str(found.default_workspace) if found is not None else ""

    async def wants_invitations(self, user_id: str) -> bool:
        """Whether a person wants letters about invitations; so is everybody who has not said otherwise."""
        found = await self._of(user_id, "whether somebody wants letters: try again in a moment")
        return bool(found.letters_about_invitations) if found is not None else True

    async def _of(self, user_id: str, what: str) -> user_service_pb2.Preferences | None:
        request = user_service_pb2.LookupUsersRequest(user_ids=[user_id])
        try:
            # On our own behalf, for whoever asks may be the person.
            with context.entered(CallContext(request_id=context.request_id())):
                answer = await self._channel.call(self._stub.LookupUsers, request, timeout=_CALL_SECONDS)
        except PyAirtableError as error:
            raise Unavailable(f"the users service cannot be asked {what}", dependency="users") from error
        found: user_service_pb2.Preferences | None = answer.preferences.get(user_id)
        return found
