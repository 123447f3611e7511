"""PersonDataService: messages to plain values and back."""

from __future__ import annotations

from typing import Any

from pyairtable_protos.common.v1 import person_data_pb2 as rpc

from .people import People


class PersonDataServicer:
    """Implements pyairtable.common.v1.PersonDataService."""

    def __init__(self, people: People) -> None:
        self._people = people

    async def ExportPerson(self, request: rpc.ExportPersonRequest, call: Any) -> rpc.ExportPersonResponse:
        response = rpc.ExportPersonResponse()
        response.data.update(await self._people.export(request.user_id))
        return response

    async def ErasePerson(self, request: rpc.ErasePersonRequest, call: Any) -> rpc.ErasePersonResponse:
        erased = await self._people.erase(request.user_id, request.idempotency_key, request.dry_run)
        return rpc.ErasePersonResponse(erased=erased)
