"""Sagas from beginning to end, through the service, DBOS and PostgreSQL."""

from __future__ import annotations

from integration.sagas.place import Place, caller_of

from pyairtable_protos.sagas.v1 import saga_service_pb2 as rpc


async def test_a_saga_completes(place: Place) -> None:
    async with caller_of(place.start()) as caller:
        saga = await caller.start("user_onboarding", {"user_id": "u1"}, "key-1", principal="user:u1")
        ended = await caller.end_of(saga.saga_id)
        assert ended.state == rpc.SAGA_STATE_COMPLETED, ended
        assert dict(ended.output) == {"user_id": "u1", "workspace": "ada"}
        assert [entry["rpc"] for entry in place.ledger("done")] == [
            "CreateProfile",
            "ReserveWorkspace",
            "DeclareWorkspace",
            "ActivateWorkspace",
            "SendLetter",
        ]
