"""Keys of workspaces for the model, and what becomes of an answer when its workspace is suspended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from integration.llm_orchestrator.conftest import Registry, registered

from pyairtable_platform.common.errors import Denied, FailedPrecondition, Reason
from pyairtable_protos.workspaces.v1 import workspace_pb2

LONG = "one two three four five six seven eight nine ten eleven twelve " * 20
OWN_KEY = workspace_pb2.SecretRef(name="acme-gemini", key="key")


def with_own_key() -> workspace_pb2.Workspace:
    return registered("acme", display_name="Acme", llm=workspace_pb2.LlmPolicy(api_key=OWN_KEY))


async def refused(chats: Any) -> FailedPrecondition:
    """The refusal of a chat, as soon as what the registry says has arrived."""
    for _ in range(100):
        try:
            await chats.chat("hello")
        except FailedPrecondition as error:
            return error
    raise AssertionError("the change did not arrive")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / "acme-gemini").mkdir()
    return tmp_path


async def test_a_workspace_with_a_key_of_its_own_is_served_with_that(
    start_chats: Any, registry: Registry, gemini: Any, secrets: Path
) -> None:
    file = secrets / "acme-gemini" / "key"
    file.write_text("key-of-nobody")
    async with start_chats(secrets_path=secrets) as chats:
        assert (await chats.chat("hello")).response, "so far it has none"
        registry.put(with_own_key())
        error = await refused(chats)
        assert error.reason is Reason.MODEL_KEY_REJECTED
        assert "acme-gemini" in error.message
        assert "key-of-nobody" not in str(error)
        assert (await chats.chat("hello", workspace="other")).response, "others go on with the platform's"
        file.write_text(gemini.key)
        assert (await chats.chat("hello")).response


async def test_a_key_that_is_not_there_is_not_replaced_by_the_platforms(
    start_chats: Any, registry: Registry, secrets: Path
) -> None:
    for place, told in ((secrets, "acme-gemini"), (None, "SECRETS_NAMESPACE")):
        async with start_chats(secrets_path=place) as chats:
            registry.put(with_own_key())
            error = await refused(chats)
            assert error.reason is Reason.CREDENTIAL_MISSING
            assert told in error.message


async def test_a_workspace_without_any_key_is_told_which_to_set(start_chats: Any) -> None:
    async with start_chats(gemini_api_key=None) as chats:
        with pytest.raises(FailedPrecondition, match="GEMINI_API_KEY") as caught:
            await chats.chat("hello")
        assert caught.value.reason is Reason.CREDENTIAL_MISSING


async def test_an_answer_ends_for_its_readers_when_its_workspace_is_suspended(
    chats: Any, registry: Registry, gemini: Any
) -> None:
    gemini.script([{"text": LONG, "chunk_delay": 0.1}])
    run_id = await chats.begin("talk for long")
    events, text = chats.watch(run_id), ""
    while not text:
        text = (await anext(events)).event.text.text
    registry.put(registered("acme", suspended=True))
    rest = [response.event async for response in events]
    assert rest[-1].failed.reason == "WORKSPACE_SUSPENDED"
    assert len(text + "".join(event.text.text for event in rest)) < len(LONG)
    with pytest.raises(Denied) as caught:
        await chats.run(run_id)
    assert caught.value.reason is Reason.WORKSPACE_SUSPENDED
