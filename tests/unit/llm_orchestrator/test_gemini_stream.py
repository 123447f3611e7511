"""A stream of the model that is not what it should be is a model that is away, which is asked again."""

from __future__ import annotations

import asyncio

import pytest

from pyairtable_platform.common.errors import Reason, Unavailable
from pyairtable_platform.common.secrets import Credential
from pyairtable_platform.llm_orchestrator.gemini import Gemini
from pyairtable_platform.llm_orchestrator.ports import Chunk, ModelRequest, Reply, Thinking

REQUEST = ModelRequest("gemini-3.8-flash", "", [{"role": "user", "parts": [{"text": "hi"}]}], (), Thinking(), 10)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
GOOD = b'data: {"candidates": [{"content": {"parts": [{"text": "Hel"}], "role": "model"}}]}\n\n'


class OneKey:
    """The same key for every call."""

    async def of_current(self) -> Credential:
        return Credential("not-a-real-key", "GEMINI_API_KEY")

    def require_current(self) -> None:
        return None


async def ask(body: bytes) -> list[Chunk | Reply]:
    """What the model's stream is with this body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        gemini = Gemini(OneKey(), api_url=url, max_output_tokens=100)
        try:
            return [piece async for piece in gemini.stream(REQUEST)]
        finally:
            await gemini.close()


@pytest.mark.parametrize("before", [b"", GOOD], ids=["at-once", "after-text"])
@pytest.mark.parametrize(
    "broken",
    [
        b"data: this is not JSON\n\n",
        b"data: {\xff}\n\n",
        b'data: {"candidates": 5}\n\n',
        b"data: 5\n\n",
        b"data: []\n\n",
        b"data: null\n\n",
        b'data: {"candidates": [{"content": "text"}]}\n\n',
        b"<html>a proxy</html>\n",
    ],
)
async def test_a_chunk_that_cannot_be_read_is_a_model_that_is_away(before: bytes, broken: bytes) -> None:
    with pytest.raises(Unavailable, match="try again") as caught:
        await ask(before + broken)
    assert caught.value.reason is Reason.MODEL_UNAVAILABLE


async def test_a_good_stream_is_read() -> None:
    *_, reply = await ask(GOOD + b'data: {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]}\n\n')
    assert isinstance(reply, Reply) and reply.text == "Hel" and reply.finish_reason == "STOP"
