"""PersonDataService of this service: a person's profile and preferences."""

from __future__ import annotations

from typing import Any

from pyairtable_platform.common.values import dict_to_struct
from pyairtable_protos.common.v1 import person_data_pb2 as rpc

from .service import UserService


class PersonDataServicer:
    """Implements pyairtable.common.v1.PersonDataService."""

    def __init__(self, service: UserService) -> None:
        self._service = service

    async def ExportPerson(self, request: rpc.ExportPersonRequest, call: Any) -> rpc.ExportPersonResponse:
        return rpc.ExportPersonResponse(data=dict_to_struct(await self._service.export(request.user_id)))

    async def ErasePerson(self, request: rpc.ErasePersonRequest, call: Any) -> rpc.ErasePersonResponse:
        asked = rpc.ErasePersonRequest(user_id=request.user_id).SerializeToString(deterministic=True)
        erased = await self._service.forget(request.user_id, request.idempotency_key, asked, dry_run=request.dry_run)
        return rpc.ErasePersonResponse(erased=erased)
