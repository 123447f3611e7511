"""The model: Google's Gemini through its own SDK, one attempt at a time, streaming.

What comes back is kept as the JSON of its parts: text pieces are joined, everything else (calls, thought signatures,
kinds that we do not know) stays as it came. Google AI docs, "Thought signatures": a part with a signature must go back
unchanged and must not be merged with another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any, Protocol

import httpx2
import orjson
from google import genai
from google.genai import errors, types
from google.genai.client import AsyncClient

from pyairtable_platform.common.errors import Reason, Unavailable
from pyairtable_platform.common.secrets import Credential

from .gemini_errors import UNREADABLE, from_api_error, refused
from .ports import Chunk, Content, FunctionCall, ModelRequest, Reply, Thinking, Tool, Usage

_FINISH_UNKNOWN = "FINISH_REASON_UNSPECIFIED"

MOST_CLIENTS = 200
"""Keys whose clients are kept; making one takes a moment."""


class Keys(Protocol):
    """Who knows the key for the call in progress."""

    async def of_current(self) -> Credential: ...

    def require_current(self) -> None: ...


class Gemini:
    """Gemini by API key, each call with that of its workspace. `api_url` empty is Google's; who opens it closes it."""

    def __init__(self, keys: Keys, *, api_url: str = "", max_output_tokens: int) -> None:
        # Ours, because the SDK takes whatever HTTP library is installed, and each has its own classes for faults.
        self._http = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=None))
        self._options = types.HttpOptions(base_url=api_url or None, httpx_async_client=self._http)
        self._keys = keys
        self._clients: OrderedDict[str, AsyncClient] = OrderedDict()
        self._max_output_tokens = max_output_tokens

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _client(self, key: Credential) -> AsyncClient:
        """The SDK's client for a key; all share the connections."""
        if key.key not in self._clients:
            self._clients[key.key] = genai.Client(vertexai=False, api_key=key.value, http_options=self._options).aio
        self._clients.move_to_end(key.key)
        while len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        return self._clients[key.key]

    async def stream(self, request: ModelRequest) -> AsyncIterator[Chunk | Reply]:
        """Ask once; see ports.Model."""
        reply = _Collected()
        async with aclosing(self._responses(request)) as responses:
            async for response in responses:
                yield Chunk(reply.add(response), reply.usage)
                self._keys.require_current()
                reply.raise_if_blocked()
        if not reply.finish_reason:
            raise _broken(None)
        yield reply.whole()

    async def _responses(self, request: ModelRequest) -> AsyncGenerator[types.GenerateContentResponse, None]:
        """What the SDK reads from the stream, with its errors as ours."""
        contents: Any = [_to_sdk(content) for content in request.contents]
        config = _config(request, self._max_output_tokens)
        key = await self._keys.of_current()
        try:
            stream: Any = await self._client(key).models.generate_content_stream(
                model=request.model, contents=contents, config=config
            )
            async with aclosing(stream):  # whoever leaves early hangs up
                async for response in stream:
                    yield response
        except errors.APIError as error:
            raise from_api_error(error, request.model, key.origin) from error
        except (httpx2.TransportError, httpx2.StreamError, *UNREADABLE) as error:
            raise _broken(error) from error


class _Collected:
    """An answer as its chunks come in."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reason = ""
        self._blocked = ""
        self._parts: list[dict[str, Any]] = []

    def add(self, response: types.GenerateContentResponse) -> str:
        """Take a chunk in and return the text for the user in it."""
        if response.usage_metadata is not None:
            self.usage = _usage(response.usage_metadata)
        if response.prompt_feedback is not None and response.prompt_feedback.block_reason is not None:
            self._blocked = response.prompt_feedback.block_reason.value
        if not response.candidates:
            return ""
        candidate = response.candidates[0]
        if candidate.finish_reason is not None and candidate.finish_reason.value != _FINISH_UNKNOWN:
            self.finish_reason = candidate.finish_reason.value
        parts = (candidate.content.parts if candidate.content else None) or []
        for part in parts:
            self._append(part.model_dump(mode="json", by_alias=True, exclude_none=True))
        return "".join(part.text or "" for part in parts if not part.thought)

    def raise_if_blocked(self) -> None:
        """Raise when the provider did not even let the model see the prompt."""
        if self._blocked:
            raise refused(self._blocked)

    def whole(self) -> Reply:
        """The answer, when all has come."""
        return Reply(
            content={"role": "model", "parts": self._parts},
            text=_text(self._parts, thoughts=False),
            thoughts=_text(self._parts, thoughts=True),
            calls=[_call(part["functionCall"]) for part in self._parts if "functionCall" in part],
            finish_reason=self.finish_reason,
            usage=self.usage or Usage(),
        )

    def _append(self, part: dict[str, Any]) -> None:
        last = self._parts[-1] if self._parts else {}
        if _plain(part) and _plain(last) and part.get("thought") == last.get("thought"):
            last["text"] += part["text"]
        elif part:
            self._parts.append(part)


def _plain(part: dict[str, Any]) -> bool:
    return "text" in part and part.keys() <= {"text", "thought"}


def _text(parts: Iterable[dict[str, Any]], *, thoughts: bool) -> str:
    return "".join(part.get("text", "") for part in parts if bool(part.get("thought")) is thoughts)


def _call(raw: dict[str, Any]) -> FunctionCall:
    return FunctionCall(raw.get("name", ""), raw.get("args") or {}, raw.get("id", ""))


def _to_sdk(content: Content) -> types.Content:
    return types.Content.model_validate_json(orjson.dumps(content))  # as JSON: signatures are base64 there


def _config(request: ModelRequest, max_output_tokens: int) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        system_instruction=request.system,
        max_output_tokens=max_output_tokens,
        tools=[types.Tool(function_declarations=[_declaration(tool) for tool in request.tools])]
        if request.tools
        else None,
        thinking_config=_thinking(request.thinking),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        http_options=types.HttpOptions(timeout=round(request.timeout * 1000)),
    )


def _declaration(tool: Tool) -> types.FunctionDeclaration:
    return types.FunctionDeclaration(
        name=tool.name, description=tool.description, parameters_json_schema=dict(tool.input_schema)
    )


def _thinking(thinking: Thinking) -> types.ThinkingConfig:
    level = types.ThinkingLevel(thinking.level.upper()) if thinking.level else None
    thinks = thinking.budget != 0
    return types.ThinkingConfig(include_thoughts=thinks or None, thinking_budget=thinking.budget, thinking_level=level)


def _usage(counted: types.GenerateContentResponseUsageMetadata) -> Usage:
    prompt = (counted.prompt_token_count or 0) + (counted.tool_use_prompt_token_count or 0)
    output, thinking = counted.candidates_token_count or 0, counted.thoughts_token_count or 0
    return Usage(
        input_tokens=prompt,
        output_tokens=output,
        thinking_tokens=thinking,
        cached_tokens=counted.cached_content_token_count or 0,
        total_tokens=counted.total_token_count or prompt + output + thinking,
    )


def _broken(error: Exception | None) -> Unavailable:
    what = "cannot be reached" if isinstance(error, httpx2.ConnectError) else "broke off its answer"
    if isinstance(error, httpx2.TimeoutException):
        what = "did not answer in time"
    return Unavailable(f"the model {what}: try again", reason=Reason.MODEL_UNAVAILABLE)
