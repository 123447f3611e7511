"""PersonDataService: what chat keeps about one person."""

from __future__ import annotations

from typing import Any

from pyairtable_platform.common.values import dict_to_struct
from pyairtable_protos.common.v1 import person_data_pb2 as rpc

from .store.people import PeopleStore


class PersonDataServicer:
    """Implements pyairtable.common.v1.PersonDataService."""

    def __init__(self, people: PeopleStore) -> None:
        self._people = people

    async def ExportPerson(self, request: rpc.ExportPersonRequest, call: Any) -> rpc.ExportPersonResponse:
        sessions = await self._people.export(request.user_id)
        return rpc.ExportPersonResponse(data=dict_to_struct({"sessions": sessions}))

    async def ErasePerson(self, request: rpc.ErasePersonRequest, call: Any) -> rpc.ErasePersonResponse:
        if request.dry_run:
            return rpc.ErasePersonResponse(erased=await self._people.count(request.user_id))
        asked = rpc.ErasePersonRequest(user_id=request.user_id).SerializeToString(deterministic=True)
        return rpc.ErasePersonResponse(erased=await self._people.erase(request.user_id, request.idempotency_key, asked))
