"""The real google-genai client against the emulator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.genai import errors, types
from google.genai.client import AsyncClient

from pyairtable_devkit.gemini.testing import GeminiEmulator

Connect = Callable[..., Awaitable[AsyncClient]]
FLASH = "gemini-3.8-flash"
LIST_TABLES = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="list_tables",
            description="Tables of a base",
            parameters_json_schema={"type": "object", "properties": {"base_id": {"type": "string"}}},
        )
    ]
)
CALLS_THEN_TEXT = """
turns:
  - match: {user: tables}
    replies:
      - calls: [{name: list_tables, args: {}}, {name: list_tables, args: {base_id: appTwo}}]
      - text: Two bases, three tables.
"""


def _config(**fields: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(tools=[LIST_TABLES], **fields)


async def test_generates_text_with_usage(client: AsyncClient) -> None:
    answer = await client.models.generate_content(model=FLASH, contents="Hello there")
    usage = answer.usage_metadata
    assert answer.text and answer.text.startswith("Hello!")
    assert answer.model_version == FLASH and answer.response_id
    assert usage and usage.prompt_token_count and usage.candidates_token_count and usage.thoughts_token_count
    assert usage.total_token_count == (
        usage.prompt_token_count + usage.candidates_token_count + usage.thoughts_token_count
    )


async def test_stream_gives_the_same_text_in_pieces_and_the_finish_reason_last(client: AsyncClient) -> None:
    whole = await client.models.generate_content(model=FLASH, contents="Hello there")
    pieces = [chunk async for chunk in await client.models.generate_content_stream(model=FLASH, contents="Hello there")]
    assert len(pieces) > 2
    assert "".join(piece.text or "" for piece in pieces) == whole.text
    finishes = [piece.candidates[0].finish_reason for piece in pieces if piece.candidates]
    assert finishes[:-1] == [None] * (len(pieces) - 1) and finishes[-1] == types.FinishReason.STOP
    assert pieces[-1].usage_metadata and whole.usage_metadata
    assert pieces[-1].usage_metadata.total_token_count == whole.usage_metadata.total_token_count


async def test_counts_tokens(client: AsyncClient) -> None:
    short = await client.models.count_tokens(model=FLASH, contents="Hello")
    long = await client.models.count_tokens(model=FLASH, contents="Hello " * 100)
    assert short.total_tokens and long.total_tokens and long.total_tokens > 20 * short.total_tokens


async def test_lists_models_over_pages_and_gets_one(client: AsyncClient) -> None:
    names = [model.name async for model in await client.models.list(config={"page_size": 2})]
    assert len(names) == 6 and "models/gemini-3.8-flash" in names
    one = await client.models.get(model="gemini-2.5-flash")
    assert one.input_token_limit == 1_048_576 and one.thinking


@pytest.mark.parametrize("stream", [False, True])
async def test_function_calls_round_trip_with_ids_and_signature(
    gemini: GeminiEmulator, client: AsyncClient, stream: bool
) -> None:
    gemini.script(CALLS_THEN_TEXT)
    asked = types.Content(role="user", parts=[types.Part(text="List the tables")])
    called = await _model_content(client, [asked], stream)
    calls = [part.function_call for part in called.parts or [] if part.function_call]
    assert [call.args for call in calls] == [{}, {"base_id": "appTwo"}]
    assert len({call.id for call in calls}) == 2
    signatures = [part.thought_signature for part in called.parts or [] if part.function_call]
    assert signatures[0] and signatures[1] is None

    results = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"count": 1}))
        for call in calls
    ]
    answered = await client.models.generate_content(
        model=FLASH, contents=[asked, called, types.Content(role="user", parts=results)], config=_config()
    )
    assert answered.text == "Two bases, three tables."


async def _model_content(client: AsyncClient, contents: list[types.Content], stream: bool) -> types.Content:
    if not stream:
        answer = await client.models.generate_content(model=FLASH, contents=contents, config=_config())
        assert answer.candidates and answer.candidates[0].content
        return answer.candidates[0].content
    parts: list[types.Part] = []
    async for chunk in await client.models.generate_content_stream(model=FLASH, contents=contents, config=_config()):
        assert chunk.candidates and chunk.candidates[0].content
        parts += chunk.candidates[0].content.parts or []
    return types.Content(role="model", parts=parts)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("lose", "missing a thought_signature"),
        ("alter", "Corrupted thought signature"),
        ("swap_args", "Corrupted thought signature"),
    ],
)
async def test_a_signature_must_come_back_unchanged(
    gemini: GeminiEmulator, client: AsyncClient, change: str, text: str
) -> None:
    gemini.script(CALLS_THEN_TEXT)
    asked = types.Content(role="user", parts=[types.Part(text="List the tables")])
    called = await _model_content(client, [asked], stream=False)
    assert called.parts and called.parts[0].function_call
    if change == "lose":
        called.parts[0].thought_signature = None
    elif change == "alter":
        called.parts[0].thought_signature = b"another"
    else:
        called.parts[0].function_call.args = {"base_id": "appOther"}
    results = [
        types.Part(
            function_response=types.FunctionResponse(
                id=part.function_call.id, name=part.function_call.name, response={}
            )
        )
        for part in called.parts
        if part.function_call
    ]
    with pytest.raises(errors.ClientError, match=text) as raised:
        await client.models.generate_content(
            model=FLASH, contents=[asked, called, types.Content(role="user", parts=results)], config=_config()
        )
    assert raised.value.code == 400 and raised.value.status == "INVALID_ARGUMENT"


async def test_a_2_5_model_takes_history_without_signatures(gemini: GeminiEmulator, client: AsyncClient) -> None:
    contents = [
        types.Content(role="user", parts=[types.Part(text="Hello, tables")]),
        types.Content(role="model", parts=[types.Part.from_function_call(name="list_tables", args={})]),
        types.Content(role="user", parts=[types.Part.from_function_response(name="list_tables", response={})]),
    ]
    answer = await client.models.generate_content(model="gemini-2.5-flash", contents=contents, config=_config())
    assert answer.candidates and answer.candidates[0].finish_reason == types.FinishReason.STOP
    with pytest.raises(errors.ClientError, match="position 2"):
        await client.models.generate_content(model=FLASH, contents=contents, config=_config())


@pytest.mark.parametrize(
    ("model", "thinking", "refusal"),
    [
        (FLASH, {"thinking_level": "low"}, None),
        (FLASH, {"thinking_budget": 512}, None),
        (FLASH, {"thinking_level": "minimal"}, "Thinking level MINIMAL is not supported for this model"),
        (FLASH, {"thinking_budget": 0}, "Budget 0 is invalid"),
        (FLASH, {"thinking_level": "low", "thinking_budget": 1}, "only set only one of thinking budget"),
        ("gemini-3.5-flash-lite", {"thinking_level": "minimal"}, None),
        ("gemini-3.1-pro-preview", {"thinking_level": "minimal"}, "MINIMAL is not supported"),
        ("gemini-2.5-flash", {"thinking_level": "low"}, "Thinking level is not supported for this model"),
        ("gemini-2.5-flash", {"thinking_budget": 0}, None),
        ("gemini-2.5-flash", {"thinking_budget": 99_999}, "thinking budget 99999 is invalid"),
        ("gemini-2.5-flash-lite", {"thinking_budget": 100}, "between 512 and 24576"),
    ],
)
async def test_thinking_knobs(client: AsyncClient, model: str, thinking: dict[str, Any], refusal: str | None) -> None:
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(**thinking))
    asked = client.models.generate_content(model=model, contents="Hello", config=config)
    if refusal is None:
        assert (await asked).text
    else:
        with pytest.raises(errors.ClientError, match=refusal) as raised:
            await asked
        assert raised.value.code == 400


async def test_thoughts_are_shown_when_asked_for_and_counted_when_not(client: AsyncClient) -> None:
    shown = await client.models.generate_content(
        model=FLASH,
        contents="Hello",
        config=types.GenerateContentConfig(
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_level=types.ThinkingLevel.HIGH)
        ),
    )
    assert shown.candidates and shown.candidates[0].content and shown.candidates[0].content.parts
    assert shown.candidates[0].content.parts[0].thought
    assert shown.usage_metadata and shown.usage_metadata.thoughts_token_count == 256
    silent = await client.models.generate_content(
        model="gemini-2.5-flash",
        contents="Hello",
        config=types.GenerateContentConfig(thinking_config=types.ThinkingConfig(thinking_budget=0)),
    )
    assert silent.usage_metadata and silent.usage_metadata.thoughts_token_count is None


async def test_a_repeated_prefix_is_counted_as_cached(client: AsyncClient) -> None:
    first = types.Content(role="user", parts=[types.Part(text="All about the base. " * 400)])
    reply = types.Content(role="model", parts=[types.Part(text="Noted.")])
    config = types.GenerateContentConfig(system_instruction="Be brief.")
    one = await client.models.generate_content(model=FLASH, contents=[first], config=config)
    more = types.Content(role="user", parts=[types.Part(text="Hello")])
    two = await client.models.generate_content(model=FLASH, contents=[first, reply, more], config=config)
    assert one.usage_metadata and one.usage_metadata.cached_content_token_count is None
    assert two.usage_metadata and one.usage_metadata.prompt_token_count
    assert two.usage_metadata.cached_content_token_count == one.usage_metadata.prompt_token_count


async def test_retries_recover_from_429_and_503(gemini: GeminiEmulator, connect: Connect) -> None:
    gemini.fault("status", status=503, times=1)
    gemini.fault("status", status=429, times=1, retry_seconds=7)
    retry = types.HttpRetryOptions(attempts=4, initial_delay=0.01, max_delay=0.05)
    patient = await connect(retry_options=retry)
    assert (await patient.models.generate_content(model=FLASH, contents="Hello")).text
    assert [entry["status"] for entry in gemini.log()] == [503, 429, 200]


async def test_without_retries_a_503_is_raised_at_once(gemini: GeminiEmulator, client: AsyncClient) -> None:
    gemini.fault("status", status=503)
    with pytest.raises(errors.ServerError) as raised:
        await client.models.generate_content(model=FLASH, contents="Hello")
    assert raised.value.code == 503 and raised.value.status == "UNAVAILABLE"


async def test_unknown_model_and_wrong_key(gemini: GeminiEmulator, client: AsyncClient, connect: Connect) -> None:
    with pytest.raises(errors.ClientError, match="models/gemini-0 is not found for API version v1,") as missing:
        await client.models.generate_content(model="gemini-0", contents="Hello")
    assert missing.value.code == 404
    stranger = await connect(key="not-the-key")
    with pytest.raises(errors.ClientError, match="API key not valid") as wrong:
        await stranger.models.generate_content(model=FLASH, contents="Hello")
    assert wrong.value.code == 400
    assert "not-the-key" not in str(gemini.log())


async def test_a_cut_stream_is_a_transport_error(gemini: GeminiEmulator, client: AsyncClient) -> None:
    gemini.fault("cut")
    pieces = []
    with pytest.raises(Exception, match=r"incomplete|peer closed|parse|Expecting|payload|Unterminated"):
        async for chunk in await client.models.generate_content_stream(model=FLASH, contents="Hello"):
            pieces.append(chunk)
    assert len(pieces) == 1
    assert gemini.log()[-1]["completed"] is False
