"""Sagas as SagaService and PersonDataService: messages to plain values and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pyairtable_platform.common import context
from pyairtable_platform.common.values import dict_to_struct, struct_to_dict
from pyairtable_protos.common.v1 import person_data_pb2
from pyairtable_protos.sagas.v1 import saga_service_pb2 as rpc

from .messages import state_name, to_saga, to_step, to_type
from .people import People
from .service import Filter, Sagas


class SagaServicer:
    """Implements pyairtable.sagas.v1.SagaService."""

    def __init__(self, sagas: Sagas) -> None:
        self._sagas = sagas

    async def StartSaga(self, request: rpc.StartSagaRequest, call: Any) -> rpc.StartSagaResponse:
        given = struct_to_dict(request.input)
        saga, is_new = await self._sagas.start(context.identity(), request.type, given, request.idempotency_key)
        return rpc.StartSagaResponse(saga=to_saga(saga), started=is_new)

    async def StartSagaFor(self, request: rpc.StartSagaForRequest, call: Any) -> rpc.StartSagaForResponse:
        given = struct_to_dict(request.input)
        saga, is_new = await self._sagas.start_for(
            request.type, given, request.idempotency_key, request.principal, request.wait_seconds
        )
        return rpc.StartSagaForResponse(saga=to_saga(saga), started=is_new)

    async def GetSaga(self, request: rpc.GetSagaRequest, call: Any) -> rpc.GetSagaResponse:
        return rpc.GetSagaResponse(saga=to_saga(await self._sagas.get(context.identity(), request.saga_id)))

    async def ListSagas(self, request: rpc.ListSagasRequest, call: Any) -> rpc.ListSagasResponse:
        wanted = Filter(workspace=request.workspace_name, type=request.type, state=state_name(request.state))
        page, token = await self._sagas.page(context.identity(), wanted, request.page_size, request.page_token)
        return rpc.ListSagasResponse(sagas=map(to_saga, page), next_page_token=token)

    async def ListAllSagas(self, request: rpc.ListAllSagasRequest, call: Any) -> rpc.ListAllSagasResponse:
        wanted = Filter(workspace=request.workspace_name, type=request.type, state=state_name(request.state))
        page, token = await self._sagas.page_of_all(wanted, request.page_size, request.page_token)
        return rpc.ListAllSagasResponse(sagas=map(to_saga, page), next_page_token=token)

    async def ListSteps(self, request: rpc.ListStepsRequest, call: Any) -> rpc.ListStepsResponse:
        saga = await self._sagas.get(context.identity(), request.saga_id)
        return rpc.ListStepsResponse(steps=map(to_step, saga.steps))

    async def CancelSaga(self, request: rpc.CancelSagaRequest, call: Any) -> rpc.CancelSagaResponse:
        return rpc.CancelSagaResponse(saga=to_saga(await self._sagas.cancel(context.identity(), request.saga_id)))

    async def ResumeSaga(self, request: rpc.ResumeSagaRequest, call: Any) -> rpc.ResumeSagaResponse:
        return rpc.ResumeSagaResponse(saga=to_saga(await self._sagas.resume(context.identity(), request.saga_id)))

    async def WatchSaga(self, request: rpc.WatchSagaRequest, call: Any) -> AsyncIterator[rpc.WatchSagaResponse]:
        async for saga in self._sagas.watch(context.identity(), request.saga_id):
            yield rpc.WatchSagaResponse(saga=to_saga(saga), steps=map(to_step, saga.steps))

    async def ListSagaTypes(self, request: rpc.ListSagaTypesRequest, call: Any) -> rpc.ListSagaTypesResponse:
        return rpc.ListSagaTypesResponse(types=map(to_type, self._sagas.types()))


class PersonDataServicer:
    """Implements pyairtable.common.v1.PersonDataService for sagas."""

    def __init__(self, people: People) -> None:
        self._people = people

    async def ExportPerson(self, request: Any, call: Any) -> person_data_pb2.ExportPersonResponse:
        sagas = await self._people.export(request.user_id)
        return person_data_pb2.ExportPersonResponse(data=dict_to_struct({"sagas": sagas}))

    async def ErasePerson(self, request: Any, call: Any) -> person_data_pb2.ErasePersonResponse:
        change = self._people.check if request.dry_run else self._people.erase
        return person_data_pb2.ErasePersonResponse(erased={"sagas": await change(request.user_id)})
